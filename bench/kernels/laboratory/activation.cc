// The laboratory's problems of element-wise work: (leaky) ReLU, residual addition, bias, casts.
#include "kernels/activation.h"

#include "bench/kernels/laboratory/operations.h"
#include "kernels/cast.h"

namespace verace::laboratory {
namespace {

using namespace kernels;  // NOLINT: the laboratory speaks of nothing else
template <class M, class T>
using Element = typename M::template Element<T>;

template <class T>
void leaky_relu_problems(int64_t count, Problems& all) {
  const double n = static_cast<double>(count);
  const std::string shape = std::to_string(count);
  add_problem<LeakyReluForwardOf<T>>(
      all, {"leaky_relu_forward", type_name<T>(), shape, 2 * n * sizeof(T), n},
      [=]<class M>(M& m) -> LeakyReluForwardOf<Element<M, T>> {
        return {count, input<T>(m, "x", count, uniform(1, -2.0f, 2.5f)), 0.1f,
                output<T>(m, "y", count, elementwise(2.5))};
      },
      [](const Exec& e, const auto& a) { leaky_relu_forward(e, a); });
  for (const bool fork : {false, true}) {
    add_problem<LeakyReluBackwardOf<T>>(
        all,
        {"leaky_relu_backward", type_name<T>(), shape + (fork ? " fork" : ""),
         (fork ? 4 : 3) * n * sizeof(T), (fork ? 2 : 1) * n},
        [=]<class M>(M& m) -> LeakyReluBackwardOf<Element<M, T>> {
          LeakyReluBackwardOf<Element<M, T>> a{count};
          a.y = input<T>(m, "y", count, uniform(2));
          a.dy = input<T>(m, "dy", count, uniform(3));
          if (fork) a.dy2 = input<T>(m, "dy2", count, uniform(4));
          a.slope = 0.1f;
          a.dx = output<T>(m, "dx", count, elementwise(2));
          return a;
        },
        [](const Exec& e, const auto& a) { leaky_relu_backward(e, a); });
  }
  add_problem<AddOf<T>>(
      all, {"add", type_name<T>(), shape + " relu", 3 * n * sizeof(T), 2 * n},
      [=]<class M>(M& m) -> AddOf<Element<M, T>> {
        return {count, input<T>(m, "a", count, uniform(7)), input<T>(m, "b", count, uniform(8)),
                true, output<T>(m, "y", count, elementwise(2))};
      },
      [](const Exec& e, const auto& a) { add(e, a); });
}

template <class T>
void bias_problems(const Rows& r, Problems& all) {
  const double n = static_cast<double>(r.count());
  add_problem<BiasAddOf<T>>(
      all,
      {"bias_add", type_name<T>(), text(Rows{r.rows, r.c}),
       2 * n * sizeof(T) + 4 * static_cast<double>(r.c), 2 * n},
      [=]<class M>(M& m) -> BiasAddOf<Element<M, T>> {
        return {r.rows,
                r.c,
                input<T>(m, "x", r.count(), uniform(14)),
                input<float>(m, "bias", r.c, uniform(15)),
                0.0f,
                output<T>(m, "y", r.count(), elementwise(2))};
      },
      [](const Exec& e, const auto& a) { bias_add(e, a); });
  add_problem<BiasGradientOf<T>>(
      all,
      {"bias_gradient", type_name<T>(), text(Rows{r.rows, r.c}),
       n * sizeof(T) + 4 * static_cast<double>(r.c), n},
      [=]<class M>(M& m) -> BiasGradientOf<Element<M, T>> {
        return {r.rows,
                r.c,
                input<T>(m, "dy", r.count(), uniform(9)),
                output<float>(m, "db", r.c, reduction(256 + r.rows / 256, 1)),
                GradMode::kOverwrite,
                scratch<double>(m, bias_gradient_scratch(r.rows, r.c))};
      },
      [](const Exec& e, const auto& a) { bias_gradient(e, a); });
}

// The answer of a cast is made from the rounded input, so the host casts floats: a copy, which the
// output's type then rounds.
template <class From, class To>
void cast_problems(int64_t count, Problems& all) {
  const double n = static_cast<double>(count);
  add_problem<CastOf<From, To>>(
      all,
      {"cast", type_name<From>() + ">" + type_name<To>(), std::to_string(count),
       n * (sizeof(From) + sizeof(To)), n},
      [=]<class M>(M& m) -> CastOf<Element<M, From>, Element<M, To>> {
        return {count, input<From>(m, "x", count, uniform(78, -9.0f, 9.0f)),
                output<To>(m, "y", count, exact())};
      },
      []<class A>(const Exec& e, const A& a) {
        if constexpr (std::is_same_v<A, CastOf<float, float>>) {
          std::copy(a.x, a.x + a.count, a.y);
        } else {
          cast(e, a);
        }
      });
}

template <class From>
void casts_from(int64_t count, Problems& all) {
  for_each_storage([&]<class To>(To) {
    if constexpr (!std::is_same_v<From, To>) cast_problems<From, To>(count, all);
  });
}

}  // namespace

void add_activation(const Shapes& shapes, Problems& all) {
  for_each_storage([&]<class T>(T) {
    for (const int64_t count : shapes.counts()) {
      leaky_relu_problems<T>(count, all);
      casts_from<T>(count, all);
    }
    for (const Rows& r : shapes.normalised()) {
      if (!r.projected) bias_problems<T>(r, all);
    }
  });
}

}  // namespace verace::laboratory
