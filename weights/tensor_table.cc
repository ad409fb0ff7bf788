// Elements in row-major order from tensors that are stored in another.
#include "weights/tensor_table.h"

#include <algorithm>
#include <cstring>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::weights {
namespace {

// The axis whose elements lie closest together in the file: walking along it in runs uses whole
// cache lines of the source.
size_t closest_axis(const TensorView& tensor) {
  size_t best = tensor.shape.size() - 1;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    const bool closer = tensor.strides[axis] < tensor.strides[best] || tensor.shape[best] == 1;
    if (tensor.shape[axis] > 1 && tensor.strides[axis] > 0 && closer) best = axis;
  }
  return best;
}

// Elements of the type's size, moved as bytes: the source may have any alignment.
template <size_t kSize>
void gather_sized(const TensorView& tensor, std::byte* target) {
  constexpr int64_t kRun = 16;  // elements: a cache line of F32
  const size_t rank = tensor.shape.size();
  std::vector<int64_t> steps(rank, 1);  // row-major strides of the target
  for (size_t axis = rank - 1; axis > 0; --axis) steps[axis - 1] = steps[axis] * tensor.shape[axis];
  const size_t inner = closest_axis(tensor);
  const int64_t from_step = tensor.strides[inner], to_step = steps[inner];
  std::vector<int64_t> outer_shape = tensor.shape;
  outer_shape[inner] = 1;
  for (int64_t start = 0; start < tensor.shape[inner]; start += kRun) {
    const int64_t run = std::min(kRun, tensor.shape[inner] - start);
    std::vector<int64_t> index(rank, 0);
    int64_t from = start * from_step, to = start * to_step;
    for (bool more = true; more;) {
      for (int64_t i = 0; i < run; ++i) {
        std::memcpy(target + (to + i * to_step) * static_cast<int64_t>(kSize),
                    tensor.bytes.data() + (from + i * from_step) * static_cast<int64_t>(kSize),
                    kSize);
      }
      more = false;
      for (size_t axis = rank; axis-- > 0 && !more;) {  // the next index, last axis first
        from += tensor.strides[axis];
        to += steps[axis];
        if (++index[axis] < outer_shape[axis]) {
          more = true;
        } else {
          from -= tensor.strides[axis] * index[axis];
          to -= steps[axis] * index[axis];
          index[axis] = 0;
        }
      }
    }
  }
}

}  // namespace

int64_t TensorView::element_count() const {
  const int64_t count = reached_elements(shape, {});
  VERACE_CHECK(count >= 0, name);
  return count;
}

int64_t reached_elements(std::span<const int64_t> shape, std::span<const int64_t> strides) {
  if (std::ranges::find(shape, 0) != shape.end()) return 0;
  int64_t last = strides.empty() ? 1 : 0;
  bool fits = true;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (strides.empty()) {
      fits = fits && !__builtin_mul_overflow(last, shape[axis], &last);
      continue;
    }
    int64_t reach = 0;
    fits = fits && !__builtin_mul_overflow(shape[axis] - 1, strides[axis], &reach) &&
           !__builtin_add_overflow(last, reach, &last);
  }
  if (!strides.empty()) fits = fits && !__builtin_add_overflow(last, 1, &last);
  return fits ? last : -1;
}

void gather(const TensorView& tensor, std::span<std::byte> target) {
  const int64_t size = size_of(tensor.dtype);
  const int64_t count = tensor.element_count();
  VERACE_CHECK(static_cast<int64_t>(target.size()) / size == count, tensor.name);
  const int64_t reached = reached_elements(tensor.shape, tensor.strides);
  VERACE_CHECK(reached >= 0 && reached <= static_cast<int64_t>(tensor.bytes.size()) / size,
               tensor.name);
  if (count == 0) return;
  if (tensor.is_dense() || tensor.shape.empty()) {
    std::memcpy(target.data(), tensor.bytes.data(), target.size());
    return;
  }
  VERACE_CHECK(tensor.strides.size() == tensor.shape.size(), tensor.name);
  switch (size) {
    case 1:
      return gather_sized<1>(tensor, target.data());
    case 2:
      return gather_sized<2>(tensor, target.data());
    case 4:
      return gather_sized<4>(tensor, target.data());
    default:
      return gather_sized<8>(tensor, target.data());
  }
}

std::span<const std::byte> dense_bytes(const TensorView& tensor, std::vector<std::byte>& buffer) {
  if (tensor.is_dense()) return tensor.bytes;
  buffer.resize(static_cast<size_t>(tensor.element_count() * size_of(tensor.dtype)));
  gather(tensor, buffer);
  return buffer;
}

std::string in_quotes(const std::string& text) {
  constexpr size_t kLongest = 80;
  std::string out = "'";
  for (const char c : text.substr(0, kLongest)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return out + (text.size() > kLongest ? "...'" : "'");
}

std::string shape_text(std::span<const int64_t> shape) {
  return text::format("[{}]", text::join(shape, ", "));
}

}  // namespace verace::weights
