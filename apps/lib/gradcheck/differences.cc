// Differences, errors and verdicts.
#include "apps/lib/gradcheck/differences.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/rng.h"
#include "kernels/check.h"

namespace verace::apps {
namespace {

constexpr double kStep = 1e-5;
constexpr double kRounding = std::numeric_limits<double>::epsilon() / 2;

// `count` different numbers below `size`, ascending: `first`, and others as the seed says.
std::vector<int64_t> draw_elements(int64_t size, int64_t first, int64_t count, uint64_t seed,
                                   uint64_t stream) {
  std::vector<int64_t> all(static_cast<size_t>(size));
  std::iota(all.begin(), all.end(), int64_t{0});
  if (count == 0 || count >= size) return all;
  std::swap(all.front(), all[static_cast<size_t>(first)]);
  const engine::Philox random(seed, stream);
  for (int64_t i = 1; i < count; ++i) {
    const auto other = i + static_cast<int64_t>(random.below(static_cast<uint64_t>(i),
                                                             static_cast<uint64_t>(size - i)));
    std::swap(all[static_cast<size_t>(i)], all[static_cast<size_t>(other)]);
  }
  all.resize(static_cast<size_t>(count));
  std::ranges::sort(all);
  return all;
}

std::vector<int64_t> index_of(int64_t element, const engine::Shape& shape) {
  std::vector<int64_t> index(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    index[i] = element % shape[i];
    element /= shape[i];
  }
  return index;
}

// The first element that is not a number, if there is any (what an operation left out holds a NaN);
// else the largest.
int64_t largest_of(const std::vector<float>& gradient) {
  int64_t largest = 0;
  for (size_t i = 0; i < gradient.size(); ++i) {
    if (!std::isfinite(gradient[i])) return static_cast<int64_t>(i);
    if (std::abs(gradient[i]) > std::abs(gradient[static_cast<size_t>(largest)])) {
      largest = static_cast<int64_t>(i);
    }
  }
  return largest;
}

// Of those elements that are numbers.
double root_mean_square(const std::vector<float>& gradient) {
  double squares = 0;
  for (const float v : gradient) {
    if (std::isfinite(v)) squares += static_cast<double>(v) * static_cast<double>(v);
  }
  return std::sqrt(squares / static_cast<double>(gradient.size()));
}

// The derivative by one element.
double difference(const Subject& s, Point& point, size_t quantity, size_t element,
                  exact::Decisions& decisions) {
  double& x = point[quantity][element];
  const double middle = x;
  x = middle + kStep;
  decisions.hold();
  const double high = s.function(point, decisions);
  x = middle - kStep;
  decisions.hold();
  const double low = s.function(point, decisions);
  x = middle;
  const double slope = (high - low) / (2 * kStep);
  // What rounding alone may give stands for an exact zero.
  const double noise = 4 * kRounding * std::max({1.0, std::abs(high), std::abs(low)}) / kStep;
  return std::abs(slope) <= noise ? 0.0 : slope;
}

// True unless `error` is a number within the tolerance: NaN fails.
bool is_outside(double error, double tolerance) { return !(error <= tolerance); }

struct Compared {
  int64_t element;
  double got, want;
};

void judge(const std::vector<Compared>& all, double typical, CheckedTensor& row) {
  bool any = false;
  double worst = -1;
  for (const Compared& c : all) {
    any = any || c.want != 0;
    const double scale = std::max({std::abs(c.got), std::abs(c.want), typical});
    double error = std::abs(c.got - c.want) / scale;
    if (c.got == c.want) error = 0;  // 0 / 0
    // What is not a number is worse than any number.
    const double rank = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
    if (rank <= worst) continue;
    worst = rank;
    row.error = error;
    row.worst = index_of(c.element, row.shape);
    row.got = c.got;
    row.want = c.want;
  }
  if (is_outside(row.error, row.tolerance)) {
    row.outcome = Outcome::kFail;
  } else if (!any) {
    row.outcome = Outcome::kZero;
  }
}

CheckedTensor check_quantity(const Subject& s, size_t quantity, Point& point,
                             exact::Decisions& decisions, const DifferenceOptions& options) {
  const Quantity& q = s.quantities[quantity];
  CheckedTensor row;
  row.subject = s.name;
  row.group = s.group;
  row.layer = q.layer;
  row.tensor = q.label.empty() ? q.tensor : q.label;
  row.shape = q.shape;
  row.tolerance = s.tolerance;
  if (q.wanted == Wanted::kFrozen) {
    row.outcome = q.written ? Outcome::kWritten : Outcome::kNotWritten;
    return row;
  }
  VERACE_CHECK(q.gradient.size() == point[quantity].size(), q.layer + " " + q.tensor);
  std::vector<Compared> compared;
  for (const int64_t element :
       draw_elements(static_cast<int64_t>(q.gradient.size()), largest_of(q.gradient),
                     options.elements * q.weight, options.seed, quantity)) {
    const auto i = static_cast<size_t>(element);
    compared.push_back({element, static_cast<double>(q.gradient[i]),
                        difference(s, point, quantity, i, decisions)});
  }
  row.elements = static_cast<int64_t>(compared.size());
  judge(compared, root_mean_square(q.gradient), row);
  return row;
}

}  // namespace

bool is_good(Outcome outcome) {
  return outcome == Outcome::kPass || outcome == Outcome::kNotWritten;
}

bool is_wrong(Outcome outcome) { return outcome == Outcome::kFail || outcome == Outcome::kWritten; }

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPass:
      return "ok";
    case Outcome::kFail:
      return "WRONG";
    case Outcome::kNotWritten:
      return "ok, not written";
    case Outcome::kWritten:
      return "WRITTEN";
    case Outcome::kZero:
      return "ALL ZERO";
  }
  return "";
}

std::vector<CheckedTensor> check_gradients(const Subject& subject,
                                           const DifferenceOptions& options) {
  VERACE_CHECK(subject.quantities.size() == subject.point.size());
  Point point = subject.point;
  exact::Decisions decisions;
  subject.function(point, decisions);
  std::vector<CheckedTensor> rows;
  for (size_t i = 0; i < subject.quantities.size(); ++i) {
    if (subject.quantities[i].wanted == Wanted::kConstant) continue;
    rows.push_back(check_quantity(subject, i, point, decisions, options));
  }
  return rows;
}

}  // namespace verace::apps
