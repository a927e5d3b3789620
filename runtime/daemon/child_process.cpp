#include "runtime/daemon/child_process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

namespace skippipe::runtime::daemon {

child_process::child_process(const std::vector<std::string>& words,
                             const std::filesystem::path& log) {
  int ends[2] = {-1, -1};
  const int errors = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (errors < 0 || ::pipe2(ends, O_CLOEXEC) != 0)
    throw std::runtime_error(log.string() + ": cannot be written: " + std::strerror(errno));
  std::vector<char*> arguments;
  for (const auto& word : words)
    arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const auto parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    // Between fork and exec only async-signal-safe functions.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent)
      ::_exit(127);
    // What this process ignores (a script's `up &`: SIGINT), the child must not: it would never end.
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
      ::signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  ::close(errors);
  if (pid_ < 0) {
    ::close(ends[0]);
    throw std::runtime_error(words[0] + ": cannot be started: " + std::strerror(errno));
  }
  output_ = ends[0];
  ::fcntl(output_, F_SETFL, O_NONBLOCK);
}

child_process::~child_process() {
  int status = 0;
  if (pid_ > 0 && !ended(status)) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status, 0);
  }
  if (output_ >= 0)
    ::close(output_);
}

bool child_process::read_lines(std::vector<std::string>& lines) {
  char bytes[4096];
  ssize_t n = 0;
  while ((n = ::read(output_, bytes, sizeof bytes)) > 0) {
    partial_.append(bytes, static_cast<std::size_t>(n));
    for (auto end = partial_.find('\n'); end != std::string::npos; end = partial_.find('\n')) {
      lines.push_back(partial_.substr(0, end));
      partial_.erase(0, end + 1);
    }
  }
  if (n < 0 && errno == EAGAIN)
    return true;
  ::close(output_);
  output_ = -1;
  return false;
}

void child_process::signal(int number) const {
  if (pid_ > 0)
    ::kill(pid_, number);
}

bool child_process::ended(int& status) {
  int raw = 0;
  if (pid_ <= 0)
    return true;
  if (::waitpid(pid_, &raw, WNOHANG) != pid_)
    return false;
  status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  pid_ = -1;
  return true;
}

} // namespace skippipe::runtime::daemon
