// Files that daemons hand to each other: datasets, checkpoints and the copies of these.
#pragma once

#include "runtime/daemon/wire.hpp"

#include <caf/all.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace skippipe::runtime::daemon {

struct file_entry {
  std::string name;
  std::uint64_t size = 0;
  std::string sha256;
};
/// Files that belong together, by content: `id` is the SHA-256 over their names, sizes and hashes.
struct file_set {
  std::string id; ///< Empty: none.
  std::vector<file_entry> files;
};
struct file_part_request {
  std::string set, name;
  std::uint64_t offset = 0;
};
struct file_part {
  wire_bytes bytes; ///< Empty at the file's end.
  std::string error;
};
/// Who has files.
using file_source = caf::typed_actor<caf::replies_to<file_part_request>::with<file_part>>;

/// Scheduler to node: hold a copy of this checkpoint and go on holding the sets in `keep`; no others of the
/// job.
struct copy_order {
  std::string job;
  file_set files; ///< To be fetched from the scheduler; empty: nothing new.
  std::vector<std::string> keep;
};
/// Node to scheduler: the copy is held, every byte of it verified, or why not.
struct copy_report {
  std::string job, set, error;
};

template <class F>
typename F::result_type inspect(F& f, file_entry& x) {
  return f(caf::meta::type_name("skippipe.file_entry"), x.name, x.size, x.sha256);
}
template <class F>
typename F::result_type inspect(F& f, file_set& x) {
  return f(caf::meta::type_name("skippipe.file_set"), x.id, x.files);
}
template <class F>
typename F::result_type inspect(F& f, file_part_request& x) {
  return f(caf::meta::type_name("skippipe.file_part_request"), x.set, x.name, x.offset);
}
template <class F>
typename F::result_type inspect(F& f, file_part& x) {
  return f(caf::meta::type_name("skippipe.file_part"), x.bytes, x.error);
}
template <class F>
typename F::result_type inspect(F& f, copy_order& x) {
  return f(caf::meta::type_name("skippipe.copy_order"), x.job, x.files, x.keep);
}
template <class F>
typename F::result_type inspect(F& f, copy_report& x) {
  return f(caf::meta::type_name("skippipe.copy_report"), x.job, x.set, x.error);
}

} // namespace skippipe::runtime::daemon
