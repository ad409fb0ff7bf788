// Spelling precisions, and which device has which.
#include "engine/precision.h"

#include <string>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::engine {

std::string_view to_string(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return "fp32";
    case Precision::kTf32:
      return "tf32";
    case Precision::kFp16:
      return "fp16";
    case Precision::kBf16:
      return "bf16";
  }
  return "?";
}

Precision parse_precision(std::string_view text, std::string_view where) {
  for (const auto p : {Precision::kFp32, Precision::kTf32, Precision::kFp16, Precision::kBf16}) {
    if (text == to_string(p)) return p;
  }
  fail_input(text::format("{}: '{}' is not a precision: use fp32, tf32, fp16 or bf16",
                          std::string(where), std::string(text)));
}

DType storage_of(Precision precision) {
  if (precision == Precision::kFp16) return DType::kF16;
  return precision == Precision::kBf16 ? DType::kBF16 : DType::kF32;
}

kernels::Exec with_precision(kernels::Exec exec, Precision precision, std::string_view where) {
  if (precision != Precision::kFp32 && exec.device != kernels::DeviceKind::kCuda) {
    fail_input(text::format("{} {}: device {} computes in fp32 only: use fp32, or --device cuda",
                            std::string(where), std::string(to_string(precision)),
                            kernels::to_string(exec.device)));
  }
  exec.tf32 = precision == Precision::kTf32;
  return exec;
}

}  // namespace verace::engine
