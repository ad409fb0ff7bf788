// Asking the system for its limits, and searching the batch that fits into them.
#include "apps/lib/memory_limit.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <new>  // NOLINT(raw-memory): for std::bad_alloc
#include <string>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number behind `key` in a file of lines "key number ..."; with an empty key the file's first
// number. Empty when there is none ("max" included).
std::optional<int64_t> number_in(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  int64_t value = 0;
  if (key.empty()) return file >> value ? std::optional(value) : std::nullopt;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key + " ") && !line.starts_with(key + ":")) continue;
    try {
      return std::stoll(line.substr(key.size() + 1));
    } catch (const std::logic_error&) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

// The names of one generation of control groups.
struct GroupFiles {
  const char *limit, *used, *reclaimable;
};
constexpr GroupFiles kFirst = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                               "total_inactive_file"};
constexpr GroupFiles kSecond = {"memory.max", "memory.current", "inactive_file"};

// The least that a group and its parents up to `root` leave. In a container the inner folders may
// not be visible; what is not there limits nothing.
int64_t left_in_groups(const fs::path& root, const fs::path& below, const GroupFiles& files) {
  int64_t left = kUnlimited;
  for (fs::path path = below.relative_path();; path = path.parent_path()) {
    const fs::path group = root / path;
    const auto limit = number_in(group / files.limit, ""), used = number_in(group / files.used, "");
    if (limit && used) {
      // Cached files count as used but make room when memory is wanted.
      const int64_t cached = number_in(group / "memory.stat", files.reclaimable).value_or(0);
      left = std::min(left, std::max<int64_t>(*limit - *used + std::min(cached, *used), 0));
    }
    if (path.empty()) return left;
  }
}

int64_t left_by_groups(const MemorySources& sources) {
  std::ifstream file(sources.proc / "self/cgroup");
  int64_t left = kUnlimited;
  for (std::string line; std::getline(file, line);) {  // number:controllers:path
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (names == ",,") left = std::min(left, left_in_groups(sources.cgroup, path, kSecond));
    if (names.find(",memory,") != std::string::npos) {
      left = std::min(left, left_in_groups(sources.cgroup / "memory", path, kFirst));
    }
  }
  return left;
}

// Under a limit of address space the libraries' generated code, thread stacks and allocators count
// as well, and oneDNN crashes where it finds no place.
constexpr int64_t kLibraries = 128'000'000;

bool room_for_libraries() {
  void* address =
      ::mmap(nullptr, kLibraries, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) return false;
  ::munmap(address, kLibraries);
  return true;
}

int64_t left_by_limits(const MemorySources& sources) {
  std::ifstream file(sources.proc / "self/statm");
  int64_t total = 0, resident = 0, shared = 0, text = 0, library = 0, data = 0;  // pages
  if (!(file >> total >> resident >> shared >> text >> library >> data)) return kUnlimited;
  const int64_t page = ::sysconf(_SC_PAGESIZE);
  int64_t left = kUnlimited;
  const auto look = [&](auto resource, const char* name, int64_t pages) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
    const auto bytes = static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, kUnlimited));
    const int64_t free = bytes - pages * page - kLibraries;
    if (free <= 0) {
      fail_input(
          text::format("not enough memory: `{}` allows {:.1f} MB, more than {:.1f} MB are needed: "
                       "raise the limit",
                       name, megabytes(bytes), megabytes(bytes - free)));
    }
    left = std::min(left, free);
  };
  look(RLIMIT_AS, "ulimit -v", total);
  look(RLIMIT_DATA, "ulimit -d", data);
  return left;
}

bool address_space_is_limited() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

std::optional<int64_t> aside(const BatchDemand& demand, int64_t pictures) {
  return room_for_libraries() ? demand.bytes_for(pictures) : std::nullopt;
}

[[noreturn]] void refuse_without_advice(const BatchDemand& demand) {
  if (!demand.where.empty()) {
    fail_input(
        text::format("--batch {}: does not fit into memory {}, and too little is left to find out "
                     "what would: use a smaller one, freeze more, or free memory that other "
                     "programs hold",
                     demand.flag, demand.where));
  }
  fail_input(
      text::format("--batch {}: does not fit into memory, and too little is left to find out what "
                   "would: use a smaller one, or raise the limit (ulimit -v)",
                   demand.flag));
}

// Everything but the batch's share is the same for all sizes, and that share grows in proportion.
int64_t extrapolated(const BatchDemand& demand) {
  const auto one = aside(demand, 1), two = aside(demand, 2);
  if (!one || !two) refuse_without_advice(demand);
  return *two + (demand.pictures - 2) * (*two - *one);
}

[[noreturn]] void refuse(const BatchDemand& demand, int64_t needed, int64_t limit) {
  const std::string advice = batch_advice(demand, needed, limit);
  if (advice.empty()) refuse_without_advice(demand);
  const std::string place = demand.where.empty() ? "" : " " + demand.where;
  fail_input(
      text::format("--batch {}: needs {:.1f} MB{}, {:.1f} MB are available, {} bytes ({:.1f} MB) "
                   "are missing: {}",
                   demand.flag, megabytes(needed), place, megabytes(limit), needed - limit,
                   megabytes(needed - limit), advice));
}

