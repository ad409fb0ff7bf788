// Loss scaling: the rule by hand, every place and type of a number that is not finite, unscaling,
// and a whole run of steps that never asks the host.
#include "kernels/loss_scale.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::loss_scale_test {
namespace {

using test::Guarded;
using test::OpClass;
using test::Shifted;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST_CASE("next_loss_scale: growth after an interval, backoff at once, bounds") {
  LossScaleRule rule;
  rule.interval = 3;
  rule.largest = 64.0f;
  LossScaleState s{16.0f, 0, 0};
  const auto step = [&](bool overflow) { s = next_loss_scale(rule, s, overflow); };
  const auto is = [&](float scale, int32_t good) {
    return s.scale == scale && s.good_steps == good;
  };
  step(false);
  CHECK(is(16.0f, 1));
  step(false);
  CHECK(is(16.0f, 2));
  step(false);
  CHECK(is(32.0f, 0));
  step(false);
  step(true);
  CHECK(is(16.0f, 0));  // and the good steps before do not count any more
  for (int i = 0; i < 9; ++i) step(false);
  CHECK(is(64.0f, 0));  // not 128
  for (int i = 0; i < 20; ++i) step(true);
  CHECK(is(1.0f, 0));  // not below the smallest
  CHECK(s.skipped == 21);
  // PyTorch's defaults.
  const LossScaleRule torch;
  CHECK(LossScaleState{}.scale == 65536.0f);
  CHECK(torch.growth == 2.0f);
  CHECK(torch.backoff == 0.5f);
  CHECK(torch.interval == 2000);
}

// Several tensors, of different types where the device has them, some of them empty or unaligned.
struct Gradients {
  explicit Gradients(uint64_t seed)
      : a(test::uniform(5000, seed, -9.0f, 9.0f), 0),
        b(test::uniform(33, seed + 1), 1),
        c(test::uniform(4097, seed + 2), 0),
        d(test::uniform(7, seed + 3), 3),
        e(test::uniform(8192, seed + 4), 0) {}
  std::vector<StorageTensor> tensors() {
    return {{a.data(), a.size()}, {b.data(), b.size()}, {},
            {c.data(), c.size()}, {d.data(), d.size()}, {e.data(), e.size()}};
  }
  std::vector<ConstStorageTensor> inputs() {
    return {{a.data(), a.size()}, {b.data(), b.size()}, {},
            {c.data(), c.size()}, {d.data(), d.size()}, {e.data(), e.size()}};
  }
  bool intact() const { return a.intact() && b.intact() && c.intact() && d.intact() && e.intact(); }
  Shifted<float> a, b;
  Shifted<Half> c, d;
  Shifted<BFloat16> e;
};

bool found(const Exec& exec, const std::vector<ConstStorageTensor>& tensors, uint32_t before = 0) {
  Guarded<uint32_t> flag(1, before);
  find_non_finite(exec, {tensors, flag.data()});
  CHECK(flag.intact());
  CHECK(flag[0] <= 1);
  return flag[0] != 0;
}

template <typename T>
void check_places(const Exec& exec, Gradients& g, Shifted<T>& tensor) {
  for (const int64_t i : {int64_t{0}, tensor.size() / 2, tensor.size() - 1}) {
    for (const float bad : {kNan, -kNan, kInfinity, -kInfinity}) {
      const T before = tensor.data()[i];
      tensor.data()[i] = from_float<T>(bad);
      CHECK(found(exec, g.inputs()));
      tensor.data()[i] = before;
    }
  }
  CHECK_FALSE(found(exec, g.inputs()));
}

TEST_CASE("find_non_finite sees every kind at every place of every tensor, and nothing else") {
  test::for_each_device([](const Exec& exec) {
    Gradients g(1);
    CHECK_FALSE(found(exec, g.inputs()));
    CHECK(found(exec, g.inputs(), 1));  // what was found before stays found
    check_places(exec, g, g.a);
    check_places(exec, g, g.b);
    check_places(exec, g, g.c);
    check_places(exec, g, g.d);
    check_places(exec, g, g.e);
    g.a.data()[3] = std::numeric_limits<float>::max();
    g.b.data()[3] = std::numeric_limits<float>::denorm_min();
    g.c.data()[3] = Half{0x7bff};
    g.e.data()[3] = BFloat16{0xff7f};
    CHECK_FALSE(found(exec, g.inputs()));
    CHECK_FALSE(found(exec, {}));
    CHECK(g.intact());
  });
}

// CUDA's tables have room for 32, 192 or 512 tensors.
constexpr int64_t kTensorCounts[] = {32, 33, 192, 193, 600};

TEST_CASE("find_non_finite: any number of tensors, also more than one launch takes") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t count : kTensorCounts) {
      Guarded<float> values(count, 1.0f);
      std::vector<ConstStorageTensor> tensors;
      for (int64_t i = 0; i < count; ++i) {
        tensors.push_back({static_cast<const float*>(values.data() + i), 1});
      }
      CHECK_FALSE(found(exec, tensors));
      for (const int64_t i : {int64_t{0}, int64_t{511}, int64_t{512}, count - 1}) {
        if (i >= count) continue;
        values.write()[static_cast<size_t>(i)] = kNan;
        CHECK(found(exec, tensors));
        values.write()[static_cast<size_t>(i)] = 1.0f;
      }
    }
  });
}

