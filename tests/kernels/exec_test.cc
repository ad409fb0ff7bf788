// Which implementation of an operation runs, and what is refused instead of falling back.
#include "kernels/exec.h"

#include <doctest/doctest.h>

#include <string>

#include "kernels/activation.h"
#include "kernels/dispatch.h"
#include "kernels/gemm.h"
#include "tests/support/devices.h"
#include "tests/support/guarded.h"

namespace verace::kernels::exec_test {
namespace {

using test::Guarded;

TEST_CASE("devices have names") {
  CHECK(std::string(to_string(DeviceKind::kCpu)) == "cpu");
  CHECK(std::string(to_string(DeviceKind::kReference)) == "reference");
  CHECK(std::string(to_string(DeviceKind::kCuda)) ==
        (cuda_is_emulated ? "cuda (emulated)" : "cuda"));
  CHECK((have_cuda || !cuda_is_emulated));
}

TEST_CASE("make_exec: all processors unless told otherwise") {
  CHECK(make_exec(DeviceKind::kCpu).threads >= 1);
  CHECK(make_exec(DeviceKind::kReference, 3).threads == 3);
  CHECK(make_exec(DeviceKind::kReference, 3).device == DeviceKind::kReference);
  CHECK(make_exec(DeviceKind::kCpu, 2).stream == nullptr);
  CHECK_THROWS_AS(make_exec(DeviceKind::kCpu, -1), Error);
}

TEST_CASE("dispatch calls the implementation of the device and no other") {
  static std::string called;
  struct Args {};
  const auto run = [](DeviceKind device) {
    called.clear();
    const auto cpu = +[](const Exec&, const Args&) { called += "cpu"; };
    const auto reference = +[](const Exec&, const Args&) { called += "reference"; };
    dispatch(Exec{device}, Args{}, cpu, reference, [](auto&...) { called += "cuda"; });
    return called;
  };
  CHECK(run(DeviceKind::kCpu) == "cpu");
  CHECK(run(DeviceKind::kReference) == "reference");
  if constexpr (have_cuda) CHECK(run(DeviceKind::kCuda) == "cuda");
  if constexpr (!have_cuda) CHECK_THROWS_AS(run(DeviceKind::kCuda), Error);
}

TEST_CASE("no silent fall-back: 16-bit storage on the host, CUDA in a build without it") {
  Guarded<Half> x(4);
  test::for_each_host_device([&](const Exec& exec) {
    CHECK_THROWS_AS(leaky_relu_forward<Half>(exec, {4, x.data(), 0.0f, x.data()}), Error);
  });
  if constexpr (!have_cuda) {
    CHECK_THROWS_AS(plan_gemm(Exec{DeviceKind::kCuda}, {.m = 1, .n = 1, .k = 1}), Error);
  }
}

}  // namespace
}  // namespace verace::kernels::exec_test
