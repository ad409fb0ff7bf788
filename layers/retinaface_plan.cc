// RetinaFace's planned step.
#include <utility>

#include "engine/transfer.h"
#include "kernels/check.h"
#include "kernels/conv2d.h"
#include "kernels/feature_maps.h"
#include "kernels/image.h"
#include "layers/nhwc.h"
#include "layers/retinaface.h"

namespace verace::layers {

using engine::DType;
using engine::StepBuilder;
using engine::StepMemory;
using engine::Tensor;
using engine::Value;

namespace {

// BGR minus whole means (semantics.md C.1).
Value append_input(StepBuilder& b, Value pictures) {
  const kernels::Nhwc shape = nhwc(b, pictures);
  const Value x = b.temporary("input", DType::kF32, b.info(pictures).shape);
  b.add({"normalise",
         "normalise",
         {pictures},
         {x},
         0,
         [exec = b.exec(), shape, pictures, x](const StepMemory& m) {
           kernels::normalise_pixels(
               exec, kernels::NormalisePixels{shape, m.u8(pictures), nullptr,
                                              kernels::PixelScale::kCaffeRounded, m.f32(x)});
         }});
  return x;
}

// fine + coarse, enlarged; in the bytes of `fine`, which nobody else reads.
Value append_upsample_add(StepBuilder& b, const std::string& name, Value fine, Value coarse) {
  const kernels::Nhwc shape = nhwc(b, fine), from = nhwc(b, coarse);
  const Value y = b.in_place(fine, name);
  b.add(
      {name,
       "upsample and add",
       {fine, coarse},
       {y},
       0,
       [exec = b.exec(), shape, from, fine, coarse, y](const StepMemory& m) {
         kernels::upsample_add(exec, {shape, from.h, from.w, m.f32(fine), m.f32(coarse), m.f32(y)});
       }});
  return y;
}

Value append_concat(StepBuilder& b, const std::string& name, const std::array<Value, 3>& parts) {
  kernels::Nhwc shape = nhwc(b, parts[0]);
  kernels::ConcatChannels call;
  call.rows = shape.rows();
  shape.c = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    call.parts[i].c = nhwc(b, parts[i]).c;
    shape.c += call.parts[i].c;
  }
  const Value y = b.temporary(name, DType::kF32, {shape.n, shape.h, shape.w, shape.c});
  b.add({name,
         "concat",
         {parts[0], parts[1], parts[2]},
         {y},
         0,
         [exec = b.exec(), call, parts, y](const StepMemory& m) {
           kernels::ConcatChannels now = call;
           for (size_t i = 0; i < parts.size(); ++i) now.parts[i].x = m.f32(parts[i]);
           now.y = m.f32(y);
           kernels::concat_channels(exec, now);
         }});
  return y;
}

// Writes the layers' filters one after the other, and their biases.
void join(const std::array<engine::Layer*, 3>& layers, const kernels::ConvForward& plan,
          const Tensor& packed, const Tensor& bias, const kernels::Exec& exec) {
  std::vector<float> w, b;
  for (const engine::Layer* layer : layers) {
    const std::vector<float> more = engine::read(layer->parameter("weight").value);
    const std::vector<float> more_b = engine::read(layer->parameter("bias").value);
    w.insert(w.end(), more.begin(), more.end());
    b.insert(b.end(), more_b.begin(), more_b.end());
  }
  const Tensor joined("joined", DType::kF32, {static_cast<int64_t>(w.size())},
                      engine::memory_of(exec));
  engine::write(joined, w);
  plan.pack(joined.f32(), packed.f32());
  engine::write(bias, b);
}

}  // namespace

Value RetinaFace::append_unit(StepBuilder& b, const ConvBn& unit, Value x, float slope) const {
  return unit.append(b, {}, {.x = x, .shortcut = {}, .relu = true, .slope = slope});
}

std::array<Value, 3> RetinaFace::append_backbone(StepBuilder& b, Value x) const {
  if (mobilenet_) return mobilenet_->append(b, x);
  const std::array<Value, 4> maps = resnet_->append_stages(b, {}, x);
  return {maps[1], maps[2], maps[3]};
}

