// Forward passes in double precision, written as their formulas read and apart from the engine:
// what gradients are differences of.
//
// Slow on purpose and without a thought for memory. Layouts are the engine's: activations
// [n, h, w, c], filters [k, r, s, c], dense weights [out, in].
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "kernels/choices.h"
#include "kernels/shape.h"

namespace verace::apps::exact {

using Values = std::vector<double>;

// Which side of its kinks a computation takes: for each ReLU whether it is open, for each window of
// a pooling its winner. At first the values decide, and that is recorded; after hold() the recorded
// decisions are taken again, whatever the values are. This holds a function to the smooth piece on
// which a point lies, where it has the same value and derivatives: differences then know no kinks.
class Decisions {
 public:
  // The recorded decisions follow, from the first one: before each computation that they hold.
  void hold();
  // Whether a ReLU with input x is open: x > 0, or what was recorded.
  bool open(double x);
  // The winner of a window: `best`, which leads the others by `lead` >= 0, or what was recorded.
  int64_t winner(int64_t best, double lead);

  // Of all ReLUs, in the order of the computation.
  const std::vector<bool>& open_relus() const { return relus_; }
  // How near the recorded computation came to a kink: the smallest |x| of a ReLU, and the smallest
  // lead of a winner other than 0 (equals stay equal, and the first wins); infinite without any.
  double nearest_relu() const { return nearest_relu_; }
  double nearest_rival() const { return nearest_rival_; }

 private:
  bool held_ = false;
  size_t next_relu_ = 0, next_winner_ = 0;
  std::vector<bool> relus_;
  std::vector<int64_t> winners_;
  double nearest_relu_ = std::numeric_limits<double>::infinity();
  double nearest_rival_ = std::numeric_limits<double>::infinity();
};

// y[n,p,q,k] = sum over r, s, c of x[n, p*stride - pad + r, q*stride - pad + s, c] * w[k,r,s,c]
// (cross-correlation; Goodfellow, Bengio & Courville 2016, Deep Learning, eq. 9.6), zero outside.
Values conv2d(const kernels::ConvGeometry& g, const Values& x, const Values& w);

// Statistics of each of c channels over the rows of x [rows, c]: mean and biased variance.
struct Statistics {
  Values mean, variance;
};
Statistics statistics(const Values& x, int64_t c);

// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta per channel (Ioffe & Szegedy 2015, arXiv
// 1502.03167, algorithm 1 with the batch's statistics; algorithm 2 with running ones).
Values batch_norm(const Values& x, const Statistics& s, const Values& gamma, const Values& beta,
                  double epsilon);

// x where x > 0, else slope * x (Maas, Hannun & Ng 2013, section 2); slope 0 is the ReLU.
Values leaky_relu(const Values& x, double slope, Decisions& decisions);

Values add(const Values& a, const Values& b);

// The largest element of each window, elements outside of the picture left out; of equal ones the
// first.
Values max_pool(const kernels::PoolGeometry& g, const Values& x, Decisions& decisions);

// Mean over height and width: [n, h, w, c] -> [n, c].
Values average_pool(const kernels::Nhwc& shape, const Values& x);

// y[n, o] = sum over i of x[n, i] * w[o, i] + b[o].
Values dense(int64_t n, const Values& x, const Values& w, const Values& b);

// Sum over the n rows of -class_weight[label] * log softmax(logits)[label], with the largest logit
// taken out of the exponentials (Goodfellow et al. 2016, sections 4.1 and 6.2.2.3). class_weight
// may be empty: all 1.
double cross_entropy_sum(const Values& logits, std::span<const int32_t> labels,
                         const Values& class_weight);

// Pictures [.., 3] RGB in [0, 1] as network input (Keras' preprocess_input: 'caffe' 255 x in BGR
// minus means, with kCaffeRounded whole ones, 'torch' (x - mean) / std, 'tf' 2 x - 1; kUnit: as
// they are).
Values normalise(const Values& pictures, kernels::PixelScale mode);

}  // namespace verace::apps::exact
