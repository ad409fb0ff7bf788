// The laboratory's problems of pooling: maximum and global average, forward and backward.
#include <algorithm>

#include "bench/kernels/laboratory/operations.h"
#include "kernels/pool.h"

namespace verace::laboratory {
namespace {

using namespace kernels;  // NOLINT: the laboratory speaks of nothing else
template <class M, class T>
using Element = typename M::template Element<T>;

std::vector<PoolGeometry> max_pools(const Shapes& shapes) {
  const auto window = [](const Nhwc& x, int64_t pad, bool ceil_mode) {
    return PoolGeometry{x, 3, 3, 2, 2, pad, pad, ceil_mode};
  };
  if (shapes.scale == Scale::kProof) {
    return {window({2, 8, 8, 16}, 1, false),  window({2, 9, 7, 5}, 1, false),
            window({1, 8, 10, 65}, 0, true),  window({2, 9, 11, 33}, 0, true),
            window({1, 6, 37, 64}, 1, false), {{1, 11, 10, 4}, 2, 2, 3, 3, 0, 0, false}};
  }
  if (shapes.scale == Scale::kTiny) return {window({2, 8, 8, 16}, 1, false)};
  return {window({1, 112, 112, 64}, 1, false), window({shapes.batch, 112, 112, 64}, 1, false)};
}

std::vector<Nhwc> average_pools(const Shapes& shapes) {
  if (shapes.scale == Scale::kProof) {
    return {{1, 1, 1, 1}, {2, 3, 5, 7}, {3, 7, 7, 130}, {2, 8, 8, 264}};
  }
  if (shapes.scale == Scale::kTiny) return {{2, 7, 7, 64}};
  return {{1, 7, 7, 2048}, {shapes.batch, 7, 7, 2048}};
}

std::string describe_pool(const PoolGeometry& g) {
  return text(g.x) + " " + std::to_string(g.r) + "x" + std::to_string(g.s) + "/" +
         std::to_string(g.stride_h) + (g.ceil_mode ? " ceil" : "");
}

// A random winner for each window, among its elements inside the picture.
auto winners(const PoolGeometry& g) {
  return [=](int64_t i) {
    const int64_t q = i / g.x.c % g.q(), p = i / (g.x.c * g.q()) % g.p();
    const uint64_t random = test::random_bits(70, static_cast<uint64_t>(i));
    const auto tap = [](int64_t begin, int64_t window, int64_t size, uint64_t bits) {
      const int64_t low = std::max<int64_t>(0, -begin), high = std::min(window, size - begin);
      return low + static_cast<int64_t>(bits % static_cast<uint64_t>(high - low));
    };
    const int64_t r = tap(p * g.stride_h - g.pad_h, g.r, g.x.h, random & 0xffff);
    const int64_t s = tap(q * g.stride_w - g.pad_w, g.s, g.x.w, random >> 16 & 0xffff);
    return r * g.s + s;
  };
}

template <class T>
void max_pool_problems(const PoolGeometry& g, Problems& all) {
  const int64_t in = g.x.count(), out = g.y().count();
  const double n = static_cast<double>(in), m_out = static_cast<double>(out);
  add_problem<MaxPoolForwardOf<T>>(
      all,
      {"max_pool_forward", type_name<T>(), describe_pool(g), (n + m_out) * sizeof(T) + m_out,
       m_out * static_cast<double>(g.r * g.s)},
      [=]<class M>(M& m) -> MaxPoolForwardOf<Element<M, T>> {
        return {g, input<T>(m, "x", in, uniform(71)), output<T>(m, "y", out, exact()),
                output<uint8_t>(m, "winner", out, exact())};
      },
      [](const Exec& e, const auto& a) { max_pool_forward(e, a); });
  for (const bool fork : {false, true}) {
    add_problem<MaxPoolBackwardOf<T>>(
        all,
        {"max_pool_backward", type_name<T>(), describe_pool(g) + (fork ? " fork" : ""),
         (n + (fork ? 2 : 1) * m_out) * sizeof(T) + m_out, (fork ? 2 : 1) * m_out},
        [=]<class M>(M& m) -> MaxPoolBackwardOf<Element<M, T>> {
          MaxPoolBackwardOf<Element<M, T>> a{g};
          a.dy = input<T>(m, "dy", out, uniform(72));
          if (fork) a.dy2 = input<T>(m, "dy2", out, uniform(73));
          a.winner = input<uint8_t>(m, "winner", out, winners(g));
          a.dx = output<T>(m, "dx", in, reduction(g.r * g.s, 2));
          return a;
        },
        [](const Exec& e, const auto& a) { max_pool_backward(e, a); });
  }
}

template <class T>
void average_pool_problems(const Nhwc& x, Problems& all) {
  const double n = static_cast<double>(x.count()), m_out = static_cast<double>(x.n * x.c);
  add_problem<GlobalAveragePoolForwardOf<T>>(
      all, {"global_average_pool_forward", type_name<T>(), text(x), (n + m_out) * sizeof(T), n},
      [=]<class M>(M& m) -> GlobalAveragePoolForwardOf<Element<M, T>> {
        return {x, input<T>(m, "x", x.count(), uniform(74)),
                output<T>(m, "y", x.n * x.c, reduction(4, 1))};
      },
      [](const Exec& e, const auto& a) { global_average_pool_forward(e, a); });
  add_problem<GlobalAveragePoolBackwardOf<T>>(
      all,
      {"global_average_pool_backward", type_name<T>(), text(x), (n + m_out) * sizeof(T), m_out},
      [=]<class M>(M& m) -> GlobalAveragePoolBackwardOf<Element<M, T>> {
        return {x, input<T>(m, "dy", x.n * x.c, uniform(75)),
                output<T>(m, "dx", x.count(), elementwise(0))};
      },
      [](const Exec& e, const auto& a) { global_average_pool_backward(e, a); });
}

}  // namespace

void add_pooling(const Shapes& shapes, Problems& all) {
  for_each_storage([&]<class T>(T) {
    for (const PoolGeometry& g : max_pools(shapes)) max_pool_problems<T>(g, all);
    for (const Nhwc& x : average_pools(shapes)) average_pool_problems<T>(x, all);
  });
}

}  // namespace verace::laboratory
