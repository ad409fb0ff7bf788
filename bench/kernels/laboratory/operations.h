// Which problems the laboratory knows: every shipped CUDA operation at three scales.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/kernels/laboratory/problem.h"
#include "kernels/shape.h"
#include "tests/support/random.h"

namespace verace::laboratory {

// kProof: small shapes with tails, to prove on; the other two are for timing: kResNet50 the shapes
// of ResNet-50 v1.5 (224 x 224) at `batch`, and of a single picture; kTiny a few small ones, for
// machines without a GPU.
enum class Scale { kProof, kTiny, kResNet50 };

// [rows, c] that a batch norm sees.
struct Rows {
  int64_t rows, c;
  bool ends_block = false;  // a shortcut is added
  bool projected = false;   // the shortcut has a batch norm of its own
  int64_t count() const { return rows * c; }
};

struct Shapes {
  Scale scale = Scale::kProof;
  int64_t batch = 64;

  std::vector<int64_t> counts() const;      // of element-wise work
  std::vector<Rows> normalised() const;     // of batch norm and bias
  std::vector<int64_t> parameters() const;  // of one network's tensors
};

// --- names and numbers for descriptions

template <class T>
std::string type_name() {
  return name_of(element_type<T>());
}
std::string text(const kernels::Nhwc& shape);
std::string text(const Rows& rows);

// Element i: uniform in [low, high).
inline auto uniform(uint64_t seed, float low = -1.0f, float high = 1.0f) {
  return [=](int64_t i) {
    return static_cast<float>(low + (static_cast<double>(high) - low) *
                                        test::random_unit(seed, static_cast<uint64_t>(i)));
  };
}
// Element i: a multiple of 1/8 in [-1, 1]: sums of two are exact in every storage type.
inline auto eighths(uint64_t seed) {
  return [=](int64_t i) {
    return static_cast<float>(test::random_bits(seed, static_cast<uint64_t>(i)) % 17) / 8.0f - 1.0f;
  };
}
// Element i: a whole number in [0, choices).
inline auto whole(uint64_t seed, uint64_t choices) {
  return [=](int64_t i) { return test::random_bits(seed, static_cast<uint64_t>(i)) % choices; };
}
inline auto constant(double value) {
  return [=](int64_t) { return value; };
}

inline test::Tolerance elementwise(double magnitude) {
  return test::tolerance(test::OpClass::kElementwise, 1, magnitude);
}
inline test::Tolerance exact() { return test::tolerance(test::OpClass::kExact, 1); }
inline test::Tolerance reduction(int64_t length, double magnitude) {
  return test::tolerance(test::OpClass::kReduction, length, magnitude);
}

// Calls body(T{}) for every storage type.
template <class Body>
void for_each_storage(const Body& body) {
  body(float{});
  body(Half{});
  body(BFloat16{});
}

// --- the operations, one function per file

void add_activation(const Shapes& shapes, Problems& all);
void add_batch_norm(const Shapes& shapes, Problems& all);
void add_batch_norm_backward(const Shapes& shapes, Problems& all);
void add_pooling(const Shapes& shapes, Problems& all);
void add_detection(const Shapes& shapes, Problems& all);
void add_pictures(const Shapes& shapes, Problems& all);
void add_reductions(const Shapes& shapes, Problems& all);
void add_training(const Shapes& shapes, Problems& all);

// All of them.
Problems all_problems(const Shapes& shapes);

}  // namespace verace::laboratory
