// Placement, planning and running of steps.
#include "engine/step.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/placement.h"
#include "engine/rng.h"
#include "kernels/check.h"

namespace verace::engine::step_test {
namespace {

kernels::Exec cpu() { return kernels::make_exec(kernels::DeviceKind::kCpu, 1); }

// y = x * factor + shift, as an operation.
void append_affine(StepBuilder& b, Value x, Value y, float factor, float shift, int64_t count) {
  b.add({"affine", "affine", {x}, {y}, 2 * count, [=](const StepMemory& m) {
           for (int64_t i = 0; i < count; ++i) m.f32(y)[i] = m.f32(x)[i] * factor + shift;
         }});
}

bool overlap_in_time(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

}  // namespace

TEST_CASE("placement: the worked example of docs/learn/planned_step.md") {
  constexpr int64_t kKib = 1024;
  const Placement apart =
      place({{64 * kKib, 0, 3}, {32 * kKib, 1, 2}, {32 * kKib, 2, 3}, {64 * kKib, 3, 4}});
  CHECK(apart.offsets == std::vector<int64_t>{0, 64 * kKib, 128 * kKib, 64 * kKib});
  CHECK(apart.bytes == 160 * kKib);
  // The last one in the bytes of the first.
  const Placement in_place = place({{64 * kKib, 0, 4}, {32 * kKib, 1, 2}, {32 * kKib, 2, 3}});
  CHECK(in_place.offsets == std::vector<int64_t>{0, 64 * kKib, 96 * kKib});
  CHECK(in_place.bytes == 128 * kKib);
}

TEST_CASE("placement: buffers that live together never share bytes, others do") {
  const Philox random(5);
  for (uint64_t round = 0; round < 50; ++round) {
    std::vector<Lifetime> lifetimes;
    int64_t total = 0;
    for (uint64_t i = 0; i < 60; ++i) {
      const uint64_t at = (round * 60 + i) * 4;
      const auto first = static_cast<int32_t>(random.below(at, 100));
      const auto length = static_cast<int32_t>(random.below(at + 1, 12));
      const auto bytes = static_cast<int64_t>(random.below(at + 2, 10000));
      lifetimes.push_back({bytes, first, first + length});
      total += align_up(bytes);
    }
    const Placement placement = place(lifetimes);
    int64_t needed = 0;  // the most that lives at one time: no placement can do with less
    for (int32_t time = 0; time < 120; ++time) {
      int64_t now = 0;
      for (const Lifetime& life : lifetimes)
        now += life.first <= time && time <= life.last ? align_up(life.bytes) : 0;
      needed = std::max(needed, now);
    }
    CHECK(placement.bytes >= needed);
    CHECK(placement.bytes <= needed * 3 / 2);
    CHECK(placement.bytes < total);
    for (size_t i = 0; i < lifetimes.size(); ++i) {
      CHECK(placement.offsets[i] % kAlignment == 0);
      CHECK(placement.offsets[i] + lifetimes[i].bytes <= placement.bytes);
      for (size_t j = 0; j < i; ++j) {
        if (!overlap_in_time(lifetimes[i], lifetimes[j])) continue;
        const bool apart = placement.offsets[i] + lifetimes[i].bytes <= placement.offsets[j] ||
                           placement.offsets[j] + lifetimes[j].bytes <= placement.offsets[i];
        CHECK(apart);
      }
    }
  }
}

TEST_CASE("a chain of operations shares memory, runs, and is counted") {
  constexpr int64_t kCount = 1000;
  StepBuilder b(cpu());
  const Value x = b.input("x", DType::kF32, {kCount});
  Value v = x;
  for (int i = 0; i < 10; ++i) {
    const Value next = b.temporary("t" + std::to_string(i), DType::kF32, {kCount});
    append_affine(b, v, next, 2.0f, 1.0f, kCount);
    v = next;
  }
  b.keep(v);
  Step step = std::move(b).plan(std::make_shared<Arena>());
  // Input and output live throughout, two temporaries at a time.
  CHECK(step.summary().arena == 4 * align_up(kCount * 4));
  CHECK(step.summary().unshared == 11 * align_up(kCount * 4));
  CHECK(step.summary().operations == 10);
  CHECK(step.summary().flops == 10 * 2 * kCount);
  for (int run = 0; run < 2; ++run) {
    std::fill_n(step.memory().f32(x), kCount, static_cast<float>(run));
    Trace trace;
    int observed = 0;
    step.run(&trace, [&](const Operation&, const StepMemory&) { ++observed; });
    CHECK(observed == 10);
    CHECK(trace.events().size() == 10);
    CHECK(step.memory().f32(v)[kCount - 1] == 1024.0f * static_cast<float>(run) + 1023.0f);
  }
  CHECK(step.plan_table().find("10 operations") != std::string::npos);
}

TEST_CASE("a plan tells where each buffer is and when it lives") {
  StepBuilder b(cpu());
  const Value x = b.input("x", DType::kF32, {100}), u = b.temporary("u", DType::kF32, {50});
  const Value v = b.temporary("v", DType::kF32, {50}), unused = b.temporary("w", DType::kF32, {9});
  (void)unused;
  const auto nothing = [](const StepMemory&) {};
  b.add({"first", "k", {x}, {u}, 0, nothing});
  const Value same = b.in_place(u, "same");
  b.add({"second", "k", {u}, {same}, 0, nothing});
  b.add({"third", "k", {same}, {v}, 0, nothing});
  b.add({"fourth", "k", {v}, {v}, 0, nothing});
  const Step step = std::move(b).plan(std::make_shared<Arena>());
  const std::vector<PlannedBuffer> buffers = step.buffers();
  REQUIRE(buffers.size() == 3);
  CHECK(buffers[0].name == "x");
  CHECK(buffers[0].bytes == 400);
  CHECK(buffers[0].first == 0);
  CHECK(buffers[0].last == 4);  // the caller's: it outlives the step
  CHECK(buffers[1].name == "u");
  CHECK(buffers[1].first == 0);
  CHECK(buffers[1].last == 2);  // as "same" too
  CHECK(buffers[2].name == "v");
  CHECK(buffers[2].first == 2);
  CHECK(buffers[2].last == 3);
  for (const PlannedBuffer& buffer : buffers) {
    CHECK(buffer.offset + buffer.bytes <= step.summary().arena);
  }
  CHECK(buffers[1].offset != buffers[2].offset);  // both live during "third"
}

TEST_CASE("steps share an arena; a growing one does not disturb the offsets of the other") {
  auto arena = std::make_shared<Arena>();
  StepBuilder small(cpu()), large(cpu());
  const Value a = small.input("a", DType::kF32, {16}), c = small.temporary("c", DType::kF32, {16});
  append_affine(small, a, c, 1.0f, 5.0f, 16);
  small.keep(c);
  Step first = std::move(small).plan(arena);
  const Value d = large.input("d", DType::kF32, {100000});
  const Value e = large.in_place(d, "e");
  append_affine(large, d, e, 3.0f, 0.0f, 100000);
  large.keep(e);
  Step second = std::move(large).plan(arena);
  std::fill_n(first.memory().f32(a), 16, 1.0f);
  first.run();
  CHECK(first.memory().f32(c)[15] == 6.0f);
  std::fill_n(second.memory().f32(d), 100000, 2.0f);
  second.run();
  CHECK(second.memory().f32(e)[99999] == 6.0f);
}

TEST_CASE("planning refuses reads before writes and reads of overwritten values") {
  {
    StepBuilder b(cpu());
    const Value x = b.temporary("x", DType::kF32, {4}), y = b.temporary("y", DType::kF32, {4});
    append_affine(b, x, y, 1, 0, 4);
    CHECK_THROWS_AS(std::move(b).plan(std::make_shared<Arena>()), Error);
  }
  {
    StepBuilder b(cpu());
    const Value x = b.input("x", DType::kF32, {4});
    const Value y = b.in_place(x, "y"), z = b.temporary("z", DType::kF32, {4});
    append_affine(b, x, y, 1, 0, 4);
    append_affine(b, x, z, 1, 0, 4);  // x is gone
    CHECK_THROWS_WITH_AS(std::move(b).plan(std::make_shared<Arena>()),
                         doctest::Contains("already overwritten"), Error);
  }
}

TEST_CASE("the tape runs backwards and sums more than two contributions") {
  StepBuilder b(cpu());
  const Value x = b.input("x", DType::kF32, {2});
  std::vector<int> order;
  b.on_backward([&] { order.push_back(1); });
  b.on_backward([&] { order.push_back(2); });
  b.backward();
  CHECK(order == std::vector<int>{2, 1});
  Value parts[3];
  for (int i = 0; i < 3; ++i) {
    parts[i] = b.temporary("g", DType::kF32, {2});
    append_affine(b, x, parts[i], static_cast<float>(i + 1), 0, 2);
    b.add_gradient(x, parts[i]);
  }
  const std::vector<Value> sums = b.gradients(x);
  REQUIRE(sums.size() == 2);
  for (const Value v : sums) b.keep(v);
  Step step = std::move(b).plan(std::make_shared<Arena>());
  step.memory().f32(x)[0] = 10.0f;
  step.run();
  CHECK(step.memory().f32(sums[0])[0] + step.memory().f32(sums[1])[0] == 60.0f);
  CHECK(step.memory().f32(sums[0])[0] == 10.0f);
}

TEST_CASE("values say what they mean, and gradients of what") {
  StepBuilder b(cpu());
  const Value x = b.input("x", DType::kF32, {2});
  const Value y = b.temporary("y", DType::kF32, {2});
  CHECK(b.info(x).role == ValueRole::kActivation);
  CHECK(b.info(y).role == ValueRole::kActivation);
  CHECK(b.info(*b.scratch("s", 8)).role == ValueRole::kAuxiliary);
  const Value mean = b.temporary("mean", DType::kF32, {2});
  b.set_role(mean, ValueRole::kStatistic);
  CHECK(b.info(mean).role == ValueRole::kStatistic);
  const Value dy = b.temporary("dy", DType::kF32, {2});
  b.add_gradient(y, dy);
  CHECK(b.info(dy).role == ValueRole::kGradient);
  CHECK(b.info(dy).gradient_of == y.id);
  CHECK(b.gradients(y).size() == 1);
  const Value dz = b.in_place(dy, "dz");  // still a gradient, but not of y
  CHECK(b.info(dz).role == ValueRole::kGradient);
  CHECK(b.info(dz).gradient_of == -1);
  b.mark_gradient(x, dz);
  CHECK(b.info(dz).gradient_of == x.id);
  CHECK(b.gradients(x).empty());  // only marked
  CHECK(b.info(dy).gradient_of == y.id);
  CHECK(b.info(b.in_place(y, "y2")).role == ValueRole::kActivation);
}

TEST_CASE("preparations run before the step, into tensors that it owns") {
  StepBuilder b(cpu());
  Tensor& constant = b.constant("c", {3});
  int prepared = 0;
  b.add_preparation({"prepare", "fold", {}, {}, 0, [&](const StepMemory&) {
                       ++prepared;
                       constant.f32()[2] = 4.0f;
                     }});
  const Value y = b.temporary("y", DType::kF32, {1});
  b.add({"copy", "copy", {}, {y}, 0, [&constant, y](const StepMemory& m) {
           *m.f32(y) = constant.f32()[2];
         }});
  b.keep(y);
  Step step = std::move(b).plan(std::make_shared<Arena>());
  step.prepare();
  step.run();
  CHECK(prepared == 1);
  CHECK(*step.memory().f32(y) == 4.0f);
  CHECK(step.summary().constants == 12);
}

TEST_CASE("a trace makes a table and what Chrome can read") {
  Trace trace;
  trace.add({"a", "conv forward", 0, 1000, 2000000});
  trace.add({"b", "conv forward", 1000, 1000, 2000000});
  trace.add({"c", "add", 2000, 500, 0});
  const std::string table = trace.table();
  CHECK(table.find("conv forward") < table.find("add"));
  CHECK(table.find("80.0%") != std::string::npos);
  CHECK(table.find("2.0") != std::string::npos);
  CHECK(trace.chrome_json().starts_with(Trace::kChromeStart));
  const nlohmann::json document = nlohmann::json::parse(trace.chrome_json());
  CHECK(document["traceEvents"].size() == 3);
  CHECK(document["traceEvents"][1]["ts"] == 1000);
}

}  // namespace verace::engine::step_test
