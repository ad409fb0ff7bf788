// Elements in row-major order from tensors that are stored in another.
#include "weights/tensor_table.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::weights {
namespace {

// One axis of a walk over a tensor: in the order of the target, outermost first.
struct Axis {
  int64_t extent, from_step, to_step;  // steps in elements
};

// The target's axes without those of extent 1, and neighbours that are one walk in the source too
// as one.
std::vector<Axis> walk_of(const TensorView& tensor) {
  std::vector<Axis> axes;
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    const int64_t extent = tensor.shape[axis], step = tensor.strides[axis];
    if (extent == 1) continue;
    if (!axes.empty() && axes.back().from_step == step * extent) {
      axes.back().extent *= extent;
      axes.back().from_step = step;
    } else {
      axes.push_back({extent, step, 0});
    }
  }
  if (axes.empty()) axes.push_back({1, 1, 1});
  int64_t step = 1;
  for (size_t axis = axes.size(); axis-- > 0;) {
    axes[axis].to_step = step;
    step *= axes[axis].extent;
  }
  return axes;
}

// Calls body(from, to) for every index of the axes, offsets in elements.
template <typename Body>
void for_each_index(const std::vector<Axis>& axes, Body body) {
  std::vector<int64_t> index(axes.size(), 0);
  int64_t from = 0, to = 0;
  for (bool more = true; more;) {
    body(from, to);
    more = false;
    for (size_t axis = axes.size(); axis-- > 0 && !more;) {
      const auto& [extent, from_step, to_step] = axes[axis];
      from += from_step;
      to += to_step;
      more = ++index[axis] < extent;
      if (more) continue;
      from -= from_step * extent;
      to -= to_step * extent;
      index[axis] = 0;
    }
  }
}

// A transposition of `rows` (close together in the source) by `columns` (in the target). In tiles:
// whole cache lines of both, through a block that none of them can displace. Tiles in squares: a
// line of a tile may be a page of memory, and a square's pages are found without a walk.
template <typename Element>
void transpose(const Axis& rows, const Axis& columns, const std::byte* source, std::byte* target) {
  constexpr int64_t kTile = 16, kSquare = 128;
  constexpr auto kSize = static_cast<int64_t>(sizeof(Element));
  Element tile[kTile][kTile];
  const auto move_tile = [&](int64_t row, int64_t column) {
    const int64_t height = std::min(kTile, rows.extent - row);
    const int64_t width = std::min(kTile, columns.extent - column);
    for (int64_t j = 0; j < width; ++j) {
      const std::byte* from =
          source + (row * rows.from_step + (column + j) * columns.from_step) * kSize;
      for (int64_t i = 0; i < height; ++i)
        std::memcpy(&tile[i][j], from + i * rows.from_step * kSize, kSize);
    }
    for (int64_t i = 0; i < height; ++i) {
      std::memcpy(target + ((row + i) * rows.to_step + column * columns.to_step) * kSize, tile[i],
                  static_cast<size_t>(width * kSize));
    }
  };
  for (int64_t down = 0; down < rows.extent; down += kSquare) {
    for (int64_t across = 0; across < columns.extent; across += kSquare) {
      for (int64_t row = down; row < std::min(down + kSquare, rows.extent); row += kTile) {
        for (int64_t column = across; column < std::min(across + kSquare, columns.extent);
             column += kTile) {
          move_tile(row, column);
        }
      }
    }
  }
}

// Elements of a type of that size, moved as bytes: the source may have any alignment.
template <typename Element>
void gather_sized(const TensorView& tensor, std::byte* target) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(Element));
  const std::byte* source = tensor.bytes.data();
  std::vector<Axis> axes = walk_of(tensor);
  const Axis columns = axes.back();
  axes.pop_back();
  if (columns.from_step == 1) {
    for_each_index(axes, [&](int64_t from, int64_t to) {
      std::memcpy(target + to * kSize, source + from * kSize,
                  static_cast<size_t>(columns.extent * kSize));
    });
    return;
  }
  Axis rows{1, 1, 1};
  const auto closest = std::ranges::min_element(axes, {}, [](const Axis& axis) {
    return axis.from_step > 0 ? axis.from_step : std::numeric_limits<int64_t>::max();
  });
  if (closest != axes.end()) {
    rows = *closest;
    axes.erase(closest);
  }
  for_each_index(axes, [&](int64_t from, int64_t to) {
    transpose<Element>(rows, columns, source + from * kSize, target + to * kSize);
  });
}

}  // namespace

int64_t TensorView::element_count() const {
  const int64_t count = reached_elements(shape, {});
  VERACE_CHECK(count >= 0, name);
  return count;
}

int64_t reached_elements(std::span<const int64_t> shape, std::span<const int64_t> strides) {
  VERACE_CHECK(strides.empty() || strides.size() == shape.size(), "one stride per extent");
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

std::vector<int64_t> row_major_strides(std::span<const int64_t> shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t axis = shape.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * shape[axis];
  return strides;
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
  switch (size) {
    case 1:
      return gather_sized<uint8_t>(tensor, target.data());
    case 2:
      return gather_sized<uint16_t>(tensor, target.data());
    case 4:
      return gather_sized<uint32_t>(tensor, target.data());
    default:
      return gather_sized<uint64_t>(tensor, target.data());
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
