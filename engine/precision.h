// The precision of a network's arithmetic: what tensors between layers are stored in, and what
// products are made of.
#pragma once

#include <string_view>

#include "engine/tensor.h"
#include "kernels/exec.h"

namespace verace::engine {

// kFp32: everything in fp32. kTf32: stored in fp32, but convolutions and matrix products round
// their operands to 10 bits of fraction (Exec::tf32). kFp16 and kBf16: activations, their gradients
// and the filters that convolutions read are stored in 16 bits, sums are fp32; parameters that are
// trained, batch norm's statistics and the head stay fp32 (Micikevicius et al. 2018, arXiv
// 1710.03740, section 3.1). All but kFp32 exist on CUDA devices only.
enum class Precision { kFp32, kTf32, kFp16, kBf16 };

// "fp32", "tf32", "fp16", "bf16".
std::string_view to_string(Precision precision);
// Throws Error(kInput) "WHERE: 'TEXT' is not a precision: use ..." for any other spelling.
Precision parse_precision(std::string_view text, std::string_view where);

// Element type of activations.
DType storage_of(Precision precision);
// Whether training needs a loss scale: fp16's smallest numbers are larger than many gradients.
inline bool needs_loss_scale(Precision precision) { return precision == Precision::kFp16; }

// `exec` with the switch that `precision` asks for. Throws Error(kInput) "WHERE PRECISION: ..."
// where its device does not have that precision; `where` is a flag, or a file and what stands in
// it.
kernels::Exec with_precision(kernels::Exec exec, Precision precision, std::string_view where);

}  // namespace verace::engine
