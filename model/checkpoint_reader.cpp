#include "model/checkpoint_reader.hpp"

#include "model/checkpoint_folder.hpp"
#include "model/parameter_layout.hpp"

#include <stdexcept>

namespace skippipe::model {

namespace {

[[noreturn]] void fail(const std::filesystem::path& where, const std::string& what) {
  throw std::runtime_error(where.string() + ": " + what + "; use another checkpoint");
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

} // namespace

checkpoint_reader::checkpoint_reader(std::filesystem::path folder) : folder_(std::move(folder)) {
  const auto path = folder_ / manifest_name;
  if (!std::filesystem::exists(path))
    fail(folder_, "has no " + std::string{manifest_name} + ", so it is not a complete checkpoint");
  manifest_ = decode_manifest(read_text(path), path);
  for (const auto& file : manifest_.files)
    map_file(file);
  check_complete();
}

void checkpoint_reader::map_file(const checkpoint_file& file) {
  const auto path = folder_ / file.name;
  const auto& mapped = *files_.emplace_back(std::make_unique<mapped_file>(path));
  if (mapped.bytes().size() != file.size)
    fail(path, "has " + std::to_string(mapped.bytes().size()) + " bytes, the manifest says "
                   + std::to_string(file.size));
  for (auto& tensor : parse_safetensors(mapped.bytes(), path)) {
    const auto name = tensor.name;
    if (!tensors_.emplace(name, std::move(tensor)).second)
      fail(path, "tensor " + name + " is in another file too");
  }
}

void checkpoint_reader::check_complete() const {
  const std::string dtype = manifest_.model.compute == dtype::float64 ? "F64" : "F32";
  const auto check = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    const auto& found = tensor(name);
    if (found.shape != shape || found.dtype != dtype)
      fail(folder_, "tensor " + name + " is " + found.dtype + " " + shape_text(found.shape)
                        + ", the model needs " + dtype + " " + shape_text(shape));
  };
  for (const auto& range :
       partition(manifest_.model.layers, manifest_.stages, manifest_.layers_per_stage))
    for (const auto& parameter : parameter_layout(manifest_.model, range))
      for (const char* suffix : {"", exp_avg_suffix, exp_avg_sq_suffix})
        check(parameter.name + suffix, parameter.shape);
}

const named_tensor& checkpoint_reader::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    fail(folder_, "tensor " + name + " is missing");
  return found->second;
}

checkpoint_manifest verify_checkpoint(const std::filesystem::path& folder) {
  // The checksums first: damage should be called damage, not by what it happens to break.
  const auto path = folder / manifest_name;
  if (std::filesystem::exists(path))
    for (const auto& file : decode_manifest(read_text(path), path).files) {
      const mapped_file mapped{folder / file.name};
      if (mapped.bytes().size() == file.size && sha256(mapped.bytes()) != file.sha256)
        fail(folder / file.name, "is damaged (its SHA-256 differs from the manifest)");
    }
  return checkpoint_reader{folder}.manifest();
}

} // namespace skippipe::model
