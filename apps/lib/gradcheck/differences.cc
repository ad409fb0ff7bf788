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

constexpr double kSteps[] = {1e-5, 1e-7};
constexpr double kRounding = std::numeric_limits<double>::epsilon() / 2;
constexpr double kMostKinks = 0.2;  // share of the elements

// `count` different numbers below `size`, ascending, as the seed says.
std::vector<int64_t> draw_elements(int64_t size, int64_t count, uint64_t seed, uint64_t stream) {
  std::vector<int64_t> all(static_cast<size_t>(size));
  std::iota(all.begin(), all.end(), int64_t{0});
  if (count == 0 || count >= size) return all;
  const engine::Philox random(seed, stream);
  for (int64_t i = 0; i < count; ++i) {
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

// What is compared of a gradient: drawn elements, and one that is not finite if there is any (what
// an operation left out holds a NaN).
std::vector<int64_t> elements_of(const Quantity& q, size_t quantity,
                                 const DifferenceOptions& options) {
  const auto size = static_cast<int64_t>(q.gradient.size());
  std::vector<int64_t> elements =
      draw_elements(size, options.elements * q.weight, options.seed, quantity);
  const auto broken = std::ranges::find_if(q.gradient, [](float v) { return !std::isfinite(v); });
  if (broken != q.gradient.end()) {
    const int64_t element = broken - q.gradient.begin();
    if (!std::ranges::binary_search(elements, element)) elements.push_back(element);
  }
  return elements;
}

// The derivative at one element; nothing where a kink is near.
std::optional<double> difference(const Subject& s, Point& point, size_t quantity, size_t element,
                                 const exact::Decisions& here) {
  double& x = point[quantity][element];
  const double middle = x;
  for (const double h : kSteps) {
    exact::Decisions above, below;
    x = middle + h;
    const double high = s.function(point, above);
    x = middle - h;
    const double low = s.function(point, below);
    x = middle;
    if (!(above == here && below == here)) continue;
    const double slope = (high - low) / (2 * h);
    // What rounding alone may give stands for an exact zero.
    const double noise = 4 * kRounding * std::max({1.0, std::abs(high), std::abs(low)}) / h;
    return std::abs(slope) <= noise ? 0.0 : slope;
  }
  return std::nullopt;
}

// True unless `error` is a number within the tolerance: NaN fails.
bool is_wrong(double error, double tolerance) { return !(error <= tolerance); }

struct Compared {
  int64_t element;
  double got, want;
};

void judge(const std::vector<Compared>& all, CheckedTensor& row) {
  double squares = 0;
  bool any = false;
  for (const Compared& c : all) {
    squares += c.want * c.want;
    any = any || c.want != 0;
  }
  const double typical = std::sqrt(squares / static_cast<double>(all.size()));
  double worst = -1;
  for (const Compared& c : all) {
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
  if (is_wrong(row.error, row.tolerance)) {
    row.outcome = Outcome::kFail;
  } else if (!any) {
    row.outcome = Outcome::kZero;
  }
}

CheckedTensor check_quantity(const Subject& s, size_t quantity, Point& point,
                             const exact::Decisions& here, const DifferenceOptions& options) {
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
  for (const int64_t element : elements_of(q, quantity, options)) {
    const auto i = static_cast<size_t>(element);
    const std::optional<double> want = difference(s, point, quantity, i, here);
    if (want || !std::isfinite(q.gradient[i])) {
      compared.push_back({element, static_cast<double>(q.gradient[i]), want.value_or(0.0)});
    } else {
      ++row.kinks;
    }
  }
  row.elements = static_cast<int64_t>(compared.size());
  const auto tried = static_cast<double>(row.elements + row.kinks);
  if (!compared.empty()) judge(compared, row);
  if (row.outcome != Outcome::kFail && static_cast<double>(row.kinks) > kMostKinks * tried) {
    row.outcome = Outcome::kKinks;
  }
  return row;
}

}  // namespace

bool is_good(Outcome outcome) {
  return outcome == Outcome::kPass || outcome == Outcome::kNotWritten;
}

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
    case Outcome::kKinks:
      return "KINKS";
    case Outcome::kZero:
      return "ALL ZERO";
  }
  return "";
}

std::vector<CheckedTensor> check_gradients(const Subject& subject,
                                           const DifferenceOptions& options) {
  VERACE_CHECK(subject.quantities.size() == subject.point.size());
  Point point = subject.point;
  exact::Decisions here;
  subject.function(point, here);
  std::vector<CheckedTensor> rows;
  for (size_t i = 0; i < subject.quantities.size(); ++i) {
    if (subject.quantities[i].wanted == Wanted::kConstant) continue;
    rows.push_back(check_quantity(subject, i, point, here, options));
  }
  return rows;
}

}  // namespace verace::apps
