// The table of allowed names.
#include "weights/torch/torch_globals.h"

namespace verace::weights {
namespace {

using Kind = GlobalKind;

struct Name {
  std::string_view module;
  std::string_view name;
  GlobalKind kind;
};

constexpr Name kNames[] = {
    {"collections", "OrderedDict", Kind::kOrderedDict},
    {"torch._utils", "_rebuild_tensor", Kind::kRebuildTensor},
    {"torch._utils", "_rebuild_tensor_v2", Kind::kRebuildTensor},
    {"torch._utils", "_rebuild_tensor_v3", Kind::kRebuildTensorV3},
    {"torch._tensor", "_rebuild_from_type_v2", Kind::kRebuildFromType},
    {"torch._utils", "_rebuild_parameter", Kind::kParameter},
    {"torch._utils", "_rebuild_parameter_with_state", Kind::kParameter},
    {"torch.nn.parameter", "Parameter", Kind::kParameter},
    {"torch._utils", "_rebuild_qtensor", Kind::kUnsupportedTensor},
    {"torch._utils", "_rebuild_sparse_tensor", Kind::kUnsupportedTensor},
    {"torch._utils", "_rebuild_sparse_csr_tensor", Kind::kUnsupportedTensor},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", Kind::kUnsupportedTensor},
    {"torch._utils", "_rebuild_wrapper_subclass", Kind::kUnsupportedTensor},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", Kind::kUnsupportedTensor},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Kind::kUnsupportedTensor},
    {"torch", "Tensor", Kind::kHarmless},
    {"torch", "Size", Kind::kHarmless},
    {"torch", "device", Kind::kHarmless},
    {"torch.serialization", "_get_layout", Kind::kHarmless},
    {"torch", "per_tensor_affine", Kind::kHarmless},
    {"torch", "per_tensor_symmetric", Kind::kHarmless},
    {"torch", "per_channel_affine", Kind::kHarmless},
    {"torch", "per_channel_symmetric", Kind::kHarmless},
    {"torch", "per_channel_affine_float_qparams", Kind::kHarmless},
    {"collections", "Counter", Kind::kHarmless},
    {"_codecs", "encode", Kind::kHarmless},  // how protocol 2 spells bytes
    {"builtins", "bytearray", Kind::kHarmless},
    {"builtins", "set", Kind::kHarmless},
    {"builtins", "complex", Kind::kHarmless},
    {"__builtin__", "bytearray", Kind::kHarmless},  // Python 2
    {"__builtin__", "set", Kind::kHarmless},
    {"__builtin__", "complex", Kind::kHarmless},
};

// An element type: its dtype is torch.NAME, its classes are torch.STEM + "Storage" and "Tensor".
struct Element {
  std::string_view name;
  std::string_view stem;  // empty: it has no classes
  std::optional<Dtype> dtype;
};

constexpr Element kElements[] = {
    {"float32", "Float", Dtype::kF32},
    {"float16", "Half", Dtype::kF16},
    {"bfloat16", "BFloat16", Dtype::kBF16},
    {"float64", "Double", Dtype::kF64},
    {"int64", "Long", Dtype::kI64},
    {"int32", "Int", Dtype::kI32},
    {"int16", "Short", Dtype::kI16},
    {"int8", "Char", Dtype::kI8},
    {"uint8", "Byte", Dtype::kU8},
    {"bool", "Bool", Dtype::kBool},
    {"complex64", "ComplexFloat", Dtype::kC64},
    {"complex128", "ComplexDouble", std::nullopt},
    {"complex32", "", std::nullopt},
    {"uint16", "", Dtype::kU16},
    {"uint32", "", Dtype::kU32},
    {"uint64", "", Dtype::kU64},
    {"float8_e5m2", "", Dtype::kF8E5M2},
    {"float8_e4m3fn", "", Dtype::kF8E4M3},
    {"float8_e8m0fnu", "", Dtype::kF8E8M0},
    {"quint8", "QUInt8", std::nullopt},
    {"qint8", "QInt8", std::nullopt},
    {"qint32", "QInt32", std::nullopt},
    {"quint4x2", "QUInt4x2", std::nullopt},
    {"quint2x4", "QUInt2x4", std::nullopt},
};

// Whether `name` is stem + suffix.
bool is_class(std::string_view name, std::string_view stem, std::string_view suffix) {
  return !stem.empty() && name.size() == stem.size() + suffix.size() && name.starts_with(stem) &&
         name.ends_with(suffix);
}

}  // namespace

std::optional<TorchGlobal> find_torch_global(std::string_view module, std::string_view name) {
  for (const Name& row : kNames) {
    if (row.module == module && row.name == name) return TorchGlobal{row.kind, std::nullopt};
  }
  // Plain bytes: their tensors name the dtype (_rebuild_tensor_v3).
  if ((module == "torch" || module == "torch.storage") && name == "UntypedStorage") {
    return TorchGlobal{Kind::kStorageClass, Dtype::kU8};
  }
  if (module != "torch" && module != "torch.cuda") return std::nullopt;
  for (const Element& row : kElements) {
    if (is_class(name, row.stem, "Storage")) return TorchGlobal{Kind::kStorageClass, row.dtype};
    if (is_class(name, row.stem, "Tensor")) return TorchGlobal{Kind::kTensorClass, row.dtype};
    if (module == "torch" && name == row.name) return TorchGlobal{Kind::kDtype, row.dtype};
  }
  return std::nullopt;
}

std::string storage_class(Dtype dtype) {
  for (const Element& row : kElements) {
    if (row.dtype == dtype && !row.stem.empty()) return std::string(row.stem) + "Storage";
  }
  return {};
}

}  // namespace verace::weights
