// The laboratory's problems of batch norm's forward pass: statistics, normalisation, folding.
#include "kernels/batch_norm.h"

#include <set>

#include "bench/kernels/laboratory/operations.h"

namespace verace::laboratory {
namespace {

using namespace kernels;  // NOLINT: the laboratory speaks of nothing else
template <class M, class T>
using Element = typename M::template Element<T>;

test::Tolerance normalisation(int64_t rows, double magnitude) {
  return test::tolerance(test::OpClass::kNormalisation, rows, magnitude);
}

// The variance enters 1/sqrt(): values about one, off zero by a mean.
template <class T>
void statistics_problem(const Rows& r, Problems& all) {
  const double n = static_cast<double>(r.count()), c = static_cast<double>(r.c);
  add_problem<BatchNormStatisticsOf<T>>(
      all,
      {"batch_norm_statistics", type_name<T>(), text(Rows{r.rows, r.c}), n * sizeof(T) + 24 * c,
       3 * n},
      [=]<class M>(M& m) -> BatchNormStatisticsOf<Element<M, T>> {
        BatchNormStatisticsOf<Element<M, T>> a{r.rows, r.c};
        a.x = input<T>(m, "x", r.count(), uniform(20, -1.0f, 3.0f));
        a.mean = output<float>(m, "mean", r.c, normalisation(r.rows, 3));
        // Two rows that nearly agree have a variance of which little is left after rounding.
        a.inv_std = output<float>(m, "inv_std", r.c, normalisation(r.rows, r.rows < 8 ? 4e3 : 3));
        a.running_mean =
            in_out<float>(m, "running_mean", r.c, uniform(21), normalisation(r.rows, 3));
        a.running_var =
            in_out<float>(m, "running_var", r.c, uniform(22, 0.5f, 2.0f), normalisation(r.rows, 9));
        a.scratch = scratch<float>(m, batch_norm_statistics_scratch(r.rows, r.c));
        return a;
      },
      [](const Exec& e, const auto& a) { batch_norm_statistics(e, a); });
}

// Where y is zero but for rounding, its sign is anybody's: among millions of elements the mask may
// differ from the host's somewhere. So it is compared at small shapes only.
template <class M>
uint32_t* mask(M& m, int64_t count) {
  if (count > 100000) return scratch<uint32_t>(m, mask_words(count));
  return output<uint32_t>(m, "mask", mask_words(count), exact());
}

template <class T>
void apply_problem(const Rows& r, Problems& all) {
  const double n = static_cast<double>(r.count()), c = static_cast<double>(r.c);
  add_problem<BatchNormApplyOf<T>>(
      all,
      {"batch_norm_apply", type_name<T>(), text(r) + " relu mask",
       n * sizeof(T) * (r.ends_block ? 3 : 2) + n / 8 + (r.projected ? 32 : 16) * c,
       n * (r.projected ? 9 : (r.ends_block ? 6 : 5))},
      [=]<class M>(M& m) -> BatchNormApplyOf<Element<M, T>> {
        BatchNormApplyOf<Element<M, T>> a{r.rows, r.c};
        a.x = input<T>(m, "x", r.count(), uniform(20));
        a.mean = input<float>(m, "mean", r.c, uniform(21, -0.5f, 0.5f));
        a.inv_std = input<float>(m, "inv_std", r.c, uniform(22, 0.5f, 2.0f));
        a.gamma = input<float>(m, "gamma", r.c, uniform(23, -1.5f, 1.5f));
        a.beta = input<float>(m, "beta", r.c, uniform(24, -0.5f, 0.5f));
        if (r.ends_block) a.shortcut = input<T>(m, "shortcut", r.count(), uniform(25));
        if (r.projected) {
          a.shortcut_mean = input<float>(m, "shortcut_mean", r.c, uniform(26, -0.5f, 0.5f));
          a.shortcut_inv_std = input<float>(m, "shortcut_inv_std", r.c, uniform(27, 0.5f, 2.0f));
          a.shortcut_gamma = input<float>(m, "shortcut_gamma", r.c, uniform(28, -1.5f, 1.5f));
          a.shortcut_beta = input<float>(m, "shortcut_beta", r.c, uniform(29, -0.5f, 0.5f));
        }
        a.relu = true;
        a.y = output<T>(m, "y", r.count(), elementwise(r.projected ? 10 : 5));
        a.mask = mask<M>(m, r.count());
        return a;
      },
      [](const Exec& e, const auto& a) { batch_norm_apply(e, a); });
}

void channel_problems(const Rows& r, Problems& all) {
  const double c = static_cast<double>(r.c);
  add_problem<InverseStd>(
      all, {"inverse_std", "fp32", std::to_string(r.c), 8 * c, 3 * c},
      [=](auto& m) -> InverseStd {
        return {r.c, input<float>(m, "variance", r.c, uniform(30, 0.5f, 2.0f)), 1e-5,
                output<float>(m, "inv_std", r.c, elementwise(1))};
      },
      [](const Exec& e, const auto& a) { inverse_std(e, a); });
  const int64_t fan_in = 9 * 5;
  const double w = c * static_cast<double>(fan_in);
  add_problem<FoldBatchNorm>(
      all, {"fold_batch_norm", "fp32", std::to_string(r.c) + "x45", 8 * w + 20 * c, w + 6 * c},
      [=](auto& m) -> FoldBatchNorm {
        FoldBatchNorm a{r.c, fan_in};
        a.w = input<float>(m, "w", r.c * fan_in, uniform(31));
        a.gamma = input<float>(m, "gamma", r.c, uniform(32, -1.5f, 1.5f));
        a.beta = input<float>(m, "beta", r.c, uniform(33));
        a.mean = input<float>(m, "mean", r.c, uniform(34));
        a.variance = input<float>(m, "variance", r.c, uniform(35, 0.5f, 2.0f));
        a.w_out = output<float>(m, "w_out", r.c * fan_in, elementwise(2));
        a.bias_out = output<float>(m, "bias_out", r.c, elementwise(4));
        return a;
      },
      [](const Exec& e, const auto& a) { fold_batch_norm(e, a); });
}

}  // namespace

void add_batch_norm(const Shapes& shapes, Problems& all) {
  for_each_storage([&]<class T>(T) {
    for (const Rows& r : shapes.normalised()) {
      if (!r.projected) statistics_problem<T>(r, all);
      apply_problem<T>(r, all);
    }
  });
  std::set<int64_t> channels;
  for (const Rows& r : shapes.normalised()) {
    if (channels.insert(r.c).second) channel_problems(r, all);
  }
}

}  // namespace verace::laboratory
