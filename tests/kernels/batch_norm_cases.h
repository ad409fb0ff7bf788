// Shapes and inputs that the tests of batch norm share.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "kernels/batch_norm.h"
#include "tests/support/devices.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"

namespace verace::kernels::batch_norm_test {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using Words = std::vector<uint32_t>;

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Shape {
  int64_t rows, c;
  int64_t count() const { return rows * c; }
};

inline std::string name(const Shape& s) {
  return std::to_string(s.rows) + "x" + std::to_string(s.c);
}

// Tails of vectors, of the CPU's blocks (32 rows), pieces (64 rows and more) and channel tiles
// (1024), of CUDA's packs (8 channels), tiles (256), lanes and chunks of rows.
inline const std::vector<Shape> kShapes = {
    {1, 1},     {2, 3},     {7, 5},    {33, 17},   {64, 16},   {65, 64},  {100, 33}, {131, 130},
    {70, 1030}, {70, 2048}, {4500, 7}, {5003, 19}, {257, 256}, {2049, 1}, {1037, 8}};
// The same reasons, for the cases that run with every storage type and under every schedule.
inline const std::vector<Shape> kSmallShapes = {{2, 3},   {7, 8},    {31, 1},  {9, 130},
                                                {35, 33}, {17, 264}, {131, 16}};

// Calls body(exec) for each device, on CUDA under one schedule: for large shapes.
template <class Body>
void for_each_device_once(const Body& body) {
  test::note_skipped_devices();
  for (const Exec& device : test::devices()) {
    const Exec exec = make_exec(device.device, device.threads);
    INFO("device ", std::string(to_string(exec.device)), ", threads ", exec.threads);
    body(exec);
  }
}

// So large that each thread of CUDA's sums has more rows than its loop takes at a time, and each
// lane of the second stage more than one chunk.
inline Shape many_rows() { return cuda_is_emulated ? Shape{1300, 136} : Shape{1705, 2056}; }

// Inputs of one normalisation; tensors of activations are [rows, c].
struct Layer {
  Shape shape;
  Floats x, mean, inv_std, gamma, beta, shortcut;
  explicit Layer(const Shape& s, uint64_t seed = 20)
      : shape(s),
        x(test::uniform(s.count(), seed)),
        mean(test::uniform(s.c, seed + 1, -0.5f, 0.5f)),
        inv_std(test::uniform(s.c, seed + 2, 0.5f, 2.0f)),
        gamma(test::uniform(s.c, seed + 3, -1.5f, 1.5f)),
        beta(test::uniform(s.c, seed + 4, -0.5f, 0.5f)),
        shortcut(test::uniform(s.count(), seed + 5)) {}

  template <class T>
  static Layer rounded_to(const Shape& s, uint64_t seed = 20) {
    Layer layer(s, seed);
    layer.x = test::rounded<T>(layer.x);
    layer.shortcut = test::rounded<T>(layer.shortcut);
    return layer;
  }
};

// The mask of y > 0, by its definition.
inline Words mask_of(const Floats& y) {
  Words words((y.size() + 31) / 32, 0u);
  for (size_t i = 0; i < y.size(); ++i) {
    if (y[i] > 0.0f) words[i / 32] |= uint32_t{1} << (i % 32);
  }
  return words;
}

// Scratch of batch_norm_statistics for any device.
inline test::Guarded<float> statistics_scratch(const Shape& s) {
  return test::Guarded<float>(batch_norm_statistics_scratch(s.rows, s.c), kNan);
}

}  // namespace verace::kernels::batch_norm_test
