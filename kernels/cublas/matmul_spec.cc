// From a row-major product to the column-major one that cuBLASLt is asked for.
#include "kernels/cublas/matmul.h"
#include "kernels/format.h"

namespace verace::kernels::cublas {
namespace {

Epilogue epilogue_of(const GemmSpec& spec) {
  if (spec.bias) return spec.relu ? Epilogue::kReluBias : Epilogue::kBias;
  return spec.relu ? Epilogue::kRelu : Epilogue::kNone;
}

const char* name_of(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::kBias:
      return " +bias";
    case Epilogue::kRelu:
      return " +relu";
    case Epilogue::kReluBias:
      return " +bias +relu";
    case Epilogue::kNone:
      break;
  }
  return "";
}

}  // namespace

MatmulSpec column_major(const GemmSpec& spec, bool tf32) {
  validate(spec);
  MatmulSpec m;
  m.m = spec.n;
  m.n = spec.m;
  m.k = spec.k;
  // Without transposition gemm's B, row-major [k, n], is [n, k] in columns: not transposed there
  // either.
  m.transpose_a = spec.transpose_b;
  m.transpose_b = spec.transpose_a;
  m.lda = spec.transpose_b ? spec.k : spec.n;
  m.ldb = spec.transpose_a ? spec.m : spec.k;
  m.ldd = spec.n;
  m.epilogue = epilogue_of(spec);
  m.add = spec.accumulate;
  m.tf32 = tf32;
  return m;
}

std::string to_string(const MatmulSpec& s) {
  return text::format("matmul {} {}x{}x{}{}{}{}{} (ld {}, {}, {})", s.tf32 ? "tf32" : "fp32", s.m,
                      s.n, s.k, s.transpose_a ? " A^T" : "", s.transpose_b ? " B^T" : "",
                      name_of(s.epilogue), s.add ? " +D" : "", s.lda, s.ldb, s.ldd);
}

}  // namespace verace::kernels::cublas
