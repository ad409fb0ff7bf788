// Choosing an algorithm of cuBLASLt and running it.
#include "kernels/cublas/matmul.h"

#include <array>
#include <optional>
#include <span>

#include "kernels/check.h"
#include "kernels/cublas/descriptors.h"
#include "kernels/cublas/library.h"
#include "kernels/format.h"

namespace verace::kernels::cublas {
namespace {

using Candidate = cublasLtMatmulHeuristicResult_t;

// What the heuristics are told of the bias: its alignment. Never read.
const float* placeholder() { return reinterpret_cast<const float*>(kOperandAlignment); }

template <typename Value>
Value configured(const Candidate& c, cublasLtMatmulAlgoConfigAttributes_t attribute,
                 const MatmulSpec& spec) {
  Value value{};
  size_t written = 0;
  check(functions().configuration(&c.algo, attribute, &value, sizeof value, &written),
        "cublasLtMatmulAlgoConfigGetAttribute", spec);
  return value;
}

// The heuristics have been told, and are not taken at their word.
bool adds_in_order(const Candidate& c, const MatmulSpec& spec) {
  const auto scheme = configured<uint32_t>(c, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, spec);
  return scheme == CUBLASLT_REDUCTION_SCHEME_NONE ||
         scheme == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
}

// Tensor cores round fp32 operands, or split them into pieces of 16 bits.
bool uses_tensor_cores(const Candidate& c, const MatmulSpec& spec) {
  uint64_t flags = 0;
  size_t written = 0;
  check(functions().capability(&c.algo, CUBLASLT_ALGO_CAP_NUMERICAL_IMPL_FLAGS, &flags,
                               sizeof flags, &written),
        "cublasLtMatmulAlgoCapGetAttribute", spec);
  return (flags & CUBLASLT_NUMERICAL_IMPL_FLAGS_TENSOR_OP_MASK) != 0;
}

std::string name_of(const Candidate& c, const MatmulSpec& spec) {
  return text::format("algorithm {}, tile {}, {} splits{}",
                      configured<int32_t>(c, CUBLASLT_ALGO_CONFIG_ID, spec),
                      configured<uint32_t>(c, CUBLASLT_ALGO_CONFIG_TILE_ID, spec),
                      configured<int32_t>(c, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, spec),
                      uses_tensor_cores(c, spec) ? ", tensor cores" : "");
}

}  // namespace

struct Matmul::Impl {
  explicit Impl(const MatmulSpec& wanted)
      : spec(wanted), context(cublas::handle()), layouts(layouts_of(wanted)) {}

  void choose() {
    Operation operation = operation_of(spec, placeholder());
    Preference preference = preference_of(spec);
    std::array<Candidate, 32> proposed{};
    int count = 0;
    check(functions().heuristic(context.get(), &operation, &layouts.a, &layouts.b, &layouts.d,
                                &layouts.d, &preference, static_cast<int>(proposed.size()),
                                proposed.data(), &count),
          "cublasLtMatmulAlgoGetHeuristic", spec);
    for (const Candidate& c : std::span(proposed).first(static_cast<size_t>(count))) {
      if (c.state != CUBLAS_STATUS_SUCCESS || !adds_in_order(c, spec)) continue;
      if (!spec.tf32 && uses_tensor_cores(c, spec)) continue;
      algo = c.algo;
      workspace_bytes = static_cast<int64_t>(c.workspaceSize);
      name = name_of(c, spec);
      return;
    }
    fail_check("cuBLASLt", __FILE__, __LINE__,
               text::format("{}: none of {} algorithms suits", to_string(spec), count));
  }

  MatmulSpec spec;
  std::shared_ptr<cublasLtContext> context;
  Layouts layouts;
  cublasLtMatmulAlgo_t algo{};
  int64_t workspace_bytes = 0;
  std::string name;
};

Matmul::Matmul(const MatmulSpec& spec) : impl_(std::make_unique<Impl>(spec)) { impl_->choose(); }
Matmul::~Matmul() = default;
Matmul::Matmul(Matmul&&) noexcept = default;
Matmul& Matmul::operator=(Matmul&&) noexcept = default;

int64_t Matmul::workspace_bytes() const { return impl_->workspace_bytes; }
const std::string& Matmul::algorithm() const { return impl_->name; }

void Matmul::run(CUstream_st* stream, const MatmulArgs& args) const {
  Impl& i = *impl_;
  Operation operation = operation_of(i.spec, args.bias);
  const float alpha = 1.0f, beta = i.spec.add ? 1.0f : 0.0f;
  check(functions().matmul(i.context.get(), &operation, &alpha, args.a, &i.layouts.a, args.b,
                           &i.layouts.b, &beta, args.d, &i.layouts.d, args.d, &i.layouts.d, &i.algo,
                           args.workspace, static_cast<size_t>(i.workspace_bytes), stream),
        "cublasLtMatmul", i.spec);
}

}  // namespace verace::kernels::cublas
