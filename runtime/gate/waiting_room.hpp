// Who is let in to show a certificate, and who has to go when it is full.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace skippipe::runtime::gate {

/// Accepted connections that have not been authenticated, bounded in number, in sum and per source.
/// When full, the one that goes is among those that have sent nothing yet, and the oldest of them: a
/// good peer speaks at once and needs milliseconds, so it is the least likely to be one.
class waiting_room {
public:
  waiting_room(std::size_t most, std::size_t most_per_source)
      : most_(most), most_per_source_(most_per_source) {}

  /// Takes `id` in; another one's id when that one has to go for it (call `leave` for it), else 0.
  /// Ids grow.
  std::uint64_t enter(std::uint64_t id, const std::string& source);
  /// `id` has sent something.
  void spoke(std::uint64_t id);
  /// Authenticated or gone; without effect for an id that is not here.
  void leave(std::uint64_t id);

  std::size_t size() const { return all_.size(); }
  bool holds(std::uint64_t id) const { return guests_.count(id) > 0; }

private:
  using rank = std::pair<bool, std::uint64_t>; ///< Has spoken, id.
  struct guest {
    std::string source;
    bool spoke = false;
  };
  const std::size_t most_, most_per_source_;
  std::map<std::uint64_t, guest> guests_;
  std::set<rank> all_;
  std::map<std::string, std::set<rank>> by_source_;
};

} // namespace skippipe::runtime::gate
