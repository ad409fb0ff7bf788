// The laboratory's problems of the face detector: depthwise convolution, joining feature maps.
#include "bench/kernels/laboratory/operations.h"
#include "kernels/depthwise_conv.h"
#include "kernels/feature_maps.h"

namespace verace::laboratory {
namespace {

using kernels::ConcatChannels;
using kernels::DepthwiseConv;
using kernels::Exec;
using kernels::Nhwc;
using kernels::UpsampleAdd;

struct Depthwise {
  Nhwc x;
  int64_t stride;
};

// Those of MobileNet-0.25 that see pictures of 640 x 480, one of each width.
std::vector<Depthwise> depthwise_shapes(const Shapes& shapes) {
  if (shapes.scale == Scale::kProof) {
    return {{{1, 1, 1, 1}, 1},  {{2, 5, 7, 3}, 1},   {{1, 9, 6, 8}, 2},
            {{2, 6, 9, 33}, 2}, {{1, 4, 70, 64}, 1}, {{3, 8, 5, 20}, 1}};
  }
  if (shapes.scale == Scale::kTiny) return {{{1, 12, 10, 16}, 1}, {{1, 12, 10, 16}, 2}};
  std::vector<Depthwise> all;
  for (const int64_t n : {int64_t{1}, shapes.batch}) {
    for (const Depthwise& d : {Depthwise{{n, 240, 320, 8}, 1}, Depthwise{{n, 240, 320, 16}, 2},
                               Depthwise{{n, 120, 160, 32}, 1}, Depthwise{{n, 60, 80, 64}, 1},
                               Depthwise{{n, 30, 40, 128}, 1}, Depthwise{{n, 15, 20, 256}, 1}}) {
      all.push_back(d);
    }
  }
  return all;
}

void depthwise_problem(const Depthwise& d, Problems& all) {
  DepthwiseConv size;
  size.shape = d.x;
  size.stride = d.stride;
  const int64_t in = d.x.count(), out = size.y_shape().count(), c = d.x.c;
  add_problem<DepthwiseConv>(
      all,
      {"depthwise_conv", type_name<float>(), text(d.x) + " /" + std::to_string(d.stride),
       static_cast<double>(in + out + 10 * c) * sizeof(float), static_cast<double>(size.flops())},
      [=](auto& m) {
        DepthwiseConv a = size;
        a.x = input<float>(m, "x", in, uniform(91));
        a.w = input<float>(m, "w", 9 * c, uniform(92));
        a.bias = input<float>(m, "bias", c, uniform(93));
        a.slope = 0.1f;
        a.y = output<float>(m, "y", out, test::tolerance(test::OpClass::kConvolution, 10));
        return a;
      },
      [](const Exec& e, const auto& a) { depthwise_conv(e, a); });
}

void upsample_problem(const Nhwc& fine, Problems& all) {
  const int64_t h = (fine.h + 1) / 2, w = (fine.w + 1) / 2, from = fine.n * h * w * fine.c;
  add_problem<UpsampleAdd>(
      all,
      {"upsample_add", type_name<float>(), text(fine),
       static_cast<double>(2 * fine.count() + from) * sizeof(float),
       static_cast<double>(fine.count())},
      [=](auto& m) {
        return UpsampleAdd{fine,
                           h,
                           w,
                           input<float>(m, "fine", fine.count(), uniform(94)),
                           input<float>(m, "coarse", from, uniform(95)),
                           output<float>(m, "y", fine.count(), elementwise(2))};
      },
      [](const Exec& e, const auto& a) { upsample_add(e, a); });
}

void concat_problem(int64_t rows, int64_t c, Problems& all) {
  add_problem<ConcatChannels>(
      all,
      {"concat_channels", type_name<float>(), std::to_string(rows) + "x" + std::to_string(4 * c),
       static_cast<double>(8 * rows * c) * sizeof(float), 0},
      [=](auto& m) {
        ConcatChannels a;
        a.rows = rows;
        a.parts = {{{input<float>(m, "a", rows * 2 * c, uniform(96)), 2 * c},
                    {input<float>(m, "b", rows * c, uniform(97)), c},
                    {input<float>(m, "c", rows * c, uniform(98)), c}}};
        a.y = output<float>(m, "y", rows * 4 * c, exact());
        return a;
      },
      [](const Exec& e, const auto& a) { concat_channels(e, a); });
}

}  // namespace

void add_detection(const Shapes& shapes, Problems& all) {
  for (const Depthwise& d : depthwise_shapes(shapes)) depthwise_problem(d, all);
  if (shapes.scale != Scale::kResNet50) {
    for (const Nhwc& fine : {Nhwc{1, 1, 1, 3}, Nhwc{2, 7, 6, 5}, Nhwc{1, 8, 9, 16}}) {
      upsample_problem(fine, all);
    }
    for (const int64_t rows : {1, 7, 130}) concat_problem(rows, 3, all);
    return;
  }
  for (const int64_t n : {int64_t{1}, shapes.batch}) {
    upsample_problem({n, 60, 80, 64}, all);
    concat_problem(n * 60 * 80, 16, all);
  }
}

}  // namespace verace::laboratory
