// Proves the tests' own tools: compare() and its neighbours must fail whenever they should.
#include "tests/support/compare.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/gradient_check.h"
#include "tests/support/guarded.h"
#include "tests/support/npy.h"
#include "tests/support/random.h"
#include "tests/support/tolerances.h"

namespace verace::test::compare_test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const Tolerance kTenth{0.1, 0.0, "test"};
const Tolerance kLoose{1e30, 1e30, "test"};

std::vector<float> ramp() { return {1.0f, 2.0f, 3.0f, 4.0f}; }

TEST_CASE("compare accepts what lies within the tolerance and says how much of it was used") {
  const std::vector<double> want{1.0, 2.0, 3.0, 4.0};
  const Comparison exact = compare(ramp(), want, kTenth);
  CHECK(exact.ok);
  CHECK(exact.used == 0.0);
  const Comparison near = compare(std::vector<float>{1.0f, 2.0f, 3.05f, 4.0f}, want, kTenth);
  CHECK(near.ok);
  CHECK(near.used == doctest::Approx(0.5));
  CHECK(near.message.find("worst at 2") != std::string::npos);
  const Tolerance relative{0.0, 0.01, "test"};
  CHECK(compare(std::vector<float>{1.0f, 2.0f, 3.0f, 4.03f}, want, relative).ok);
  CHECK_FALSE(compare(std::vector<float>{1.03f, 2.0f, 3.0f, 4.0f}, want, relative).ok);
  CHECK(compare(ramp(), ramp(), tolerance(OpClass::kExact, 1)).ok);
}

TEST_CASE("compare fails beyond the tolerance and names the place and both values") {
  const Comparison c = compare(std::vector<float>{1.0f, 2.0f, 3.2f, 4.3f},
                               std::vector<double>{1.0, 2.0, 3.0, 4.0}, kTenth);
  CHECK_FALSE(c.ok);
  CHECK(c.used > 1.0);
  CHECK(c.message.find("2 of 4 differ") != std::string::npos);
  CHECK(c.message.find("worst at 3") != std::string::npos);
  CHECK(c.message.find("4.3") != std::string::npos);
  CHECK_FALSE(compare(std::vector<float>{1.0f, 2.0f, 3.0f, 4.0000005f}, ramp(),
                      tolerance(OpClass::kExact, 1))
                  .ok);
}

TEST_CASE("compare fails on NaN and infinity on either side, however loose the tolerance") {
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    std::vector<float> broken = ramp();
    for (size_t i = 0; i < broken.size(); ++i) {
      broken = ramp();
      broken[i] = bad;
      CHECK_FALSE(compare(broken, ramp(), kLoose).ok);
      CHECK_FALSE(compare(ramp(), broken, kLoose).ok);
      CHECK_FALSE(compare(broken, broken, kLoose).ok);
    }
  }
}

TEST_CASE("compare fails with a NaN or negative tolerance") {
  CHECK_FALSE(compare(ramp(), ramp(), Tolerance{kNan, 0.0, "test"}).ok);
  CHECK_FALSE(compare(ramp(), ramp(), Tolerance{-1.0, 0.0, "test"}).ok);
}

TEST_CASE("compare fails on a size mismatch and on emptiness") {
  CHECK_FALSE(compare(ramp(), std::vector<float>{1.0f, 2.0f, 3.0f}, kLoose).ok);
  CHECK_FALSE(compare(std::vector<float>{1.0f}, ramp(), kLoose).ok);
  CHECK_FALSE(compare(std::vector<float>{}, std::vector<float>{}, kLoose).ok);
  CHECK_FALSE(compare(std::vector<float>{}, std::vector<double>{}, kLoose).ok);
}

