// The table of element types.
#include "weights/dtype.h"

#include "kernels/check.h"

namespace verace::weights {
namespace {

struct Row {
  Dtype dtype;
  std::string_view name;
  int64_t size;
};

constexpr Row kDtypes[] = {
    {Dtype::kBool, "BOOL", 1},      {Dtype::kU8, "U8", 1},          {Dtype::kI8, "I8", 1},
    {Dtype::kF8E5M2, "F8_E5M2", 1}, {Dtype::kF8E4M3, "F8_E4M3", 1}, {Dtype::kF8E8M0, "F8_E8M0", 1},
    {Dtype::kI16, "I16", 2},        {Dtype::kU16, "U16", 2},        {Dtype::kF16, "F16", 2},
    {Dtype::kBF16, "BF16", 2},      {Dtype::kI32, "I32", 4},        {Dtype::kU32, "U32", 4},
    {Dtype::kF32, "F32", 4},        {Dtype::kI64, "I64", 8},        {Dtype::kU64, "U64", 8},
    {Dtype::kF64, "F64", 8},        {Dtype::kC64, "C64", 8},
};

const Row& row_of(Dtype dtype) {
  for (const Row& row : kDtypes) {
    if (row.dtype == dtype) return row;
  }
  fail_check("dtype is in the table", __FILE__, __LINE__, "");
}

}  // namespace

int64_t size_of(Dtype dtype) { return row_of(dtype).size; }

std::string_view to_string(Dtype dtype) { return row_of(dtype).name; }

std::optional<Dtype> parse_dtype(std::string_view name) {
  for (const Row& row : kDtypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

bool is_exact_in_f32(Dtype dtype) {
  return dtype == Dtype::kF32 || dtype == Dtype::kF16 || dtype == Dtype::kBF16;
}

}  // namespace verace::weights
