#include "runtime/daemon/known_clusters.hpp"

#include "runtime/config/address.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <system_error>

namespace skippipe::runtime::daemon {

namespace fs = std::filesystem;

namespace {

/// $XDG_STATE_HOME/skippipe/clusters, or below ~/.local/state.
fs::path folder() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
    return fs::path{state} / "skippipe" / "clusters";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/')
    return {};
  return fs::path{home} / ".local" / "state" / "skippipe" / "clusters";
}

fs::path file_of(const std::string& control) {
  const auto where = folder();
  return where.empty() || control.find('/') != std::string::npos ? fs::path{} : where / control;
}

/// The numeric addresses that a host's name stands for; none where nobody knows it.
std::set<std::string> numbers_of(const std::string& host) {
  std::set<std::string> result;
  addrinfo wanted{}, *found = nullptr;
  wanted.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(host.c_str(), nullptr, &wanted, &found) != 0)
    return result;
  for (const auto* one = found; one != nullptr; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST)
        == 0)
      result.insert(text);
  }
  ::freeaddrinfo(found);
  return result;
}

bool meet(const std::set<std::string>& a, const std::set<std::string>& b) {
  return std::any_of(a.begin(), a.end(), [&](const auto& x) { return b.contains(x); });
}

/// The cluster's file under whatever name its host was noted.
fs::path find_file(const std::string& control) {
  const auto exact = file_of(control);
  std::error_code problem;
  if (exact.empty() || fs::exists(exact, problem))
    return exact;
  const auto wanted = parse_address(control);
  if (!wanted)
    return {};
  const auto numbers = numbers_of(wanted->host);
  for (const auto& entry : fs::directory_iterator{folder(), problem}) {
    const auto known = parse_address(entry.path().filename().string());
    if (known && known->port == wanted->port && meet(numbers, numbers_of(known->host)))
      return entry.path();
  }
  return {};
}

} // namespace

void remember_cluster(const std::string& control, const fs::path& keys) {
  const auto file = file_of(control);
  if (file.empty())
    return;
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);
  std::ofstream{file} << fs::absolute(keys).string() << '\n';
}

void forget_cluster(const std::string& control) {
  const auto file = file_of(control);
  std::error_code ignored;
  if (!file.empty())
    fs::remove(file, ignored);
}

fs::path keys_of_cluster(const std::string& control) {
  const auto file = find_file(control);
  std::string line;
  if (!file.empty())
    std::getline(std::ifstream{file} >> std::ws, line);
  return line;
}

} // namespace skippipe::runtime::daemon
