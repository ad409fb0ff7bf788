// The formulas of forward passes, in double precision.
#include "apps/lib/gradcheck/exact.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"

namespace verace::apps::exact {

namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

}  // namespace

void Decisions::hold() {
  held_ = true;
  next_relu_ = next_winner_ = 0;
}

bool Decisions::open(double x) {
  if (held_) {
    VERACE_CHECK(next_relu_ < relus_.size(), "more ReLUs than were recorded");
    return relus_[next_relu_++];
  }
  nearest_relu_ = std::min(nearest_relu_, std::abs(x));
  relus_.push_back(x > 0);
  return x > 0;
}

int64_t Decisions::winner(int64_t best, double lead) {
  if (held_) {
    VERACE_CHECK(next_winner_ < winners_.size(), "more windows than were recorded");
    return winners_[next_winner_++];
  }
  if (lead > 0) nearest_rival_ = std::min(nearest_rival_, lead);
  winners_.push_back(best);
  return best;
}

Values conv2d(const kernels::ConvGeometry& g, const Values& x, const Values& w) {
  VERACE_CHECK(static_cast<int64_t>(x.size()) == g.x.count());
  VERACE_CHECK(static_cast<int64_t>(w.size()) == g.filter_count());
  Values y(at(g.y().count()), 0.0);
  const int64_t c = g.x.c;
  double* out = y.data();
  for (int64_t n = 0; n < g.x.n; ++n) {
    for (int64_t p = 0; p < g.p(); ++p) {
      for (int64_t q = 0; q < g.q(); ++q, out += g.k) {
        for (int64_t r = 0; r < g.r; ++r) {
          const int64_t h = p * g.stride_h - g.pad_h + r;
          if (h < 0 || h >= g.x.h) continue;
          for (int64_t s = 0; s < g.s; ++s) {
            const int64_t v = q * g.stride_w - g.pad_w + s;
            if (v < 0 || v >= g.x.w) continue;
            const double* in = x.data() + ((n * g.x.h + h) * g.x.w + v) * c;
            for (int64_t k = 0; k < g.k; ++k) {
              const double* filter = w.data() + ((k * g.r + r) * g.s + s) * c;
              double sum = 0;
              for (int64_t i = 0; i < c; ++i) sum += in[i] * filter[i];
              out[k] += sum;
            }
          }
        }
      }
    }
  }
  return y;
}

Statistics statistics(const Values& x, int64_t c) {
  const auto rows = static_cast<double>(x.size() / at(c));
  Statistics s{Values(at(c), 0.0), Values(at(c), 0.0)};
  for (size_t i = 0; i < x.size(); ++i) s.mean[i % at(c)] += x[i] / rows;
  for (size_t i = 0; i < x.size(); ++i) {
    const double d = x[i] - s.mean[i % at(c)];
    s.variance[i % at(c)] += d * d / rows;
  }
  return s;
}

Values batch_norm(const Values& x, const Statistics& s, const Values& gamma, const Values& beta,
                  double epsilon) {
  const size_t c = gamma.size();
  Values y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t j = i % c;
    y[i] = gamma[j] * (x[i] - s.mean[j]) / std::sqrt(s.variance[j] + epsilon) + beta[j];
  }
  return y;
}

Values leaky_relu(const Values& x, double slope, Decisions& decisions) {
  Values y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    y[i] = decisions.open(x[i]) ? x[i] : slope * x[i];
  }
  return y;
}

Values add(const Values& a, const Values& b) {
  VERACE_CHECK(a.size() == b.size());
  Values y(a.size());
  for (size_t i = 0; i < a.size(); ++i) y[i] = a[i] + b[i];
  return y;
}

