// Matrix products on CUDA devices: in the order of a stream, in a captured graph, by TF32, and what
// is refused of pointers.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/activation.h"
#include "kernels/check.h"
#include "kernels/gemm.h"
#include "tests/kernels/gemm_cases.h"
#include "tests/support/cublas.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"

#if VERACE_HAVE_CUDA
#include <cuda_runtime_api.h>
#endif

namespace verace::test::gemm_cuda_test {
namespace {

using namespace verace::kernels;

// 1 + 2^-12 needs 12 bits of fraction, 1 has room in any format: sums of what is lost.
GemmCase fine_fractions(int64_t k) {
  GemmCase c = make_gemm_case({.m = 16, .n = 16, .k = k}, true);
  for (float& v : c.a) v = v < 0 ? -1.0f - 0x1p-12f : 1.0f + 0x1p-12f;
  for (float& v : c.b) v = 1.0f;
  return c;
}

TEST_CASE("fp32 keeps all bits of the operands, TF32 at least ten of the fraction") {
  for_each_cuda_gemm_device([](const Exec& exec) {
    const GemmCase fine = fine_fractions(64);
    expect_ok("fp32", check_gemm(exec, fine, run_gemm));
    Exec tf32 = exec;
    tf32.tf32 = true;
    const std::vector<float> rounded = run_gemm(tf32, fine);
    const Tolerance by_ten_bits{64 * 0x1p-10, 0.0, "64 terms of size 1, each off by 2^-10 at most"};
    expect_ok("tf32", compare(rounded, gemm_oracle(fine), by_ten_bits));
    if (cuda_is_emulated) {  // which always rounds; a GPU may
      expect_caught("tf32 is another arithmetic", check_gemm(tf32, fine, run_gemm));
    }
    GemmSpec spec{.m = 24, .n = 40, .k = 72, .transpose_b = true, .bias = true};
    expect_ok("integers", check_gemm(tf32, make_gemm_case(spec, true), run_gemm));
  });
}

#if VERACE_HAVE_CUDA

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }
  static void check(cudaError_t error) {
    VERACE_CHECK(error == cudaSuccess, cudaGetErrorString(error));
  }

 private:
  cudaStream_t stream_ = nullptr;
};

// y = relu(x) by a kernel, z = y * b + bias, z = relu(z) by a kernel: each needs the one before.
struct Chain {
  explicit Chain(const Exec& on)
      : exec(on),
        c(make_gemm_case({.m = 7, .n = 5, .k = 11, .bias = true}, true)),
        plan(plan_gemm(on, c.spec)),
        x(c.a),
        b(c.b),
        bias(c.bias),
        y(77),
        z(35),
        scratch(plan->scratch_bytes()) {}

  // Guarded::data() waits for the device, which a capture does not allow: pointers are taken first.
  void enqueue(const float* from, float* between, const GemmArgs& args) const {
    leaky_relu_forward(exec, {77, from, 0.0f, between});
    plan->run(args);
    leaky_relu_forward(exec, {35, args.c, 0.0f, args.c});
  }
  Comparison result() const {
    GemmCase want = c;
    want.spec.relu = true;
    for (float& v : want.a) v = std::fmax(v, 0.0f);
    return compare(z.copy(), gemm_oracle(want), tolerance(OpClass::kExact, 1));
  }

  Exec exec;
  GemmCase c;
  std::unique_ptr<GemmPlan> plan;
  Guarded<float> x, b, bias, y, z;
  Guarded<std::byte> scratch;
};

TEST_CASE("products take their place in the order of a stream, and in a captured graph") {
  for_each_cuda_gemm_device([](Exec exec) {
    const Stream stream;
    exec.stream = stream.get();
    Chain chain(exec);
    const GemmArgs args{chain.y.data(), chain.b.data(), chain.bias.data(), chain.z.data(),
                        chain.scratch.data()};
    const float* from = chain.x.data();
    chain.enqueue(from, chain.y.data(), args);
    expect_ok("stream", chain.result());

    float* between = chain.y.data();
    // Not a number, so that only what the graph itself computes can be right.
    Stream::check(cudaMemsetAsync(between, 0xff, 77 * sizeof(float), stream.get()));
    Stream::check(cudaMemsetAsync(args.c, 0xff, 35 * sizeof(float), stream.get()));
    wait_for_device();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    Stream::check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
    chain.enqueue(from, between, args);
    Stream::check(cudaStreamEndCapture(stream.get(), &graph));
    expect_caught("nothing has run yet", chain.result());
    Stream::check(cudaGraphInstantiate(&executable, graph, 0));
    for (int i = 0; i < 2; ++i) Stream::check(cudaGraphLaunch(executable, stream.get()));
    expect_ok("graph", chain.result());
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
  });
}

TEST_CASE("the emulator's access checker sees operands that nothing has written") {
  if (!cuda_is_emulated) return;
  for_each_cuda_gemm_device([](const Exec& exec) {
    const auto plan = plan_gemm(exec, {.m = 4, .n = 4, .k = 4, .accumulate = true});
    Guarded<float> a(16, 1.0f), b(16, 1.0f), c(16, 1.0f), empty(16);
    Guarded<std::byte> scratch(plan->scratch_bytes());
    if (unwritten_bytes(empty.data(), 64) == 0) return;  // no access checker in this build
    const GemmArgs good{a.data(), b.data(), nullptr, c.data(), scratch.data()};
    CHECK_NOTHROW(plan->run(good));
    for (const auto member : {&GemmArgs::a, &GemmArgs::b}) {
      GemmArgs bad = good;
      bad.*member = empty.data();
      CHECK_THROWS_AS(plan->run(bad), Error);
    }
    GemmArgs bad = good;
    bad.c = empty.data();
    CHECK_THROWS_AS(plan->run(bad), Error);
  });
}

TEST_CASE("pointers off their boundaries are refused, and memory of the host by the emulator") {
  for_each_cuda_gemm_device([](const Exec& exec) {
    const auto plan = plan_gemm(exec, {.m = 4, .n = 4, .k = 4, .bias = true});
    Guarded<float> a(20, 1.0f), b(20, 1.0f), bias(20, 1.0f), c(20, 1.0f);
    Guarded<std::byte> scratch(plan->scratch_bytes());
    const GemmArgs good{a.data(), b.data(), bias.data(), c.data(), scratch.data()};
    CHECK_NOTHROW(plan->run(good));
    const auto refused = [&](auto GemmArgs::*member, auto value) {
      GemmArgs bad = good;
      bad.*member = value;
      CHECK_THROWS_AS(plan->run(bad), Error);
    };
    refused(&GemmArgs::a, a.data() + 1);
    refused(&GemmArgs::b, b.data() + 2);
    refused(&GemmArgs::bias, bias.data() + 3);
    refused(&GemmArgs::c, c.data() + 1);
    if (plan->scratch_bytes() > 0) refused(&GemmArgs::scratch, nullptr);
    if (!cuda_is_emulated) return;
    alignas(64) static std::array<float, 16> host;
    refused(&GemmArgs::a, host.data());
    refused(&GemmArgs::b, host.data());
    refused(&GemmArgs::bias, host.data());
    refused(&GemmArgs::c, host.data());
  });
}

#endif

}  // namespace
}  // namespace verace::test::gemm_cuda_test
