#include "model/dataset.hpp"

#include "model/hash.hpp"

#include <bit>
#include <stdexcept>

namespace skippipe::model {

std::uint64_t permuted(std::uint64_t index, std::uint64_t count, std::uint64_t key) {
  const int half = std::max(1, static_cast<int>(std::bit_width(count - 1) + 1) / 2);
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  do {
    auto left = index >> half, right = index & mask;
    for (std::uint64_t round = 0; round < 4; ++round) {
      const auto next = left ^ (mix(key + round * 0x632be59bd9b4e019ULL + right) & mask);
      left = right;
      right = next;
    }
    index = (left << half) | right;
  } while (index >= count);
  return index;
}

dataset::dataset(const std::filesystem::path& dir, std::uint32_t context)
    : dir_(dir), train_(dir / "train.bin"), validation_(dir / "val.bin"), context_(context) {
  const auto windows_of = [&](const token_file& file, const char* name) {
    if (file.size() < context + 1)
      throw std::runtime_error((dir / name).string() + ": " + std::to_string(file.size())
                               + " tokens are too few for a context of " + std::to_string(context)
                               + "; prepare more text or choose a shorter context");
    return (file.size() - 1) / context;
  };
  windows_ = windows_of(train_, "train.bin");
  validation_windows_ = windows_of(validation_, "val.bin");
  if (train_.vocab() != validation_.vocab())
    throw std::runtime_error(dir.string()
                             + ": train.bin and val.bin are of different vocabularies; prepare "
                               "the data again");
}

void dataset::append(std::vector<std::int64_t>& out, const token_file& file,
                     std::uint64_t window) const {
  const auto first = window * context_;
  for (std::uint64_t i = first; i <= first + context_; ++i)
    out.push_back(file[i]);
}

std::vector<std::int64_t> dataset::sample(std::uint64_t seed, std::uint64_t iteration,
                                          std::uint32_t microbatch, std::uint32_t microbatches,
                                          std::uint32_t rows) const {
  std::vector<std::int64_t> result;
  result.reserve(std::size_t{rows} * (context_ + 1));
  for (std::uint32_t row = 0; row < rows; ++row) {
    const auto global = ((iteration - 1) * microbatches + microbatch) * rows + row;
    const auto epoch = global / windows_;
    append(result, train_, permuted(global % windows_, windows_, mix(seed) + mix(epoch + 1)));
  }
  return result;
}

std::vector<std::int64_t> dataset::validation(std::uint32_t batch, std::uint32_t batches,
                                              std::uint32_t rows) const {
  std::vector<std::int64_t> result;
  result.reserve(std::size_t{rows} * (context_ + 1));
  const auto total = std::uint64_t{batches} * rows;
  for (std::uint32_t row = 0; row < rows; ++row) {
    const auto index = std::uint64_t{batch} * rows + row;
    append(result, validation_, index * validation_windows_ / total % validation_windows_);
  }
  return result;
}

std::uint64_t dataset::checksum() const {
  return mix(train_.checksum() ^ mix(validation_.checksum()));
}

std::unique_ptr<tokenizer> dataset::load_tokenizer() const {
  const auto file = dir_ / "tokenizer.model";
  return std::filesystem::exists(file) ? load_spm(file) : make_byte_tokenizer();
}

} // namespace skippipe::model