TEST_CASE("compare refuses a reference of zeros unless the case expects them") {
  std::vector<float> values(10, 0.0f);
  CHECK_FALSE(compare(values, values, kTenth).ok);
  values[0] = values[1] = values[2] = 1.0f;  // 70 % zeros
  CHECK_FALSE(compare(values, values, kTenth).ok);
  CHECK_FALSE(compare(values, values, kTenth, 0.55).ok);
  CHECK(compare(values, values, kTenth, 0.65).ok);
  values[3] = values[4] = 1.0f;  // 50 %
  CHECK(compare(values, values, kTenth).ok);
  CHECK(compare(values, values, kTenth, 0.9).ok);
}

TEST_CASE("compare_bits sees every bit") {
  CHECK(compare_bits(ramp(), ramp()).ok);
  CHECK(compare_bits(std::vector<float>{kNan, 0.0f}, std::vector<float>{kNan, 0.0f}).ok);
  CHECK_FALSE(compare_bits(std::vector<float>{-0.0f}, std::vector<float>{0.0f}).ok);
  CHECK_FALSE(compare_bits(std::vector<float>{1.0f}, std::vector<float>{1.0000001f}).ok);
  CHECK_FALSE(compare_bits(std::vector<float>{}, std::vector<float>{}).ok);
  CHECK_FALSE(compare_bits(ramp(), std::vector<float>{1.0f}).ok);
  CHECK_FALSE(compare_bits(std::vector<uint8_t>{1, 2}, std::vector<uint8_t>{1, 3}).ok);
}

TEST_CASE("Guarded sees a store on either side of the payload") {
  Guarded<float> buffer(7, 2.0f);
  CHECK(reinterpret_cast<uintptr_t>(buffer.data()) % 64 == 0);
  CHECK(buffer.size() == 7);
  CHECK(buffer[6] == 2.0f);
  buffer.write()[0] = buffer.write()[6] = 1.0f;
  CHECK(buffer.intact());
  // Volatile: the compiler may not reason about these stores.
  volatile std::byte* bytes = reinterpret_cast<volatile std::byte*>(buffer.data());
  for (const int64_t offset : {int64_t{-1}, int64_t{-256}, int64_t{28}, int64_t{28 + 255}}) {
    const std::byte before = bytes[offset];
    bytes[offset] = std::byte{0};
    CHECK_FALSE(buffer.intact());
    bytes[offset] = before;
    CHECK(buffer.intact());
  }
}

TEST_CASE("random data is deterministic, in range and differs by seed") {
  const std::vector<float> a = uniform(1000, 1, -2.0f, 3.0f);
  CHECK(compare_bits(a, uniform(1000, 1, -2.0f, 3.0f)).ok);
  CHECK_FALSE(compare_bits(a, uniform(1000, 2, -2.0f, 3.0f)).ok);
  double sum = 0.0;
  for (const float v : a) {
    CHECK(v >= -2.0f);
    CHECK(v <= 3.0f);
    sum += v;
  }
  CHECK(sum / 1000 == doctest::Approx(0.5).epsilon(0.2));
  for (const float v : small_integers(1000, 3, 4)) {
    CHECK(v == static_cast<float>(static_cast<int>(v)));
    CHECK(std::abs(v) <= 4.0f);
  }
}

// f(x) = sum w_i * x_i^3 with gradient 3 w_i x_i^2.
struct Cubic {
  std::vector<double> w = uniform_double(20, 5, 0.5, 1.5);
  std::vector<double> x = uniform_double(20, 6, 0.5, 1.5);
  double operator()(const std::vector<double>& at) const {
    double sum = 0.0;
    for (size_t i = 0; i < at.size(); ++i) sum += w[i] * at[i] * at[i] * at[i];
    return sum;
  }
  std::vector<double> gradient() const {
    std::vector<double> g(x.size());
    for (size_t i = 0; i < g.size(); ++i) g[i] = 3 * w[i] * x[i] * x[i];
    return g;
  }
};

