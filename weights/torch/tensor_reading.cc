// Checking one tensor of a state dict and finding its bytes.
#include "weights/torch/tensor_reading.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/safetensors_header.h"
#include "weights/torch/advice.h"

namespace verace::weights {
namespace {

// Parameter(tensor) and the like; real ones have one or two.
constexpr int kMaxWrappers = 4;

class TensorReader {
 public:
  TensorReader(const Pickle& pickle, const std::string& name, const std::string& where)
      : pickle_(pickle), name_(name), where_(where) {}

  TensorView read(const TensorCall& call, const FindStorage& find_storage) const;

 private:
  [[noreturn]] void fail(const std::string& what, const char* advice = kAgain) const {
    fail_input(text::format("{}: tensor {} {}: {}", where_, in_quotes(name_), what, advice));
  }

  std::vector<int64_t> numbers(PickleId id, const char* what) const;
  Dtype dtype_of(const TensorCall& call, const TorchStorage& storage) const;
  // Bytes of a dense tensor of this shape.
  int64_t check_size(const TensorView& tensor) const;
  // Elements from the first to the last that the strides reach.
  int64_t reach(const TensorView& tensor, int64_t offset, int64_t elements) const;

  const Pickle& pickle_;
  const std::string& name_;
  const std::string& where_;
};

std::vector<int64_t> TensorReader::numbers(PickleId id, const char* what) const {
  const auto* tuple = pickle_.get<PickleTuple>(id);
  if (tuple == nullptr) fail(text::format("has a {} that is no tuple", what));
  if (tuple->count > kMaxRank) {
    fail(text::format("has a {} of {} numbers (at most {})", what, tuple->count, kMaxRank));
  }
  std::vector<int64_t> out;
  for (const PickleId item : pickle_.items(*tuple)) {
    const auto* number = pickle_.get<int64_t>(item);
    if (number == nullptr || *number < 0) {
      fail(text::format("has a {} with something other than numbers from 0 to 2^63 - 1", what));
    }
    out.push_back(*number);
  }
  return out;
}

Dtype TensorReader::dtype_of(const TensorCall& call, const TorchStorage& storage) const {
  if (!call.names_dtype) return storage.dtype;
  const auto* dtype = pickle_.get<TorchGlobal>(pickle_.items(call.arguments)[6]);
  if (dtype == nullptr || dtype->kind != GlobalKind::kDtype || !dtype->dtype) {
    fail("has an element type that Verace does not know", "save it as float32");
  }
  return *dtype->dtype;
}

int64_t TensorReader::check_size(const TensorView& tensor) const {
  int64_t bytes = size_of(tensor.dtype);
  for (const int64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) {
      fail(text::format("of shape {} is larger than 2^63 bytes", shape_text(tensor.shape)));
    }
  }
  return bytes;
}

int64_t TensorReader::reach(const TensorView& tensor, int64_t offset, int64_t elements) const {
  const int64_t count = reached_elements(tensor.shape, tensor.strides);
  int64_t end = 0;
  if (count < 0 || __builtin_add_overflow(count, offset, &end) || end > elements) {
    fail(
        text::format("of shape {}, strides {} and offset {} reaches beyond its storage of {} "
                     "elements",
                     shape_text(tensor.shape), shape_text(tensor.strides), offset, elements));
  }
  return count;
}

bool is_row_major(const TensorView& tensor) {
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

TensorView TensorReader::read(const TensorCall& call, const FindStorage& find_storage) const {
  if (!call.supported) fail("is sparse, quantised or without data", "save it as a dense tensor");
  const std::span<const PickleId> arguments = pickle_.items(call.arguments);
  if (arguments.size() < (call.names_dtype ? 7 : 4)) fail("is built from too few values");
  const auto* reference = pickle_.get<PicklePersistent>(arguments[0]);
  if (reference == nullptr) fail("has no storage");
  const TorchStorage storage = read_storage(pickle_, *reference, where_);
  const auto* offset = pickle_.get<int64_t>(arguments[1]);
  if (offset == nullptr || *offset < 0) fail("has an offset that is no number from 0 on");

  TensorView tensor;
  tensor.name = name_;
  tensor.dtype = dtype_of(call, storage);
  tensor.shape = numbers(arguments[2], "size");
  tensor.strides = numbers(arguments[3], "stride");
  if (tensor.shape.size() != tensor.strides.size()) {
    fail(
        text::format("has {} extents, but {} strides", tensor.shape.size(), tensor.strides.size()));
  }
  const bool empty = check_size(tensor) == 0;
  const std::span<const std::byte> whole = find_storage(storage);
  if (!empty) {
    const int64_t size = size_of(tensor.dtype);
    const std::span<const std::byte> view =
        whole.subspan(static_cast<size_t>(storage.view_offset * size_of(storage.dtype)),
                      static_cast<size_t>(storage.view_elements * size_of(storage.dtype)));
    const int64_t count = reach(tensor, *offset, static_cast<int64_t>(view.size()) / size);
    tensor.bytes =
        view.subspan(static_cast<size_t>(*offset * size), static_cast<size_t>(count * size));
  }
  if (empty || is_row_major(tensor)) tensor.strides.clear();
  return tensor;
}

}  // namespace

std::optional<TensorCall> find_tensor_call(const Pickle& pickle, PickleId id) {
  for (int wrappers = 0; wrappers <= kMaxWrappers; ++wrappers) {
    const auto* call = pickle.get<PickleCall>(id);
    if (call == nullptr) return std::nullopt;
    const auto* function = pickle.get<TorchGlobal>(call->function);
    PickleTuple arguments = *pickle.get<PickleTuple>(call->arguments);
    GlobalKind kind = function->kind;
    if (kind == GlobalKind::kRebuildFromType && arguments.count >= 3) {
      const std::span<const PickleId> outer = pickle.items(arguments);
      const auto* inner = pickle.get<TorchGlobal>(outer[0]);
      const auto* inner_arguments = pickle.get<PickleTuple>(outer[2]);
      if (inner == nullptr || inner_arguments == nullptr) return std::nullopt;
      kind = inner->kind;
      arguments = *inner_arguments;
    }
    switch (kind) {
      case GlobalKind::kRebuildTensor:
        return TensorCall{true, arguments, false};
      case GlobalKind::kRebuildTensorV3:
        return TensorCall{true, arguments, true};
      case GlobalKind::kUnsupportedTensor:
        return TensorCall{false, arguments, false};
      case GlobalKind::kTensorClass: {
        const auto* state =
            call->state == kNoPickleId ? nullptr : pickle.get<PickleTuple>(call->state);
        if (state == nullptr) return std::nullopt;
        return TensorCall{true, *state, false};
      }
      case GlobalKind::kParameter:
        if (arguments.count == 0) return std::nullopt;
        id = pickle.items(arguments)[0];
        break;
      default:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

TensorView read_tensor(const Pickle& pickle, const TensorCall& call, const std::string& name,
                       const std::string& where, const FindStorage& find_storage) {
  return TensorReader(pickle, name, where).read(call, find_storage);
}

}  // namespace verace::weights
