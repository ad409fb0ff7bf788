// Casts between the storage types: all 65536 patterns, all ties, every device against definitions.
#include "kernels/cast.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"

namespace verace::kernels::cast_test {
namespace {

using test::Guarded;

// A 16-bit format by its definition.
struct Format {
  int fraction_bits, exponent_bits;
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
};
template <typename T>
constexpr Format kFormat = std::is_same_v<T, Half> ? Format{10, 5} : Format{7, 8};

// The value of a pattern, in double.
double value_of(const Format& f, uint16_t bits) {
  const int fraction = bits & ((1 << f.fraction_bits) - 1);
  const int exponent = (bits >> f.fraction_bits) & ((1 << f.exponent_bits) - 1);
  double value = 0;
  if (exponent == (1 << f.exponent_bits) - 1) {
    value = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = std::ldexp(fraction, 1 - f.bias() - f.fraction_bits);
  } else {
    value = std::ldexp((1 << f.fraction_bits) + fraction, exponent - f.bias() - f.fraction_bits);
  }
  return std::copysign(value, (bits & 0x8000) != 0 ? -1.0 : 1.0);
}

// The pattern nearest to x, ties to the even one, by looking among all of one sign: the patterns of
// positive numbers are in order. Infinity counts as the number that would follow the largest.
uint16_t nearest(const Format& f, double x) {
  const uint16_t infinity = static_cast<uint16_t>(((1 << f.exponent_bits) - 1) << f.fraction_bits);
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double size = std::abs(x);
  const auto at = [&](uint16_t bits) {
    return bits == infinity ? std::ldexp(2.0, f.bias()) : value_of(f, bits);
  };
  uint16_t low = 0, high = infinity;  // at(low) <= size, as long as size is below infinity
  if (size >= at(infinity)) return static_cast<uint16_t>(sign | infinity);
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (at(middle) <= size ? low : high) = middle;
  }
  const double below = size - at(low), above = at(high) - size;
  const bool up = above < below || (above == below && low % 2 == 1);
  return static_cast<uint16_t>(sign | (up ? high : low));
}

template <typename T>
bool is_nan(T x) {
  return std::isnan(to_float(x));
}

// Elements by which the tensors lie behind an aligned address.
struct Shifts {
  int64_t x = 0, y = 0;
};

template <typename From, typename To>
std::vector<To> run(const Exec& exec, const std::vector<From>& values, Shifts shifts = {}) {
  const auto count = static_cast<int64_t>(values.size());
  Guarded<From> x(count + shifts.x);
  std::copy(values.begin(), values.end(), x.write().begin() + shifts.x);
  Guarded<To> y(count + shifts.y, To{});
  cast<From, To>(exec, {count, x.data() + shifts.x, y.data() + shifts.y});
  CHECK(x.intact());
  CHECK(y.intact());
  const std::vector<To> all = y.copy();
  return {all.begin() + shifts.y, all.end()};
}

template <typename T>
std::vector<T> all_patterns() {
  std::vector<T> all;
  for (int bits = 0; bits < 65536; ++bits) all.push_back({static_cast<uint16_t>(bits)});
  return all;
}

template <typename T>
void check_widening(const Exec& exec) {
  const std::vector<T> patterns = all_patterns<T>();
  const std::vector<float> floats = run<T, float>(exec, patterns);
  int wrong = 0;
  for (size_t i = 0; i < patterns.size(); ++i) {
    const double want = value_of(kFormat<T>, patterns[i].bits);
    if (std::isnan(want)) {
      wrong += !std::isnan(floats[i]);
    } else {
      wrong += floats[i] != want || std::signbit(floats[i]) != std::signbit(want);
    }
  }
  CHECK(wrong == 0);
  // And back: every number finds its own pattern.
  const std::vector<T> back = run<float, T>(exec, floats);
  for (size_t i = 0; i < patterns.size(); ++i) {
    wrong += is_nan(patterns[i]) ? !is_nan(back[i]) : !(back[i] == patterns[i]);
  }
  CHECK(wrong == 0);
}

TEST_CASE("all patterns of fp16 and bf16 become fp32 exactly, and come back") {
  test::for_each_device([](const Exec& exec) {
    check_widening<Half>(exec);
    check_widening<BFloat16>(exec);
  });
}

// Every number of T, what lies half-way to the next one, and the floats around that; some random.
template <typename T>
std::vector<float> hard_floats() {
  std::vector<float> hard;
  const auto around = [&](float x) {
    hard.push_back(x);
    hard.push_back(std::nextafterf(x, INFINITY));
    hard.push_back(std::nextafterf(x, -INFINITY));
  };
  for (int bits = 0; bits < 65535; ++bits) {
    const float here = to_float(T{static_cast<uint16_t>(bits)});
    const float next = to_float(T{static_cast<uint16_t>(bits + 1)});
    if (!std::isfinite(here)) continue;
    around(here);
    if (std::isfinite(next)) around(static_cast<float>((static_cast<double>(here) + next) / 2));
  }
  around(65504.0f), around(65519.0f), around(65520.0f), around(65536.0f);
  around(0x1p-24f), around(0x1p-25f), around(0x1p-133f), around(0x1p-134f);
  hard.insert(hard.end(), {INFINITY, -INFINITY, NAN, -NAN, 3.4028235e38f, -3.4028235e38f, 1e-45f});
  for (uint64_t i = 0; i < 5000; ++i) {
    hard.push_back(std::bit_cast<float>(static_cast<uint32_t>(test::random_bits(77, i))));
  }
  return hard;
}

template <typename T>
int wrong_roundings(const std::vector<float>& from, const std::vector<T>& got) {
  int wrong = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    if (std::isnan(from[i])) {
      wrong += !is_nan(got[i]);
    } else {
      wrong += got[i].bits != nearest(kFormat<T>, from[i]);
    }
  }
  return wrong;
}