TEST_CASE("check_gradient accepts the right gradient and catches planted faults") {
  const Cubic f;
  GradientOptions options;
  options.tolerance = tolerance(OpClass::kFiniteDifference, 1);
  const std::vector<double> right = f.gradient();
  expect_ok("cubic", check_gradient(f, f.x, right, options));
  std::vector<double> scaled = right, zeros(right.size(), 0.0), with_nan = right, swapped = right;
  for (double& g : scaled) g *= 1.001;
  with_nan[3] = kNan;
  std::swap(swapped[0], swapped[1]);
  expect_caught("scaled gradient", check_gradient(f, f.x, scaled, options));
  expect_caught("zero gradient", check_gradient(f, f.x, zeros, options));
  expect_caught("NaN gradient", check_gradient(f, f.x, with_nan, options));
  expect_caught("swapped elements", check_gradient(f, f.x, swapped, options));
  expect_caught(
      "short gradient",
      check_gradient(f, f.x, std::vector<double>(right.begin(), right.end() - 1), options));
  expect_caught("empty", check_gradient(f, {}, std::vector<double>{}, options));
}

TEST_CASE("check_gradient caps the share of excluded kinks") {
  const Cubic f;
  GradientOptions options;
  options.tolerance = tolerance(OpClass::kFiniteDifference, 1);
  std::vector<double> wrong_at_0 = f.gradient();
  wrong_at_0[0] += 1.0;
  CHECK(check_gradient(f, f.x, wrong_at_0, options, [](int64_t i) { return i == 0; }).ok);
  expect_caught("too many kinks",
                check_gradient(f, f.x, f.gradient(), options, [](int64_t i) { return i < 3; }));
}

TEST_CASE("check_gradient refuses a function that does not depend on its argument") {
  GradientOptions options;
  options.tolerance = tolerance(OpClass::kFiniteDifference, 1);
  const auto constant = [](const std::vector<double>&) { return 3.0; };
  expect_caught("constant function", check_gradient(constant, std::vector<double>(5, 1.0),
                                                    std::vector<double>(5, 0.0), options));
}

TEST_CASE("for_each_device visits the devices of the build, the emulated one under each schedule") {
  std::vector<std::string> seen;
  for_each_device([&](const kernels::Exec& exec) {
    seen.push_back(kernels::to_string(exec.device) + std::to_string(exec.threads));
  });
  std::vector<std::string> expected;
  const char* only = std::getenv("VERACE_TEST_DEVICES");
  if (only == nullptr || std::string(only) != "cuda") expected = {"cpu1", "cpu2", "reference1"};
  if (kernels::cuda_is_emulated) {
    const size_t schedules = std::getenv("VERACE_SIMT_SCHEDULE") == nullptr ? 5 : 1;
    expected.insert(expected.end(), schedules, "cuda (emulated)1");
  } else if (cuda_is_present()) {
    expected.push_back("cuda1");
  }
  CHECK(seen == expected);
}

std::string npy_bytes(const std::string& descr, const std::string& order, size_t floats) {
  std::string header =
      "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': (2, 3), }";
  header.resize(118, ' ');
  std::string bytes("\x93NUMPY\x01\x00\x76\x00", 10);
  bytes += header;
  for (size_t i = 0; i < floats; ++i) {
    const float value = static_cast<float>(i) * 0.5f;
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  return bytes;
}

TEST_CASE("read_npy reads float32 in C order and refuses everything else") {
  const std::string path = "compare_test_tmp.npy";
  const auto write = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  };
  write(npy_bytes("<f4", "False", 6));
  const NpyArray array = read_npy(path);
  CHECK(array.shape == std::vector<int64_t>{2, 3});
  CHECK(array.values == std::vector<float>{0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 2.5f});
  for (const std::string& bad : {npy_bytes("<f8", "False", 6), npy_bytes("<f4", "True", 6),
                                 npy_bytes("<f4", "False", 5), npy_bytes("<f4", "False", 7),
                                 npy_bytes("<f4", "False", 6).substr(0, 40), std::string("x")}) {
    write(bad);
    CHECK_THROWS(read_npy(path));
  }
  std::remove(path.c_str());
  CHECK_THROWS(read_npy(path));
}

}  // namespace
}  // namespace verace::test::compare_test
