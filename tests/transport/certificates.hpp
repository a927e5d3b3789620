// A private CA for tests, made on the spot.
#pragma once

#include <filesystem>
#include <string>

namespace skippipe::transport::testing {

struct key_files {
  std::string ca, certificate, key;
};

/// A CA in a fresh temporary folder, removed at the end.
class test_ca {
public:
  test_ca();
  ~test_ca();
  test_ca(const test_ca&) = delete;
  test_ca& operator=(const test_ca&) = delete;

  /// Issues a certificate for `name`; files are named after it.
  key_files issue(const std::string& name) const;

private:
  std::filesystem::path folder_;
  void* key_ = nullptr;
  void* certificate_ = nullptr;
};

} // namespace skippipe::transport::testing
