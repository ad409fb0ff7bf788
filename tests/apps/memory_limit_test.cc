// What memory is left, from files as Linux writes them and from a real limit; batches that do not
// fit.
#include "apps/lib/memory_limit.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/format.h"
#include "tests/support/files.h"

namespace verace::apps::memory_limit_test {
namespace {

using test::input_error;
using test::TempFolder;
using test::write_text;

// A machine with 1000 kB left.
MemorySources machine(const TempFolder& folder, const std::string& groups) {
  write_text(folder / "proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    1000 kB\nx: 1 kB\n");
  write_text(folder / "proc/self/cgroup", groups);
  return {folder / "proc", folder / "groups"};
}

void write_group(const TempFolder& folder, const std::string& name, const std::string& limit,
                 int64_t used, int64_t cached) {
  write_text(folder / ("groups/" + name + "/memory.max"), limit + "\n");
  write_text(folder / ("groups/" + name + "/memory.current"), std::to_string(used) + "\n");
  write_text(folder / ("groups/" + name + "/memory.stat"),
             text::format("anon 5\ninactive_file {}\nactive_file 7\n", cached));
}

TEST_CASE("the machine's memory, if nothing else limits it") {
  const TempFolder folder;
  CHECK(available_memory(machine(folder, "0::/\n")) == 1'024'000);
  CHECK(available_memory({folder / "nothing", folder / "here"}) == 0);
  CHECK(available_memory() > 0);
}

TEST_CASE("control groups: the least of a group and its parents, cached files not counted") {
  const TempFolder folder;
  const MemorySources sources = machine(folder, "0::/a/b\n");
  write_group(folder, "a", "500000", 100000, 0);
  write_group(folder, "a/b", "max", 50000, 0);
  CHECK(available_memory(sources) == 400'000);
  write_group(folder, "a/b", "300000", 250000, 200000);
  CHECK(available_memory(sources) == 250'000);
  write_group(folder, "a/b", "300000", 300000, 0);
  CHECK(available_memory(sources) == 1);  // nothing, which 0 does not say
  write_group(folder, "a/b", "90000000", 0, 0);
  write_group(folder, "a", "90000000", 0, 0);
  CHECK(available_memory(sources) == 1'024'000);
  // The first generation: other names, one folder per controller.
  const MemorySources old = machine(folder, "5:cpu,cpuacct:/x\n4:memory:/x/y\n");
  write_text(folder / "groups/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write_text(folder / "groups/memory/memory.usage_in_bytes", "77\n");
  CHECK(available_memory(old) == 1'024'000);
  write_text(folder / "groups/memory/x/y/memory.limit_in_bytes", "5000\n");
  write_text(folder / "groups/memory/x/y/memory.usage_in_bytes", "4000\n");
  write_text(folder / "groups/memory/x/y/memory.stat", "cache 9\ntotal_inactive_file 1000\n");
  CHECK(available_memory(old) == 2000);
}

TEST_CASE("a limit of address space leaves what is neither used nor the libraries'") {
  const TempFolder folder;
  MemorySources sources = machine(folder, "");
  write_text(folder / "proc/meminfo", "MemAvailable: 9000000 kB\n");
  const int64_t page = ::sysconf(_SC_PAGESIZE);
  // In a child, because a limit cannot be raised again; far above what it really needs.
  const auto in_child = [&](auto action) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(action() ? 0 : 1);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  };
  constexpr rlim_t kLimit = rlim_t{1} << 46;  // sanitizers take some
  write_text(
      folder / "proc/self/statm",
      text::format("{} 1 1 1 0 500 0\n", (static_cast<int64_t>(kLimit) - 500'000'000) / page));
  const auto limited = [&] {
    const rlimit limit{kLimit, kLimit};
    return ::setrlimit(RLIMIT_AS, &limit) == 0;
  };
  CHECK(in_child([&] {
    if (!limited()) return false;
    const int64_t left = available_memory(sources);
    return left > 371'000'000 && left < 373'000'000;
  }));
  write_text(
      folder / "proc/self/statm",
      text::format("{} 1 1 1 0 500 0\n", (static_cast<int64_t>(kLimit) - 100'000'000) / page));
  CHECK(in_child([&] {
    if (!limited()) return false;
    const std::string message = input_error([&] { available_memory(sources); });
    return message.find("`ulimit -v`") != std::string::npos &&
           message.find("raise the limit") != std::string::npos;
  }));
}

TEST_CASE("batches: bytes, the one that fits, and what happens when nothing can be planned") {
  // 1000 bytes for all, 100 for each picture.
  const auto cost = [](int64_t pictures) { return std::optional<int64_t>(1000 + 100 * pictures); };
  int released = 0;
  const auto demand = [&](int64_t flag, int64_t pictures, bool system_refuses = false) {
    return BatchDemand{flag, pictures,
                       [=] { return system_refuses ? std::nullopt : cost(pictures); },
                       [&] { ++released; }, cost};
  };
  CHECK_NOTHROW(require_memory(demand(10, 10), 2000));
  CHECK_NOTHROW(require_memory(demand(10, 10), 0));
  CHECK(released == 0);
  const std::string message = input_error([&] { require_memory(demand(64, 11), 2000); });
  CHECK(test::contains(message, "--batch 64: needs 0.0 MB, 0.0 MB are available, 100 bytes"));
  CHECK(test::contains(message, "use --batch 10"));
  CHECK(released == 1);
  CHECK(test::contains(input_error([&] { require_memory(demand(9, 9), 1099); }),
                       "not even --batch 1 fits"));
  CHECK(test::contains(input_error([&] { require_memory(demand(1, 1), 1000); }),
                       "not even --batch 1 fits"));
  // The system refuses the plan itself: its bytes are estimated.
  CHECK(test::contains(input_error([&] { require_memory(demand(100, 100, true), 2000); }),
                       "9000 bytes (0.0 MB) are missing: use --batch 10"));
  CHECK(test::contains(input_error([&] { require_memory(demand(100, 100, true), 0); }),
                       "which the system refuses: use a smaller one"));
  BatchDemand blind = demand(100, 100, true);
  blind.bytes_for = [](int64_t) { return std::optional<int64_t>(); };
  CHECK(test::contains(input_error([&] { require_memory(blind, 2000); }),
                       "too little is left to find out"));
}

}  // namespace
}  // namespace verace::apps::memory_limit_test