Values max_pool(const kernels::PoolGeometry& g, const Values& x, Decisions& decisions) {
  Values y;
  for (int64_t n = 0; n < g.x.n; ++n) {
    for (int64_t p = 0; p < g.p(); ++p) {
      for (int64_t q = 0; q < g.q(); ++q) {
        for (int64_t c = 0; c < g.x.c; ++c) {
          int64_t winner = -1;
          double second = -std::numeric_limits<double>::infinity();
          for (int64_t r = 0; r < g.r; ++r) {
            for (int64_t s = 0; s < g.s; ++s) {
              const int64_t h = p * g.stride_h - g.pad_h + r, w = q * g.stride_w - g.pad_w + s;
              if (h < 0 || h >= g.x.h || w < 0 || w >= g.x.w) continue;
              const int64_t here = ((n * g.x.h + h) * g.x.w + w) * g.x.c + c;
              if (winner < 0 || x[at(here)] > x[at(winner)]) {
                if (winner >= 0) second = x[at(winner)];
                winner = here;
              } else {
                second = std::max(second, x[at(here)]);
              }
            }
          }
          y.push_back(x[at(decisions.winner(winner, x[at(winner)] - second))]);
        }
      }
    }
  }
  return y;
}

Values average_pool(const kernels::Nhwc& shape, const Values& x) {
  Values y(at(shape.n * shape.c), 0.0);
  const int64_t pixels = shape.h * shape.w;
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t i = 0; i < pixels; ++i) {
      for (int64_t c = 0; c < shape.c; ++c) {
        y[at(n * shape.c + c)] +=
            x[at((n * pixels + i) * shape.c + c)] / static_cast<double>(pixels);
      }
    }
  }
  return y;
}

Values dense(int64_t n, const Values& x, const Values& w, const Values& b) {
  const auto in = static_cast<int64_t>(x.size()) / n, out = static_cast<int64_t>(b.size());
  VERACE_CHECK(static_cast<int64_t>(w.size()) == in * out);
  Values y;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t o = 0; o < out; ++o) {
      double sum = b[at(o)];
      for (int64_t j = 0; j < in; ++j) sum += x[at(i * in + j)] * w[at(o * in + j)];
      y.push_back(sum);
    }
  }
  return y;
}

double cross_entropy_sum(const Values& logits, std::span<const int32_t> labels,
                         const Values& class_weight) {
  const size_t classes = logits.size() / labels.size();
  double sum = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = std::span(logits).subspan(i * classes, classes);
    const double largest = *std::ranges::max_element(row);
    double total = 0;
    for (const double z : row) total += std::exp(z - largest);
    const auto label = static_cast<size_t>(labels[i]);
    const double loss = std::log(total) + largest - row[label];
    sum += class_weight.empty() ? loss : class_weight[label] * loss;
  }
  return sum;
}

Values normalise(const Values& pictures, kernels::PixelScale mode) {
  constexpr double kTorchMean[3] = {0.485, 0.456, 0.406}, kTorchStd[3] = {0.229, 0.224, 0.225};
  constexpr double kCaffeMean[3] = {103.939, 116.779, 123.68};  // B, G, R
  constexpr double kRoundedMean[3] = {104, 117, 123};           // B, G, R
  Values z(pictures.size());
  for (size_t i = 0; i < pictures.size(); ++i) {
    const size_t channel = i % 3;
    const double x = pictures[i];
    switch (mode) {
      case kernels::PixelScale::kCaffe:
        z[i] = 255 * pictures[i - channel + 2 - channel] - kCaffeMean[channel];
        break;
      case kernels::PixelScale::kCaffeRounded:
        z[i] = 255 * pictures[i - channel + 2 - channel] - kRoundedMean[channel];
        break;
      case kernels::PixelScale::kTorch:
        z[i] = (x - kTorchMean[channel]) / kTorchStd[channel];
        break;
      case kernels::PixelScale::kTf:
        z[i] = 2 * x - 1;
        break;
      case kernels::PixelScale::kUnit:
        z[i] = x;
        break;
    }
  }
  return z;
}

}  // namespace verace::apps::exact
