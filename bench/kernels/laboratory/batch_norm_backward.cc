// The laboratory's problems of batch norm's gradient.
#include "bench/kernels/laboratory/operations.h"
#include "kernels/batch_norm.h"

namespace verace::laboratory {
namespace {

using namespace kernels;  // NOLINT: the laboratory speaks of nothing else
template <class M, class T>
using Element = typename M::template Element<T>;

// Bits of the mask; those beyond the last element are zero.
auto mask_bits(int64_t count) {
  return [=](int64_t i) {
    const uint64_t bits = test::random_bits(60, static_cast<uint64_t>(i));
    const int64_t left = count - 32 * i;
    return left >= 32 ? bits & 0xffffffffu : bits & ((uint64_t{1} << left) - 1);
  };
}

// Gradients are eighths: dz = dy + dy2 is exact in T, and so is what is summed where it is stored.
template <class T>
void backward_problem(const Rows& r, Problems& all) {
  const double n = static_cast<double>(r.count()), c = static_cast<double>(r.c);
  const double once = n * sizeof(T);
  const double reads = once * (r.ends_block ? 3 : 2) + n / 8;  // of one pass
  const double bytes = 2 * reads + once * (r.ends_block ? 2 : 1) + 20 * c;
  add_problem<BatchNormBackwardOf<T>>(
      all, {"batch_norm_backward", type_name<T>(), text(r) + " mask", bytes, 10 * n},
      [=]<class M>(M& m) -> BatchNormBackwardOf<Element<M, T>> {
        BatchNormBackwardOf<Element<M, T>> a{r.rows, r.c};
        a.dy = input<T>(m, "dy", r.count(), eighths(50));
        if (r.ends_block) a.dy2 = input<T>(m, "dy2", r.count(), eighths(51));
        a.x = input<T>(m, "x", r.count(), uniform(40));
        a.mean = input<float>(m, "mean", r.c, uniform(41, -0.5f, 0.5f));
        a.inv_std = input<float>(m, "inv_std", r.c, uniform(42, 0.5f, 2.0f));
        a.gamma = input<float>(m, "gamma", r.c, uniform(43, -1.5f, 1.5f));
        a.mask = input<uint32_t>(m, "mask", mask_words(r.count()), mask_bits(r.count()));
        a.dgamma = output<float>(m, "dgamma", r.c, reduction(r.rows, 6));
        a.dbeta = output<float>(m, "dbeta", r.c, reduction(r.rows, 2));
        a.dx = output<T>(m, "dx", r.count(),
                         test::tolerance(test::OpClass::kNormalisation, r.rows, 30));
        if (r.ends_block) a.dshortcut = output<T>(m, "dshortcut", r.count(), exact());
        a.scratch = scratch<float>(m, batch_norm_backward_scratch(r.rows, r.c));
        return a;
      },
      [](const Exec& e, const auto& a) { batch_norm_backward(e, a); });
}

}  // namespace

void add_batch_norm_backward(const Shapes& shapes, Problems& all) {
  for_each_storage([&]<class T>(T) {
    for (const Rows& r : shapes.normalised()) {
      if (!r.projected) backward_problem<T>(r, all);
    }
  });
}

}  // namespace verace::laboratory
