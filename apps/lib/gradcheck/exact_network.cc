// The wiring of ResNet-50 and its head, in formulas.
#include "apps/lib/gradcheck/exact_network.h"

#include <cmath>
#include <utility>

#include "kernels/check.h"

namespace verace::apps::exact {

Network::Network(const layers::ClassifierOptions& options, int64_t n, UsesBatch uses_batch)
    : options_(options), n_(n), uses_batch_(std::move(uses_batch)) {}

Network::Map Network::conv_bn(const Lookup& at, const std::string& conv, const std::string& bn,
                              const Map& x, int64_t stride) const {
  const Values& w = at(conv + ".weight");
  const Values& gamma = at(bn + ".weight");
  const auto k = static_cast<int64_t>(gamma.size());
  // Filters are square.
  const auto area = static_cast<int64_t>(w.size()) / k / x.shape.c;
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(area))));
  const kernels::ConvGeometry g{x.shape, k, side, side, stride, stride, side / 2, side / 2};
  const Values z = conv2d(g, x.values, w);
  const Statistics s = uses_batch_(bn)
                           ? statistics(z, k)
                           : Statistics{at(bn + ".running_mean"), at(bn + ".running_var")};
  return {g.y(), batch_norm(z, s, gamma, at(bn + ".bias"), options_.backbone.batch_norm.epsilon)};
}

Network::Map Network::block(const Lookup& at, const std::string& prefix, const Map& x,
                            int64_t stride, Decisions& decisions) const {
  const bool v1 = options_.backbone.variant == engine::Variant::kV1;
  Map a = conv_bn(at, prefix + "conv1", prefix + "bn1", x, v1 ? stride : 1);
  a.values = leaky_relu(a.values, 0, decisions);
  a = conv_bn(at, prefix + "conv2", prefix + "bn2", a, v1 ? 1 : stride);
  a.values = leaky_relu(a.values, 0, decisions);
  a = conv_bn(at, prefix + "conv3", prefix + "bn3", a, 1);
  const bool projects = prefix.ends_with(".0.");
  const Map shortcut =
      projects ? conv_bn(at, prefix + "downsample.0", prefix + "downsample.1", x, stride) : x;
  a.values = leaky_relu(add(a.values, shortcut.values), 0, decisions);
  return a;
}

Values Network::logits(const Lookup& at, Decisions& decisions) const {
  const int64_t s = options_.input_size;
  Map x{{n_, s, s, 3}, normalise(at("pictures"), options_.input_scale)};
  x = conv_bn(at, "conv1", "bn1", x, 2);
  x.values = leaky_relu(x.values, 0, decisions);
  const bool ceil = options_.backbone.pool == engine::PoolMode::kCeil;
  const int64_t pad = ceil ? 0 : 1;
  const kernels::PoolGeometry pool{x.shape, 3, 3, 2, 2, pad, pad, ceil};
  x = {pool.y(), max_pool(pool, x.values, decisions)};
  constexpr int kBlocks[4] = {3, 4, 6, 3};
  for (int stage = 1; stage <= 4; ++stage) {
    for (int i = 0; i < kBlocks[stage - 1]; ++i) {
      const std::string prefix = "layer" + std::to_string(stage) + "." + std::to_string(i) + ".";
      x = block(at, prefix, x, stage > 1 && i == 0 ? 2 : 1, decisions);
    }
  }
  Values v = average_pool(x.shape, x.values);
  if (options_.head_hidden == 0) return dense(n_, v, at("fc.weight"), at("fc.bias"));
  v = dense(n_, v, at("fc.0.weight"), at("fc.0.bias"));
  v = leaky_relu(v, options_.head_slope, decisions);
  return dense(n_, v, at("fc.2.weight"), at("fc.2.bias"));
}

}  // namespace verace::apps::exact