test::Verdict check_unscale(const Exec& exec, float scale, float claimed_scale) {
  Gradients g(5);
  const std::vector<float> parts[] = {g.a.floats(), g.b.floats(), g.c.floats(), g.d.floats(),
                                      g.e.floats()};
  const Guarded<float> device_scale(1, scale);
  const std::vector<StorageTensor> tensors = g.tensors();
  unscale(exec, {tensors, device_scale.data()});
  const auto want = [&](int k) {
    std::vector<double> values;
    for (const float v : parts[k]) values.push_back(v / static_cast<double>(claimed_scale));
    return values;
  };
  const test::Tolerance float_rounding = test::tolerance(OpClass::kElementwise, 1, 0.0);
  test::Verdict v;
  v.require("a", test::compare(g.a.floats(), want(0), float_rounding));
  v.require("b", test::compare(g.b.floats(), want(1), float_rounding));
  v.require("c", test::compare(g.c.floats(), want(2), test::stored_as<Half>(float_rounding)));
  v.require("d", test::compare(g.d.floats(), want(3), test::stored_as<Half>(float_rounding)));
  v.require("e", test::compare(g.e.floats(), want(4), test::stored_as<BFloat16>(float_rounding)));
  v.require("canaries", g.intact() && device_scale.intact());
  return v;
}

TEST_CASE("unscale: any number of tensors, also more than one launch takes") {
  test::for_each_device([](const Exec& exec) {
    const Guarded<float> scale(1, 2.0f);
    for (const int64_t count : kTensorCounts) {
      Guarded<float> values(count);
      std::vector<StorageTensor> tensors;
      for (int64_t i = 0; i < count; ++i) {
        values.write()[static_cast<size_t>(i)] = static_cast<float>(2 * i + 2);
        tensors.push_back({values.data() + i, 1});
      }
      unscale(exec, {tensors, scale.data()});
      for (int64_t i = 0; i < count; ++i) CHECK(values[i] == static_cast<float>(i + 1));
      CHECK(values.intact());
    }
  });
}

TEST_CASE("unscale divides every tensor by the scale") {
  test::for_each_device([](const Exec& exec) {
    for (const float scale : {1.0f, 4.0f, 1024.0f, 3.0f}) {
      test::expect_ok(std::to_string(scale), check_unscale(exec, scale, scale));
    }
  });
  test::expect_caught("another scale", check_unscale({}, 2.0f, 4.0f));
  test::expect_caught("not unscaled", check_unscale({}, 1.0f, 1024.0f));
}

TEST_CASE("update_loss_scale follows the rule and clears the flag") {
  test::for_each_device([](const Exec& exec) {
    LossScaleRule rule;
    rule.interval = 4;
    rule.smallest = 30000.0f;  // both bounds are met
    rule.largest = 40000.0f;
    LossScaleState want;
    Guarded<LossScaleState> state(1, want);
    Guarded<uint32_t> flag(1, 0u);
    for (int step = 0; step < 30; ++step) {
      const bool overflow = step % 7 == 3;
      flag.write()[0] = overflow ? 1 : 0;
      update_loss_scale(exec, {rule, state.data(), flag.data()});
      want = next_loss_scale(rule, want, overflow);
      CHECK(flag[0] == 0);
      CHECK(state[0].scale == want.scale);
      CHECK(state[0].good_steps == want.good_steps);
      CHECK(state[0].skipped == want.skipped);
    }
    CHECK(want.skipped == 4);
    CHECK(state.intact());
    CHECK(flag.intact());
  });
}

}  // namespace
}  // namespace verace::kernels::loss_scale_test
