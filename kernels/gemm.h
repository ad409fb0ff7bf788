// Matrix product of row-major matrices, planned once per shape, then run:
// C = op(A) * op(B), plus C or plus bias and ReLU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/dispatch.h"

namespace verace::kernels {

// op(A) is [m, k], op(B) is [k, n], C is [m, n]; all sizes >= 1.
struct GemmSpec {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false;  // then A is stored as [k, m]
  bool transpose_b = false;  // then B is stored as [n, k]
  bool bias = false;         // C = op(A) * op(B) + bias, the same in each row
  bool relu = false;         // C = relu(of that); where the sum is NaN, a GPU may write 0
  bool accumulate = false;   // C += op(A) * op(B); with neither bias nor relu
};

// Storage is fp32. Sums are fp32 at least, and on a CUDA device with Exec::tf32 the operands may be
// rounded to 10 bits of fraction. There all pointers are the device's, a, b, bias and c on 16-byte
// boundaries.
struct GemmArgs {
  const float* a = nullptr;
  const float* b = nullptr;
  const float* bias = nullptr;   // [n]; with spec.bias, else nullptr
  float* c = nullptr;            // [m, n], overwritten (not read) unless spec.accumulate
  std::byte* scratch = nullptr;  // scratch_bytes(), 64-byte aligned; nullptr if that is 0
};

// The same arguments give the same bits in every run.
class GemmPlan {
 public:
  virtual ~GemmPlan() = default;
  virtual int64_t scratch_bytes() const = 0;
  // Allocates nothing. On a CUDA device it only enqueues work on the stream that the plan was made
  // for. Throws Error(kInternal) on arguments that the plan does not allow.
  virtual void run(const GemmArgs& args) const = 0;
  virtual const char* implementation() const = 0;  // the library's name of the kernel, for reports
};

// What all devices check. Throw Error(kInternal).
void validate(const GemmSpec& spec);
void validate(const GemmSpec& spec, const GemmArgs& args);
// "64x2+bias+relu, sums of 2048, B transposed".
std::string to_string(const GemmSpec& spec);

namespace cpu {
std::unique_ptr<GemmPlan> plan_gemm(const Exec&, const GemmSpec&);
}
namespace reference {
std::unique_ptr<GemmPlan> plan_gemm(const Exec&, const GemmSpec&);
}
namespace cuda {  // cuBLASLt's (kernels/cublas)
std::unique_ptr<GemmPlan> plan_gemm(const Exec&, const GemmSpec&);
}

// The plan for exec.device. Throws Error(kInternal) where validate(spec) does; on a CUDA device
// Error(kInput) where cuBLASLt is missing.
inline std::unique_ptr<GemmPlan> plan_gemm(const Exec& exec, const GemmSpec& spec) {
  return dispatch_plan<GemmPlan, GemmPlan>(
      exec, cpu::plan_gemm, reference::plan_gemm, [](auto&... a) { return cuda::plan_gemm(a...); },
      spec);
}

}  // namespace verace::kernels
