// The emulator: schedules, the device API, what is left after an error, the log of kernels.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "kernels/simt/emulator/kernel_log.h"
#include "kernels/simt/emulator/options.h"
#include "tests/simt/device_buffer.h"
#include "tests/simt/emulator_kernels.h"

namespace verace::test::emulator_test {
namespace emulator = simt::emulator;
namespace {

// Calls body(schedule) with each schedule in force; the former one is in force afterwards.
template <class Body>
void for_each_schedule(Body&& body) {
  for (const auto& schedule : emulator::schedules()) {
    const emulator::UsedSchedule in_force(schedule);
    INFO("schedule ", std::string(schedule.name));
    body(schedule);
  }
}

std::vector<unsigned> order_of(unsigned blocks, unsigned threads) {
  const DeviceBuffer<unsigned> tickets(std::vector<unsigned>{0}), order(blocks * threads);
  const emulator::KeptOptions kept;
  emulator::options().os_threads = 1;
  run_order(tickets.data(), order.data(), blocks, threads);
  return order.copy();
}

TEST_CASE("a correct kernel gives the same bits under every schedule") {
  std::vector<float> x(1000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = 0.1f * static_cast<float>(i % 37);
  std::set<float> sums;
  for_each_schedule([&](const auto&) {
    const DeviceBuffer<float> from(x), to(1);
    block_sum(from.data(), to.data(), 1000);
    sums.insert(to.copy()[0]);
  });
  CHECK(sums.size() == 1);
  CHECK(*sums.begin() == doctest::Approx(std::accumulate(x.begin(), x.end(), 0.0)));
}

TEST_CASE("the five schedules are five orders") {
  std::set<std::vector<unsigned>> orders;
  for_each_schedule([&](const auto&) {
    const auto order = order_of(4, 96);
    std::vector<unsigned> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    for (unsigned i = 0; i < sorted.size(); ++i) REQUIRE(sorted[i] == i);  // each thread once
    orders.insert(order);
  });
  CHECK(orders.size() == 5);
}

TEST_CASE("forward and reverse are what they say") {
  const unsigned n = 4 * 96;
  std::vector<unsigned> up(n);
  std::iota(up.begin(), up.end(), 0u);
  CHECK(order_of(4, 96) == up);
  const emulator::UsedSchedule reverse(emulator::schedules()[1]);
  const std::vector<unsigned> down(up.rbegin(), up.rend());
  CHECK(order_of(4, 96) == down);
}

TEST_CASE("what is set for a while is restored when an exception leaves") {
  const std::string name = emulator::current_schedule().name;
  const bool lazy = emulator::options().lazy;
  const auto leave = [&] {
    const emulator::KeptOptions kept;
    emulator::options().lazy = !lazy;
    const emulator::UsedSchedule scatter(emulator::schedules()[4]);
    CHECK(std::string(emulator::current_schedule().name) == "scatter");
    throw 1;
  };
  CHECK_THROWS(leave());
  CHECK(emulator::current_schedule().name == name);
  CHECK(emulator::options().lazy == lazy);
}

TEST_CASE("a warp runs as far as it goes before the next, except under scatter") {
  for_each_schedule([&](const emulator::Schedule& schedule) {
    const DeviceBuffer<unsigned> tickets(std::vector<unsigned>{0}), order(128);
    run_order_after_shuffle(tickets.data(), order.data(), 128);
    const std::vector<unsigned> got = order.copy();
    bool greedy = true;
    for (size_t warp = 0; warp < 4; ++warp) {
      const auto first = got.begin() + static_cast<std::ptrdiff_t>(32 * warp);
      const auto [low, high] = std::minmax_element(first, first + 32);
      greedy = greedy && *high - *low == 31;
    }
    CHECK(greedy == (schedule.order != emulator::Order::kScatter));
  });
}

TEST_CASE("the device API computes what CUDA's guide says") {
  for_each_schedule([](const auto&) {
    const DeviceBuffer<float> results(std::vector<float>(32 * kApiResults * 2, 0.0f));
    const int count = device_api(results.data());
    REQUIRE(count > 40);
    REQUIRE(count <= static_cast<int>(kApiResults));
    const std::vector<float> all = results.copy();
    for (size_t lane = 0; lane < 32; ++lane) {
      for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        const float* pair = all.data() + (lane * kApiResults + i) * 2;
        INFO("lane ", lane, ", result ", i);
        CHECK(pair[0] == pair[1]);
      }
    }
  });
}

TEST_CASE("after a kernel was stopped the device goes on") {
  const DeviceBuffer<float> x(std::vector<float>(64, 1.0f)), sum(1);
  for (int round = 0; round < 3; ++round) {
    CHECK_THROWS_AS(stop(x.data()), const Error&);
    block_sum(x.data(), sum.data(), 64);
    CHECK(sum.copy()[0] == 64.0f);
  }
  CHECK(cudaGetLastError() == cudaSuccess);
}

// In the fast build on four OS threads; the sanitizers' builds have one.
TEST_CASE("a grid on several OS threads: fences, atomics, an error, the next launch") {
  const emulator::KeptOptions kept;
  emulator::options().os_threads = 4;
  constexpr unsigned kBlocks = 64, kThreads = 256 * kBlocks;
  const DeviceBuffer<float> x(std::vector<float>(kThreads, 1.0f)), parts(kBlocks), sum(1);
  for (int round = 0; round < 20; ++round) {
    const DeviceBuffer<unsigned> ticket(std::vector<unsigned>{0}), tickets(ticket.copy());
    const DeviceBuffer<unsigned> order(kThreads);
    last_block_sum(x.data(), parts.data(), ticket.data(), sum.data(), kBlocks);
    CHECK(sum.copy()[0] == float{kThreads});
    CHECK(ticket.copy()[0] == kBlocks);
    run_order(tickets.data(), order.data(), kBlocks, 256);
    std::vector<unsigned> sorted = order.copy();
    std::sort(sorted.begin(), sorted.end());
    bool each_once = true;
    for (unsigned i = 0; i < kThreads; ++i) each_once = each_once && sorted[i] == i;
    CHECK(each_once);
    CHECK_THROWS_AS(stop_in_last_block(x.data(), kBlocks), const Error&);
  }
}

TEST_CASE("a stopped kernel's error names launch, block, thread and both barriers") {
  const DeviceBuffer<float> x(std::vector<float>(64, 1.0f));
  std::string message;
  try {
    stop(x.data());
  } catch (const Error& error) {
    message = error.what();
  }
  INFO(message);
  CHECK(message.find("emulator_kernels.cu:") != std::string::npos);
  CHECK(message.find("block (0,0,0): thread (32,0,0): divergent barrier") != std::string::npos);
  CHECK(message.find("thread 0 at") != std::string::npos);
}

TEST_CASE("a kernel without barriers costs two switches per block") {
  const emulator::Counters before = emulator::counters();
  order_of(10, 256);
  const emulator::Counters& after = emulator::counters();
  CHECK(after.launches - before.launches == 1);
  CHECK(after.blocks - before.blocks == 10);
  CHECK(after.threads - before.threads == 2560);
  CHECK(after.switches - before.switches == 20);
}

TEST_CASE("the log names each kernel with build, schedule and each launch larger than before") {
  const std::string file = std::string(VERACE_PLANTED) + ".log";
  std::remove(file.c_str());
  const std::string command = "VERACE_SIMT_LOG='" + file + "' '" + VERACE_PLANTED +
                              "' 'ok: dynamic shared memory, 64 KiB, allowed' > /dev/null";
  REQUIRE(std::system(command.c_str()) == 0);
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::vector<std::string> want;
  for (const emulator::Schedule& schedule : emulator::schedules()) {
    for (const char* dynamic_shared : {"1024", "65536"}) {
      want.push_back(std::string(emulator::build_kind()) + "\t" + schedule.name + "\t256\t" +
                     dynamic_shared +
                     "\tverace::test::reverse_dynamic_kernel(float const*, float*)");
    }
  }
  CHECK(lines == want);
  std::remove(file.c_str());
}

}  // namespace
}  // namespace verace::test::emulator_test