std::array<Value, 3> RetinaFace::append_pyramid(StepBuilder& b,
                                                const std::array<Value, 3>& maps) const {
  std::array<Value, 3> p;
  for (size_t i = 0; i < p.size(); ++i) p[i] = append_unit(b, outputs_[i], maps[i], options_.slope);
  for (size_t i = p.size() - 1; i-- > 0;) {
    p[i] = append_upsample_add(b, "fpn.add" + std::to_string(i + 1), p[i], p[i + 1]);
    p[i] = append_unit(b, merges_[i], p[i], options_.slope);
  }
  return p;
}

// The ReLU behind the joined parts is that of the parts.
Value RetinaFace::append_context(StepBuilder& b, const Context& context, Value x) const {
  const Value a = append_unit(b, context.conv3x3, x, 0.0f);
  const Value t = append_unit(b, context.conv5x5_1, x, options_.slope);
  const Value c = append_unit(b, context.conv5x5_2, t, 0.0f);
  const Value u = append_unit(b, context.conv7x7_2, t, options_.slope);
  const Value d = append_unit(b, context.conv7x7_3, u, 0.0f);
  const std::string& first = context.conv3x3.spec().conv_name;
  return append_concat(b, first.substr(0, first.find('.')) + ".concat", {a, c, d});
}

// Its three layers as one convolution.
Value RetinaFace::append_head(StepBuilder& b, int level, Value x) const {
  const Head& head = heads_[static_cast<size_t>(level)];
  const std::array<engine::Layer*, 3> layers = {head.scores, head.boxes, head.landmarks};
  const std::string name = "heads." + std::to_string(level);
  const kernels::ConvGeometry g{nhwc(b, x), kNumbers};
  const std::shared_ptr<kernels::ConvForward> plan =
      kernels::plan_conv_forward(b.exec(), g, {.bias = true});
  Tensor& packed = b.constant(name + " packed", {plan->packed_count()});
  Tensor& bias = b.constant(name + " bias", {kNumbers});
  b.add_preparation({name + " join",
                     "pack weights",
                     {},
                     {},
                     0,
                     [exec = b.exec(), layers, plan, &packed, &bias](const StepMemory&) {
                       join(layers, *plan, packed, bias, exec);
                     }});
  const Value y = b.temporary(name + " output", DType::kF32, {g.x.n, g.x.h, g.x.w, kNumbers});
  std::vector<Value> writes = {y};
  const auto scratch = b.scratch(name + " scratch", plan->scratch_bytes());
  if (scratch) writes.push_back(*scratch);
  b.add({name + " forward",
         "conv forward",
         {x},
         writes,
         g.flops(),
         [plan, x, y, scratch, &packed, &bias](const StepMemory& m) {
           plan->run({.x = m.f32(x),
                      .packed = packed.f32(),
                      .bias = bias.f32(),
                      .y = m.f32(y),
                      .scratch = m.as<std::byte>(scratch)});
         }});
  b.keep(y);
  return y;
}

RetinaFaceStep RetinaFace::plan(const kernels::Exec& exec, std::shared_ptr<engine::Arena> arena,
                                int64_t n, int64_t h, int64_t w) const {
  VERACE_CHECK(n > 0 && h > 0 && w > 0);
  StepBuilder b(exec);
  const Value pictures = b.input("pictures", DType::kU8, {n, h, w, 3});
  const std::array<Value, 3> p = append_pyramid(b, append_backbone(b, append_input(b, pictures)));
  std::array<Value, 3> maps;
  for (int level = 0; level < kLevels; ++level) {
    const auto i = static_cast<size_t>(level);
    maps[i] = append_head(b, level, append_context(b, contexts_[i], p[i]));
  }
  engine::Step step = std::move(b).plan(std::move(arena));
  step.prepare();
  return {std::move(step), pictures, maps};
}

}  // namespace verace::layers
