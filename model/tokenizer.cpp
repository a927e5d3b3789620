#include "model/tokenizer.hpp"

#include "model/spm_module.hpp"

#include <dlfcn.h>

#include <stdexcept>

namespace skippipe::model {

namespace {

class byte_tokenizer final : public tokenizer {
public:
  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> result;
    result.reserve(text.size());
    for (unsigned char c : text)
      result.push_back(c);
    return result;
  }
  std::string decode(const std::vector<std::int32_t>& ids) const override {
    std::string result;
    for (auto id : ids)
      if (id >= 0 && id < 256)
        result.push_back(static_cast<char>(id));
    return result;
  }
  std::uint32_t vocab_size() const override { return 257; }
  std::int32_t end_of_text() const override { return 256; }
  std::string kind() const override { return "byte"; }
};

/// The functions of libskippipe_spm.so, which lies beside the program.
struct spm_module {
  decltype(&skippipe_spm_load) load;
  decltype(&skippipe_spm_train) train;
};

const spm_module& module() {
  static const spm_module loaded = [] {
    const auto file =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libskippipe_spm.so";
    // RTLD_DEEPBIND: SentencePiece must find its own protobuf, not the one that LibTorch brings.
    int mode = RTLD_NOW | RTLD_LOCAL;
// Sanitizers refuse RTLD_DEEPBIND; nothing with both LibTorch and SentencePiece runs under them.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    mode |= RTLD_DEEPBIND;
#endif
    void* handle = ::dlopen(file.c_str(), mode);
    if (handle == nullptr)
      throw std::runtime_error(std::string{"the SentencePiece module cannot be loaded: "}
                               + ::dlerror() + "; build it with ./tools/build");
    spm_module result{};
    result.load = reinterpret_cast<decltype(result.load)>(::dlsym(handle, "skippipe_spm_load"));
    result.train = reinterpret_cast<decltype(result.train)>(::dlsym(handle, "skippipe_spm_train"));
    if (result.load == nullptr || result.train == nullptr)
      throw std::runtime_error(file.string() + ": of another version; build it with ./tools/build");
    return result;
  }();
  return loaded;
}

} // namespace

std::unique_ptr<tokenizer> make_byte_tokenizer() { return std::make_unique<byte_tokenizer>(); }

std::unique_ptr<tokenizer> load_spm(const std::filesystem::path& model_file) {
  std::string error;
  std::unique_ptr<tokenizer> result{module().load(model_file.string(), error)};
  if (!result)
    throw std::runtime_error(error);
  return result;
}

void train_spm(std::string_view text, std::uint32_t vocab_size,
               const std::filesystem::path& model_file) {
  std::string error;
  if (!module().train(text, vocab_size, model_file, error))
    throw std::runtime_error(error);
}

} // namespace skippipe::model