// What plan() says; empty if there is no memory for it.
template <typename Plan>
std::optional<engine::PlanSummary> summary_of(Plan plan) {
  try {
    return plan();
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  } catch (const engine::OutOfMemory&) {
    return std::nullopt;
  }
}

// bytes_per_value: of pictures beside the plan, for each of their values.
template <typename Session>
void require_session_memory(Session& session, const BatchDemand& asked, int64_t bytes_per_value,
                            int64_t available) {
  const int64_t picture = session.picture_count() * bytes_per_value;
  const engine::MemoryKind memory = engine::memory_of(session.exec());
  const bool on_device = memory == engine::MemoryKind::kDevice;
  BatchDemand demand = asked;
  demand.release = [&] { session.release(); };
  const auto count = [&](const auto& bytes) {
    demand.plan = [&session, &asked, bytes] {
      const auto plan = summary_of([&] { return session.plan_summary(asked.pictures); });
      return plan ? std::optional(bytes(*plan, asked.pictures)) : std::nullopt;
    };
    demand.bytes_for = [&session, bytes](int64_t n) {
      const auto plan = summary_of([&] { return session.plan_aside(n); });
      return plan ? std::optional(bytes(*plan, n)) : std::nullopt;
    };
  };
  if (on_device) {
    count([](const engine::PlanSummary& plan, int64_t) { return plan.arena + plan.constants; });
    demand.where = "on the GPU";
    require_memory(demand, room_on_gpu());
    session.take_memory();
    demand.where.clear();
  }
  count([picture, on_device](const engine::PlanSummary& plan, int64_t n) {
    return n * picture + (on_device ? 0 : plan.arena + plan.constants);
  });
  require_memory(demand, available);
}

// Batches that wait in a loader, 8 bits per value.
constexpr int64_t kLoaderBatches = 4;
// And what an attack keeps of its batch as floats: clean, changed and rounded pictures, gradients.
constexpr int64_t kAttackCopies = 6 * sizeof(float);

}  // namespace

int64_t room_on_gpu() {
  const int64_t others = kernels::cuda_is_emulated ? 0 : int64_t{512} << 20;
  return std::max<int64_t>(engine::free_memory(engine::MemoryKind::kDevice) - others, 1);
}

int64_t available_memory(const MemorySources& sources) {
  const auto machine = number_in(sources.proc / "meminfo", "MemAvailable");
  const int64_t left = std::min(
      {machine ? *machine * 1024 : kUnlimited, left_by_groups(sources), left_by_limits(sources)});
  return left == kUnlimited ? 0 : std::max<int64_t>(left, 1);  // nothing left is not unknown
}

void spare_address_space() {
#if defined(__GLIBC__)
  if (address_space_is_limited()) ::mallopt(M_ARENA_MAX, 1);
#endif
}

std::string batch_advice(const BatchDemand& demand, int64_t needed, int64_t limit) {
  int64_t candidate = demand.pictures, bytes = needed;
  bool known = candidate == 1;
  while (candidate > 1) {
    // The estimate in proportion errs on the small side only by what does not depend on the batch.
    const auto guess = static_cast<int64_t>(
        static_cast<double>(candidate) * static_cast<double>(limit) / static_cast<double>(bytes));
    candidate = std::clamp<int64_t>(guess, 1, candidate - 1);
    const auto planned = aside(demand, candidate);
    if (!planned) continue;
    known = true;
    bytes = *planned;
    if (bytes <= limit) break;
  }
  if (!known) return "";
  return bytes <= limit
             ? text::format("use --batch {} ({:.1f} MB)", candidate, megabytes(bytes))
             : text::format(
                   "not even --batch {} fits ({:.1f} MB); freeze more, or use "
                   "a {} with more memory",
                   candidate, megabytes(bytes), demand.where.empty() ? "machine" : "GPU");
}

void require_memory(const BatchDemand& demand, int64_t limit) {
  const std::optional<int64_t> bytes = demand.plan();
  if (bytes && (limit == 0 || *bytes <= limit)) return;
  demand.release();
  const int64_t needed = bytes ? *bytes : std::max(extrapolated(demand), limit + 1);
  if (limit == 0) {
    fail_input(
        text::format("--batch {}: needs {:.1f} MB, which the system refuses: use a smaller one",
                     demand.flag, megabytes(needed)));
  }
  refuse(demand, needed, limit);
}

void require_memory(InferenceSession& session, int64_t flag, int64_t pictures, int64_t available) {
  require_session_memory(session, {flag, pictures, {}, {}, {}}, kLoaderBatches, available);
}

void require_memory(GradientSession& session, int64_t flag, int64_t pictures, int64_t available) {
  require_session_memory(session, {flag, pictures, {}, {}, {}}, kLoaderBatches + kAttackCopies,
                         available);
}

}  // namespace verace::apps
