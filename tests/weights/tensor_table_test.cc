// Gathering of strided tensors, and what their strides reach.
#include "weights/tensor_table.h"

#include <limits>
#include <numeric>

#include "tests/weights/support.h"

namespace verace::weights::tensor_table_test {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

template <typename T>
std::vector<T> gathered(const TensorView& tensor) {
  std::vector<std::byte> buffer;
  const std::span<const std::byte> bytes = dense_bytes(tensor, buffer);
  std::vector<T> out(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

// Element by element, by the definition of strides.
template <typename T>
std::vector<T> by_definition(const std::vector<T>& data, const std::vector<int64_t>& shape,
                             const std::vector<int64_t>& strides) {
  std::vector<int64_t> offsets{0};
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    std::vector<int64_t> next;
    for (const int64_t offset : offsets)
      for (int64_t i = 0; i < shape[axis]; ++i) next.push_back(offset + i * strides[axis]);
    offsets = next;
  }
  std::vector<T> out;
  for (const int64_t offset : offsets) out.push_back(data[static_cast<size_t>(offset)]);
  return out;
}

template <typename T>
void check_gather(Dtype dtype, const std::vector<int64_t>& shape,
                  const std::vector<int64_t>& strides) {
  std::vector<T> data(static_cast<size_t>(reached_elements(shape, strides)));
  std::iota(data.begin(), data.end(), T{1});
  // One byte off, since a file's tensors may lie anywhere.
  std::vector<std::byte> moved(data.size() * sizeof(T) + 1);
  if (!data.empty()) std::memcpy(moved.data() + 1, data.data(), data.size() * sizeof(T));
  const TensorView tensor{"t", "", dtype, shape, strides, std::span(moved).subspan(1)};
  const std::string text = shape_text(shape) + " by " + shape_text(strides);
  CHECK_MESSAGE(gathered<T>(tensor) == by_definition(data, shape, strides), text);
}

TEST_CASE("strided tensors are gathered in row-major order") {
  const std::pair<std::vector<int64_t>, std::vector<int64_t>> cases[] = {
      {{5, 3}, {1, 5}},                             // a transposed matrix
      {{40, 33}, {1, 40}},                          // longer than a run, and not a multiple of it
      {{300, 150}, {1, 300}},                       // more than a square of tiles
      {{33, 40}, {40, 1}},                          // row-major with strides
      {{17, 4, 3, 3}, {1, 17, 204, 68}},            // a Keras kernel as [o, i, h, w]
      {{4, 17, 1, 1}, {1, 4, 68, 68}},              // a pointwise one
      {{2, 3}, {7, 2}},                             // with holes
      {{3, 4}, {0, 1}},                             // one row, three times
      {{3}, {0}},                                   // one number
      {{2, 3}, {5, 5}},                             // neighbours of one stride
      {{4, 5, 6}, {30, 6, 1}},                      // row-major in three axes
      {{1, 1, 5}, {9, 9, 3}},                       // extents of 1
      {{1, 1}, {3, 3}},                             // nothing but them
      {{2, 0, 3}, {1, 1, 1}},                       // nothing
      {{2, 2, 2, 2, 2, 2}, {1, 2, 4, 8, 16, 32}}};  // all axes reversed
  for (const auto& [shape, strides] : cases) {
    check_gather<float>(Dtype::kF32, shape, strides);
    check_gather<uint16_t>(Dtype::kF16, shape, strides);
    check_gather<int64_t>(Dtype::kI64, shape, strides);
    check_gather<uint8_t>(Dtype::kU8, shape, strides);
  }
}

TEST_CASE("dense tensors are not copied") {
  const std::vector<float> values{1, 2, 3, 4};
  const TensorView tensor{"t", "", Dtype::kF32, {2, 2}, {}, std::as_bytes(std::span(values))};
  std::vector<std::byte> buffer;
  CHECK(dense_bytes(tensor, buffer).data() == tensor.bytes.data());
  CHECK(buffer.empty());
}

TEST_CASE("what strides reach") {
  using List = std::vector<int64_t>;
  const auto reached = [](const List& shape, const List& strides) {
    return reached_elements(shape, strides);
  };
  CHECK(reached({}, {}) == 1);
  CHECK(reached({2, 3}, {}) == 6);
  CHECK(reached({2, 3}, {3, 1}) == 6);
  CHECK(reached({2, 3}, {10, 2}) == 15);
  CHECK(reached({4, 4}, {0, 0}) == 1);
  CHECK(reached({0, kMost}, {kMost, kMost}) == 0);
  CHECK(reached({kMost, 0, kMost}, {}) == 0);
  CHECK(reached({kMost}, {1}) == kMost);
  CHECK(reached({kMost, 2}, {}) == -1);
  CHECK(reached({kMost}, {2}) == -1);
  CHECK(reached({2}, {kMost}) == -1);
  CHECK(reached({int64_t{1} << 62, int64_t{1} << 62}, {1, 1}) ==
        std::numeric_limits<int64_t>::max());
}

TEST_CASE("a tensor that reaches beyond its bytes is never read") {
  const std::vector<float> values{1, 2, 3, 4};
  const auto bytes = std::as_bytes(std::span(values));
  std::vector<std::byte> buffer;
  const auto refused = [&](const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
    CHECK_THROWS_AS(dense_bytes({"t", "", Dtype::kF32, shape, strides, bytes}, buffer), Error);
  };
  refused({2, 2}, {2, 2});
  refused({5}, {1});
  refused({2}, {4});
  refused({2, 2}, {1});
}

}  // namespace
}  // namespace verace::weights::tensor_table_test
