#include "model/token_file.hpp"

#include "model/hash.hpp"

#include <array>
#include <cstring>
#include <stdexcept>
#include <string>

namespace skippipe::model {

namespace {

/// On disk, little-endian.
struct header {
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t element_bytes;
  std::uint64_t count;
  std::uint32_t vocab;
  std::uint32_t reserved;
  std::uint64_t checksum;        ///< Of the ids.
  std::uint64_t header_checksum; ///< Of all before.
};
static_assert(sizeof(header) == 48);

constexpr std::array<char, 8> magic = {'S', 'K', 'P', 'T', 'O', 'K', 'E', 'N'};
constexpr std::uint32_t version = 1;

template <class T>
std::span<const std::byte> bytes_of(const T& x) {
  return std::as_bytes(std::span{&x, 1});
}

} // namespace

void write_token_file(const std::filesystem::path& path, std::span<const std::int32_t> ids,
                      std::uint32_t vocab) {
  std::vector<std::uint16_t> narrow;
  std::span<const std::byte> content = std::as_bytes(ids);
  header head{magic, version, 4, ids.size(), vocab, 0, 0, 0};
  if (vocab <= 0x10000) {
    narrow.assign(ids.begin(), ids.end());
    content = std::as_bytes(std::span{narrow});
    head.element_bytes = 2;
  }
  head.checksum = hash_bytes(content.data(), content.size());
  head.header_checksum = hash_bytes(&head, offsetof(header, header_checksum));
  write_whole(path, [&](output_file& file) {
    file.write(bytes_of(head));
    file.write(content);
  });
}

token_file::token_file(const std::filesystem::path& path) : file_(path) {
  const auto fail = [&](const std::string& what) {
    throw std::runtime_error(path.string() + ": " + what + "; prepare the data again");
  };
  const auto bytes = file_.bytes();
  header head{};
  if (bytes.size() < sizeof head)
    fail("too short for a token file");
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.magic != magic)
    fail("not a token file");
  if (head.version != version)
    fail("token file of version " + std::to_string(head.version) + ", this program reads "
         + std::to_string(version));
  if (head.header_checksum != hash_bytes(&head, offsetof(header, header_checksum)))
    fail("the header is damaged");
  if (head.element_bytes != 2 && head.element_bytes != 4)
    fail("ids of " + std::to_string(head.element_bytes) + " bytes");
  const auto content = bytes.subspan(sizeof head);
  if (head.count > content.size() / head.element_bytes
      || head.count * head.element_bytes != content.size())
    fail("expected " + std::to_string(head.count) + " ids, found "
         + std::to_string(content.size() / head.element_bytes));
  if (head.checksum != hash_bytes(content.data(), content.size()))
    fail("the content is damaged");
  if (head.element_bytes == 2)
    narrow_ = reinterpret_cast<const std::uint16_t*>(content.data());
  else
    wide_ = reinterpret_cast<const std::uint32_t*>(content.data());
  count_ = head.count;
  vocab_ = head.vocab;
  checksum_ = head.checksum;
  for (std::uint64_t i = 0; i < count_; ++i)
    if ((*this)[i] >= static_cast<std::int64_t>(vocab_))
      fail("id " + std::to_string((*this)[i]) + " at position " + std::to_string(i)
           + " is outside the vocabulary of " + std::to_string(vocab_));
}

} // namespace skippipe::model
