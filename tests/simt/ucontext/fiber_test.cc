// Switching stacks by the C library, which processors other than x86-64 use: fibers begin, go on
// where they were, are given up and begin anew.
#include "kernels/simt/emulator/fiber.h"

#include <doctest/doctest.h>

#include <fstream>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
// Frames then lie apart from the stack, and abandoned ones have to be given back.
extern "C" const char* __asan_default_options() { return "detect_stack_use_after_return=1"; }
#endif

namespace verace::test::fiber_test {
namespace {

using simt::emulator::Fiber;

static_assert(VERACE_SIMT_UCONTEXT == 1, "this test is for the switch that x86-64 does not need");

constexpr int kFibers = 5;

struct Scene {
  Fiber main;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<int> trace;
  int running = 0;
};
Scene* scene = nullptr;

void back_to_main(bool abandon = false) {
  Fiber::change(*scene->fibers[static_cast<size_t>(scene->running)], scene->main, abandon);
}

// Says its number twice, between visits to the main stack, with a local variable that must survive.
void entry() {
  Fiber::entered();
  volatile int local = 10 * scene->running;
  volatile int* const kept = &local;
  scene->trace.push_back(local + 1);
  back_to_main();
  scene->trace.push_back(*kept + 2);
  back_to_main(true);
}

void run(int fiber) {
  scene->running = fiber;
  Fiber::change(scene->main, *scene->fibers[static_cast<size_t>(fiber)]);
}

TEST_CASE("fibers of the C library go on where they were, and begin anew after restart") {
  Scene all;
  scene = &all;
  for (int i = 0; i < kFibers; ++i) all.fibers.push_back(std::make_unique<Fiber>(entry));
  std::vector<int> want;
  for (int round = 0; round < 3; ++round) {
    for (const int part : {1, 2}) {
      for (int i = 0; i < kFibers; ++i) {
        run(i);
        want.push_back(10 * i + part);
      }
    }
    for (auto& fiber : all.fibers) fiber->restart();
  }
  run(0);  // half way, then given up
  all.fibers[0]->restart();
  run(0);
  want.insert(want.end(), {1, 1});
  CHECK(all.trace == want);
  scene = nullptr;
}

size_t pages_of_this_process() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages;
}

TEST_CASE("fibers that are given up cost no memory") {
  Scene all;
  scene = &all;
  all.fibers.push_back(std::make_unique<Fiber>(entry));
  size_t before = 0;
  for (int i = 0; i < 1000; ++i) {
    if (i == 10) before = pages_of_this_process();
    run(0);
    all.fibers[0]->restart();
  }
  CHECK(pages_of_this_process() < before + 10000);
  scene = nullptr;
}

TEST_CASE("a fiber knows its own stack") {
  const Fiber fiber(entry);
  const int here = 0;
  CHECK_FALSE(fiber.contains(&here));
}

}  // namespace
}  // namespace verace::test::fiber_test
