// Reading and writing the file of plans.
#include "kernels/cudnn/plan_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/hash.h"

namespace verace::kernels::cudnn {
namespace {

constexpr std::string_view kMagic = "verace cuDNN plans, format 1";

std::string header(std::string_view body) {
  return text::format("{}, checksum {:016x}, {} bytes\n", kMagic, fnv1a(body), body.size());
}

class CacheWriter {
 public:
  template <typename T>
  void number(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof value);
  }
  void string(std::string_view value) {
    number(static_cast<uint64_t>(value.size()));
    out += value;
  }
  std::string out;
};

// Reads what CacheWriter wrote; false from the first piece on that is not there.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  template <typename T>
  bool number(T& value) {
    if (rest_.size() < sizeof value) return false;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return true;
  }
  bool string(std::string& value) {
    uint64_t size = 0;
    if (!number(size) || rest_.size() < size) return false;
    value = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// "NVIDIA H200" -> "nvidia-h200".
std::string file_name(const std::string& device) {
  std::string name;
  for (const char c : device) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) {
      name += static_cast<char>(std::tolower(byte));
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (name.ends_with('-')) name.pop_back();
  return "cudnn_plans-" + name + ".bin";
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Locks an open folder; gives up after two seconds: a stopped process may hold it.
bool lock(int folder) {
  for (int i = 0; i < 200; ++i) {
    if (::flock(folder, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  errno = EWOULDBLOCK;
  return false;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

PlanCache::PlanCache(const std::string& folder, const std::string& device, std::string environment,
                     Say say)
    : folder_(folder),
      path_(folder + "/" + file_name(device)),
      environment_(std::move(environment)),
      say_(std::move(say)),
      plans_(read(true)) {}

PlanCache::Plans PlanCache::read(bool aloud) const {
  std::ifstream file(path_, std::ios::binary);
  if (!file) return {};
  std::ostringstream content;
  content << file.rdbuf();  // of a folder: nothing
  const std::string bytes = std::move(content).str();
  const auto anew = [&](const std::string& why) {
    if (aloud) say_(one_line(path_ + ": " + why + ": convolutions are planned anew"));
    return Plans();
  };
  const size_t line = bytes.find('\n');
  if (!bytes.starts_with(kMagic)) return anew("is not a file of plans as this version writes it");
  const std::string_view body =
      std::string_view(bytes).substr(line == std::string::npos ? 0 : line + 1);
  if (line == std::string::npos || bytes.substr(0, line + 1) != header(body)) {
    return anew("is damaged");
  }
  Reader in(body);
  std::string environment;
  if (!in.string(environment)) return anew("is damaged");
  if (environment != environment_) {
    return anew(text::format("is of {}; this is {}", environment, environment_));
  }
  Plans plans;
  while (!in.at_end()) {
    std::string key;
    CachedPlan plan;
    if (!in.string(key) || !in.string(plan.saved.engine) || !in.string(plan.saved.serialised) ||
        !in.number(plan.nanoseconds) || !in.number(plan.timed)) {
      return anew("is damaged");
    }
    plans[key] = std::move(plan);
  }
  return plans;
}

std::optional<CachedPlan> PlanCache::find(const std::string& key) const {
  const auto found = plans_.find(key);
  return found == plans_.end() ? std::nullopt : std::optional(found->second);
}

void PlanCache::add(const std::string& key, CachedPlan plan) {
  plans_[key] = std::move(plan);
  added_.insert(key);
  forgotten_.erase(key);
}

void PlanCache::forget(const std::string& key) {
  plans_.erase(key);
  added_.erase(key);
  forgotten_.insert(key);
}

void PlanCache::save() {
  if (unwritable_ || (added_.empty() && forgotten_.empty())) return;
  std::error_code failed;
  std::filesystem::create_directories(folder_, failed);
  const Descriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  std::string trouble;
  if (folder.get() < 0) {
    trouble = std::strerror(errno);
  } else if (!lock(folder.get())) {
    trouble = text::format("no lock: {}", std::strerror(errno));
  } else {
    trouble = write(folder.get());
  }
  if (trouble.empty()) {
    added_.clear();
    forgotten_.clear();
    return;
  }
  unwritable_ = true;
  say_(
      one_line(text::format("{}: cannot be written ({}): later runs will plan their convolutions "
                            "anew; VERACE_CACHE names another folder",
                            path_, trouble)));
}

// Under the lock. Returns why it could not be done.
std::string PlanCache::write(int folder) {
  Plans plans = read(false);
  for (const std::string& key : forgotten_) plans.erase(key);
  for (const auto& [key, plan] : plans_) {
    if (added_.contains(key)) plans[key] = plan;
  }
  CacheWriter body;
  body.string(environment_);
  for (const auto& [key, plan] : plans) {
    body.string(key);
    body.string(plan.saved.engine);
    body.string(plan.saved.serialised);
    body.number(plan.nanoseconds);
    body.number(plan.timed);
  }
  // One name will do, and what a killed process leaves under it is overwritten: we hold the lock.
  const std::string temporary = path_ + ".new";
  const auto failed = [&] {
    std::string why = std::strerror(errno);
    ::unlink(temporary.c_str());
    return why;
  };
  {
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (file.get() < 0) return std::strerror(errno);
    if (!write_all(file.get(), header(body.out)) || !write_all(file.get(), body.out) ||
        ::fsync(file.get()) != 0) {
      return failed();
    }
  }
  if (::rename(temporary.c_str(), path_.c_str()) != 0) return failed();
  plans_ = std::move(plans);
  ::fsync(folder);  // where that fails the old file is there again after a crash, which will do
  return "";
}

}  // namespace verace::kernels::cudnn
