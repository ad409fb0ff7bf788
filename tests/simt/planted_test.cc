// The detectors' own test: what each build must say of every planted bug, and that it says nothing
// of the look-alikes.
#include <doctest/doctest.h>

#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/simt/emulator/options.h"

namespace verace::test::planted_test {
namespace {

// A part of the report that each build must give. kAny: this build need not notice (another does);
// kSilent: it must not say anything.
constexpr const char *kAny = "", *kSilent = "SILENT", *kResult = "RESULT";

constexpr const char* kUnwritten = "that no thread of the block has written so far: byte";

struct Expectation {
  const char* name;
  const char *fast, *asan, *check;
};

// What the scheduler and the runtime stand-in notice is noticed in every build.
constexpr Expectation everywhere(const char* name, const char* report) {
  return {name, report, report, report};
}
constexpr Expectation look_alike(const char* name) { return everywhere(name, kSilent); }

constexpr Expectation kExpectations[] = {
    {"barrier missing between write and read", kResult, kResult, kUnwritten},
    {"barrier missing between read and next write", kResult, kResult, "data race on byte"},
    {"barrier missing in a tree sum", kResult, kResult, "data race on byte"},
    {"blocks write the same elements", kAny, kAny,
     "written by thread 200 of block 0 at planted_synchronisation.cu:"},
    everywhere("barriers at different lines", "divergent barrier"),
    everywhere("early return before a barrier", "returns while thread 0 waits at the barrier"),
    everywhere("barrier in a loop of unequal length", "but 128 threads of the block have returned"),
    {"last block without a fence", kAny, kAny,
     "data race on byte 0 of global memory: read by this thread"},
    {"float atomics: the sum depends on the order", kResult, kResult, kResult},
    everywhere("shuffle in one warp, barrier in the others",
               "deadlock: thread 0 waits in __syncthreads"),
    everywhere("two kinds of barrier in one", "divergent barrier"),
    {"counter without atomics", kAny, kAny, "data race on byte 0 of global memory"},
    {"last block with a fence for one lane of many", kAny, kAny, "data race on byte"},
    {"last block by a ticket taken too early", kAny, kAny,
     "data race on byte 0 of global memory: read by this thread"},
    everywhere("barriers of a helper called in two branches", "divergent barrier"),
    {"__syncwarp missing", kResult, kResult, kUnwritten},
    {"a shuffle taken for __syncwarp", kAny, kAny, "data race on byte"},
    everywhere("shuffle of all lanes in a branch", "returns while other lanes wait for it"),
    everywhere("shuffle from a lane outside the mask", "lane 8 reads lane 16, which takes no part"),
    everywhere("mask leaves out the caller", "leaves out the calling lane 31"),
    everywhere("mask names a lane that has returned", "returns while other lanes wait for it"),
    everywhere("shuffle width no power of two", "width 24 is no power of two"),
    everywhere("lanes disagree about the mask", "divergent warp operation"),
    everywhere("shuffles of a helper called in two branches", "divergent warp operation"),
    {"global read one past the end", kAny, "heap-buffer-overflow",
     "starts 0 bytes past the end of a device allocation of 2800 bytes"},
    {"global read before the beginning", kAny, "heap-buffer-overflow",
     "which is not memory of the device"},
    {"float4 store past the end", kAny, "heap-buffer-overflow",
     "write of 16 bytes runs past the end of a device allocation of 244"},
    {"shared array index past the end", kAny, "index 256 out of bounds",
     "read of 4 bytes starts 0 bytes past the end of a shared array of 1024 bytes"},
    {"shared array index past the end, by pointer", kAny, "insufficient space",
     "read of 4 bytes starts 0 bytes past the end of a shared array of 1024 bytes"},
    {"shared array overrun into the next", kAny, "insufficient space",
     "write of 4 bytes starts 0 bytes past the end of a shared array of 256 bytes"},
    {"dynamic shared memory too small", kAny, "heap-buffer-overflow",
     "starts 0 bytes past the end of the launch's dynamic shared memory of 1000 bytes"},
    everywhere("dynamic shared memory not asked for", "the launch asked for none"),
    {"misaligned float4 load", kAny, "misaligned address", "no multiple of 16"},
    everywhere("misaligned vector load of fp16", "which is no multiple of 16"),
    {"shared accumulator not initialised", kResult, kResult, kUnwritten},
    {"global accumulator not initialised", kResult, kResult,
     "that nothing has written: byte 0 of global memory"},
    {"output partly not written", kResult, kResult,
     "copy to the host of 4 bytes that nothing has written"},
    {"output partly not written, copied to pinned memory", kResult, kResult,
     "copy to the host of 4 bytes that nothing has written"},
    {"managed memory without contents read", kResult, kResult,
     "that nothing has written: byte 256 of global memory"},
    {"managed output partly not written", kResult, kResult, "1 elements that nothing had written"},
    {"host pointer given to a kernel", kAny, kAny,
     "which is not memory of the device (a pointer of the host?)"},
    {"static data of the host given to a kernel", kAny, kAny, "which is static data of the host"},
    {"static data of a function given to a kernel", kAny, kAny, "which is static data of the host"},
    {"device buffer used after cudaFree", kAny, "heap-use-after-free",
     "which is not memory of the device"},
    {"int overflow in an index", kAny, "signed integer overflow", kAny},
    {"local array overrun", kAny, "index 4 out of bounds", kAny},
    {"read of a guard", kAny, "use-after-poison", "is a guard"},
    everywhere("2048 threads per block", "invalid configuration argument"),
    everywhere("block of 65 layers", "invalid configuration argument"),
    everywhere("grid of no blocks", "invalid configuration argument"),
    everywhere("grid too high", "invalid configuration argument"),
    everywhere("64 KiB of dynamic shared memory, not allowed",
               "more dynamic shared memory than the kernel was allowed"),
    everywhere("copy in the wrong direction", "cudaMemcpy: invalid argument"),
    everywhere("copy past the end of a device buffer", "cudaMemcpy: invalid argument"),
    look_alike("ok: barrier between write and read"),
    look_alike("ok: barrier between read and next write"),
    look_alike("ok: barriers in a tree sum"),
    look_alike("ok: __syncwarp"),
    look_alike("ok: last block with a fence"),
    look_alike("ok: float4 with a tail"),
    look_alike("ok: neighbouring halves of a word by two threads"),
    look_alike("ok: shuffle of half a warp, with its mask"),
    look_alike("ok: whole warps return early"),
    look_alike("ok: atomic counter"),
    look_alike("ok: constant table and local array"),
    look_alike("ok: dynamic shared memory, 64 KiB, allowed"),
    look_alike("ok: last block with a fence after __syncwarp"),
    look_alike("ok: last block, all of whose threads read"),
    look_alike("ok: last warp, all of whose lanes read"),
    look_alike("ok: copy from a static array of the host"),
    look_alike("ok: managed memory that a kernel, or the host, has written"),
};

struct Run {
  std::string output;
  int status;
};

Run run(const std::string& arguments) {
  struct Close {
    void operator()(std::FILE* f) const { pclose(f); }
  };
  const std::string command = std::string("'") + VERACE_PLANTED + "' " + arguments + " 2>&1";
  std::unique_ptr<std::FILE, Close> pipe(popen(command.c_str(), "r"));
  REQUIRE(pipe != nullptr);
  Run result;
  char buffer[4096];
  while (const size_t got = std::fread(buffer, 1, sizeof buffer, pipe.get())) {
    result.output.append(buffer, got);
  }
  result.status = pclose(pipe.release());
  return result;
}

const char* expected(const Expectation& expectation) {
  const std::string build = simt::emulator::build_kind();
  return build == "fast"   ? expectation.fast
         : build == "asan" ? expectation.asan
                           : expectation.check;
}

TEST_CASE("every planted case has its expectation, and the other way round") {
  std::istringstream names(run("").output);
  std::vector<std::string> known;
  for (std::string name; std::getline(names, name);) known.push_back(name);
  REQUIRE(known.size() == std::size(kExpectations));
  for (size_t i = 0; i < known.size(); ++i) CHECK(known[i] == kExpectations[i].name);
}

TEST_CASE("at least 26 planted bugs are noticed by asan or check, 6 look-alikes by nobody") {
  int bugs = 0, look_alikes = 0;
  for (const Expectation& expectation : kExpectations) {
    const bool is_look_alike = std::string(expectation.name).rfind("ok:", 0) == 0;
    INFO(expectation.name);
    if (is_look_alike) {
      ++look_alikes;
      for (const char* build : {expectation.fast, expectation.asan, expectation.check}) {
        CHECK(std::string(build) == kSilent);
      }
    } else {
      ++bugs;
      const bool asan = std::string(expectation.asan) != kAny;
      const bool check = std::string(expectation.check) != kAny;
      CHECK((asan || check));
    }
  }
  CHECK(bugs >= 26);
  CHECK(look_alikes >= 6);
}

TEST_CASE("this build notices the planted bugs that it must notice") {
  for (const Expectation& expectation : kExpectations) {
    const std::string wanted = expected(expectation);
    const Run got = run(std::string("'") + expectation.name + "'");
    INFO(expectation.name, "\n", got.output.substr(0, 2000));
    if (wanted == kSilent) {
      CHECK(got.output == "SILENT\n");
      CHECK(got.status == 0);
    } else if (wanted != kAny) {
      CHECK(got.output.find(wanted) != std::string::npos);
      CHECK(got.status != 0);
    }
  }
}

}  // namespace
}  // namespace verace::test::planted_test
