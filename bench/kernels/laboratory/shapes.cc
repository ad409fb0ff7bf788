// The shapes of the laboratory's problems.
#include <string>

#include "bench/kernels/laboratory/operations.h"

namespace verace::laboratory {
namespace {

struct Stage {
  int64_t size, width, blocks;
};
constexpr Stage kStages[] = {{56, 64, 3}, {28, 128, 4}, {14, 256, 6}, {7, 512, 3}};

// Every distinct [rows, c] of ResNet-50 v1.5, whose stride stands in the 3x3.
std::vector<Rows> resnet50(int64_t n) {
  std::vector<Rows> all{{n * 112 * 112, 64}};
  int64_t before = 56;  // size of a stage's input
  for (const Stage& s : kStages) {
    const int64_t rows = n * s.size * s.size;
    if (before != s.size) all.push_back({n * before * before, s.width});
    all.push_back({rows, s.width});
    all.push_back({rows, 4 * s.width, true, true});
    all.push_back({rows, 4 * s.width, true, false});
    before = s.size;
  }
  return all;
}

}  // namespace

std::vector<int64_t> Shapes::counts() const {
  switch (scale) {
    case Scale::kProof:
      return {1, 7, 8, 9, 31, 33, 2047, 2049, 40001};
    case Scale::kTiny:
      return {4099};
    case Scale::kResNet50:
      break;
  }
  return {56 * 56 * 256, batch * 7 * 7 * 2048, batch * 14 * 14 * 1024, batch * 28 * 28 * 512,
          batch * 56 * 56 * 256};
}

std::vector<Rows> Shapes::normalised() const {
  switch (scale) {
    case Scale::kProof:
      return {{2, 1},          {7, 3, true},          {9, 33, true, true}, {65, 64},
              {33, 130, true}, {2049, 8, true, true}, {129, 264, true},    {531, 64, true}};
    case Scale::kTiny:
      return {{70, 64, true}};
    case Scale::kResNet50:
      break;
  }
  std::vector<Rows> all{{56 * 56, 64}, {7 * 7, 2048, true}};
  for (const Rows& r : resnet50(batch)) all.push_back(r);
  return all;
}

std::vector<int64_t> Shapes::parameters() const {
  if (scale == Scale::kProof) return {1, 7, 8, 9, 31, 4095, 4097, 12289};
  if (scale == Scale::kTiny) return {64, 64, 4099};
  std::vector<int64_t> all{7 * 7 * 3 * 64, 64, 64};
  const auto put = [&](int64_t filter, int64_t channels) {
    all.insert(all.end(), {filter, channels, channels});
  };
  int64_t c = 64;
  for (const Stage& s : kStages) {
    for (int64_t block = 0; block < s.blocks; ++block) {
      put(c * s.width, s.width);
      put(9 * s.width * s.width, s.width);
      put(4 * s.width * s.width, 4 * s.width);
      if (block == 0) put(c * 4 * s.width, 4 * s.width);
      c = 4 * s.width;
    }
  }
  all.insert(all.end(), {2048 * 1000, 1000});
  return all;
}

std::string text(const kernels::Nhwc& s) {
  return std::to_string(s.n) + "x" + std::to_string(s.h) + "x" + std::to_string(s.w) + "x" +
         std::to_string(s.c);
}

std::string text(const Rows& r) {
  return std::to_string(r.rows) + "x" + std::to_string(r.c) +
         (r.projected ? " projected" : (r.ends_block ? " shortcut" : ""));
}

Problems all_problems(const Shapes& shapes) {
  Problems all;
  add_activation(shapes, all);
  add_batch_norm(shapes, all);
  add_batch_norm_backward(shapes, all);
  add_pooling(shapes, all);
  add_detection(shapes, all);
  add_pictures(shapes, all);
  add_reductions(shapes, all);
  add_training(shapes, all);
  return all;
}

}  // namespace verace::laboratory