template <typename T>
void check_rounding(const Exec& exec) {
  const std::vector<float> hard = hard_floats<T>();
  CHECK(wrong_roundings(hard, run<float, T>(exec, hard)) == 0);
}

TEST_CASE("fp32 is rounded to the nearest number of fp16 and bf16, ties to even") {
  test::for_each_device([](const Exec& exec) {
    check_rounding<Half>(exec);
    check_rounding<BFloat16>(exec);
  });
}

TEST_CASE("between fp16 and bf16 there is one rounding") {
  test::for_each_device([](const Exec& exec) {
    const auto halves = all_patterns<Half>();
    const auto brains = all_patterns<BFloat16>();
    std::vector<float> half_values, brain_values;
    for (const Half x : halves) half_values.push_back(to_float(x));
    for (const BFloat16 x : brains) brain_values.push_back(to_float(x));
    CHECK(wrong_roundings(half_values, run<Half, BFloat16>(exec, halves)) == 0);
    CHECK(wrong_roundings(brain_values, run<BFloat16, Half>(exec, brains)) == 0);
  });
}

TEST_CASE("casts: tails, unaligned tensors, nothing to do") {
  test::for_each_device([](const Exec& exec) {
    for (const int64_t count : {1, 7, 8, 9, 31, 33, 2047, 2049}) {
      for (const Shifts shift : {Shifts{0, 0}, Shifts{1, 1}, Shifts{0, 1}, Shifts{1, 0}}) {
        const std::vector<float> x = test::uniform(count, 78, -9.0f, 9.0f);
        const std::vector<Half> half = run<float, Half>(exec, x, shift);
        const std::vector<BFloat16> brain = run<float, BFloat16>(exec, x, shift);
        CHECK(wrong_roundings(x, half) == 0);
        CHECK(wrong_roundings(x, brain) == 0);
        std::vector<float> halves, brains;
        for (const Half v : half) halves.push_back(to_float(v));
        for (const BFloat16 v : brain) brains.push_back(to_float(v));
        test::expect_ok("back", test::compare_bits(run<Half, float>(exec, half, shift), halves));
        test::expect_ok("back",
                        test::compare_bits(run<BFloat16, float>(exec, brain, shift), brains));
        CHECK(wrong_roundings(halves, run<Half, BFloat16>(exec, half, shift)) == 0);
        CHECK(wrong_roundings(brains, run<BFloat16, Half>(exec, brain, shift)) == 0);
      }
    }
    cast<float, Half>(exec, {});
    CHECK_THROWS_AS((cast<float, Half>(exec, {-1})), Error);
  });
}

TEST_CASE("casts: planted faults are caught") {
  const std::vector<float> hard = hard_floats<Half>();
  const auto caught = [&](const std::string& fault, Half (*round)(float)) {
    std::vector<Half> got;
    for (const float x : hard) got.push_back(round(x));
    test::expect_caught(fault, wrong_roundings(hard, got) == 0);
  };
  caught("cut off", [](float x) {
    const Half h = from_float<Half>(x);
    return std::abs(to_float(h)) > std::abs(x) ? Half{static_cast<uint16_t>(h.bits - 1)} : h;
  });
  caught("ties away from zero", [](float x) {
    return from_float<Half>(std::nextafterf(x, x > 0 ? INFINITY : -INFINITY));
  });
  caught("subnormals flushed", [](float x) {
    return std::abs(x) < 0x1p-14f ? from_float<Half>(0.0f * x) : from_float<Half>(x);
  });
  caught("saturated", [](float x) {
    return std::isinf(x) ? from_float<Half>(x)
                         : from_float<Half>(x > 65504 ? 65504 : (x < -65504 ? -65504 : x));
  });
  caught("sign of zero lost", [](float x) { return x == 0 ? Half{0} : from_float<Half>(x); });
}

}  // namespace
}  // namespace verace::kernels::cast_test
