// Matrix product by cuBLASLt, behind the contract of kernels/gemm.h.
#include "kernels/gemm.h"

#include "kernels/check.h"
#include "kernels/cublas/matmul.h"

namespace verace::kernels::cuda {
namespace {

class Plan final : public GemmPlan {
 public:
  Plan(const Exec& exec, const GemmSpec& spec)
      : stream_(exec.stream),
        spec_(spec),
        matmul_(cublas::column_major(spec, exec.tf32)),
        name_("cuBLASLt " + matmul_.algorithm()) {}

  // Room to align the workspace is part of it.
  int64_t scratch_bytes() const override {
    const int64_t bytes = matmul_.workspace_bytes();
    return bytes == 0 ? 0 : bytes + static_cast<int64_t>(cublas::kWorkspaceAlignment);
  }
  const char* implementation() const override { return name_.c_str(); }

  void run(const GemmArgs& args) const override {
    validate(spec_, args);
    for (const float* p : {args.a, args.b, args.bias, static_cast<const float*>(args.c)}) {
      VERACE_CHECK(reinterpret_cast<uintptr_t>(p) % cublas::kOperandAlignment == 0,
                   to_string(spec_));
    }
    // Row-major A and B change places: column_major() says why.
    matmul_.run(stream_, {args.b, args.a, args.bias, args.c, workspace(args.scratch)});
  }

 private:
  std::byte* workspace(std::byte* scratch) const {
    if (matmul_.workspace_bytes() == 0) return nullptr;
    VERACE_CHECK(scratch != nullptr, to_string(spec_));
    const uintptr_t past = reinterpret_cast<uintptr_t>(scratch) % cublas::kWorkspaceAlignment;
    return past == 0 ? scratch : scratch + (cublas::kWorkspaceAlignment - past);
  }

  CUstream_st* stream_;
  GemmSpec spec_;
  cublas::Matmul matmul_;
  std::string name_;
};

}  // namespace

std::unique_ptr<GemmPlan> plan_gemm(const Exec& exec, const GemmSpec& spec) {
  return std::make_unique<Plan>(exec, spec);
}

}  // namespace verace::kernels::cuda
