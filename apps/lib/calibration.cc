// Choosing a temperature.
#include "apps/lib/calibration.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

double sigmoid(double x) {
  // Of the argument that does not overflow.
  if (x >= 0) return 1 / (1 + std::exp(-x));
  const double e = std::exp(x);
  return e / (1 + e);
}

// How far each face is on the right side.
std::vector<double> signed_margins(std::span<const double> margins,
                                   std::span<const int32_t> labels) {
  VERACE_CHECK(margins.size() == labels.size());
  std::vector<double> sides;
  for (size_t i = 0; i < margins.size(); ++i) {
    VERACE_CHECK(std::isfinite(margins[i]), "a margin must be a finite number");
    VERACE_CHECK(labels[i] == 0 || labels[i] == 1);
    sides.push_back(labels[i] == 1 ? margins[i] : -margins[i]);
  }
  return sides;
}

// Of the mean loss with respect to b = 1 / T; never falls as b grows.
double slope(const std::vector<double>& sides, double b) {
  double sum = 0;
  for (const double side : sides) sum -= side * sigmoid(-b * side);
  return sum / static_cast<double>(sides.size());
}

// Where the slope is 0, between the limits.
double best_temperature(const std::vector<double>& sides) {
  double low = 1 / kMostTemperature, high = 1 / kLeastTemperature;  // of b
  if (slope(sides, low) >= 0) return kMostTemperature;
  if (slope(sides, high) <= 0) return kLeastTemperature;
  for (int i = 0; i < 100; ++i) {
    const double middle = std::sqrt(low * high);
    (slope(sides, middle) < 0 ? low : high) = middle;
  }
  return 1 / std::sqrt(low * high);
}

CalibrationFigures figures(std::span<const double> margins, std::span<const int32_t> labels,
                           double temperature) {
  std::vector<double> probabilities, losses;
  for (size_t i = 0; i < margins.size(); ++i) {
    probabilities.push_back(calibrated_probability(margins[i], temperature));
    losses.push_back(calibrated_loss(margins[i], labels[i], temperature));
  }
  const Metrics metrics = ScoredSet(probabilities, labels, losses).metrics();
  return {metrics.loss.value(), metrics.calibration_error.value()};
}

}  // namespace

double calibrated_probability(double margin, double temperature) {
  return sigmoid(margin / temperature);
}

double calibrated_loss(double margin, int32_t label, double temperature) {
  const double against = (label == 1 ? -margin : margin) / temperature;
  return std::max(against, 0.0) + std::log1p(std::exp(-std::abs(against)));
}

Calibration calibrate(std::span<const double> margins, std::span<const int32_t> labels,
                      const std::string& data, const std::string& split) {
  const std::vector<double> sides = signed_margins(margins, labels);
  Calibration result;
  result.data = name_of_data(data);
  result.split = split;
  result.fakes = std::ranges::count(labels, 1);
  result.reals = static_cast<int64_t>(labels.size()) - result.fakes;
  if (result.reals == 0 || result.fakes == 0) {
    fail_input(text::format(
        "--calibrate: {} of {} has {} real and {} fake faces that could be judged: it takes both",
        split, result.data, result.reals, result.fakes));
  }
  if (slope(sides, 0) >= 0) {
    fail_input(
        text::format("--calibrate: on {} of {} the network's answers point the wrong way on "
                     "average, and no temperature mends that: train longer, or look at "
                     "--class-order",
                     split, result.data));
  }
  const bool all_right = std::ranges::all_of(sides, [](double side) { return side >= 0; });
  result.temperature = all_right ? 1 : best_temperature(sides);
  result.before = figures(margins, labels, 1);
  result.after = figures(margins, labels, result.temperature);
  return result;
}

std::string calibration_text(const Calibration& c) {
  std::string text = text::format(
      "temperature {:.4g}, chosen on {} of {} ({} real and {} fake faces): loss {:.4f} before, "
      "{:.4f} after; calibration error {:.4f} before, {:.4f} after",
      c.temperature, c.split, c.data, c.reals, c.fakes, c.before.loss, c.after.loss,
      c.before.calibration_error, c.after.calibration_error);
  if (c.temperature == 1) text += "; it stays 1: no face is on the wrong side, more data may help";
  return text;
}

std::string name_of_data(const std::string& path) {
  const std::filesystem::path whole = std::filesystem::path(path).lexically_normal();
  const std::filesystem::path name = whole.filename();
  return (name.empty() ? whole.parent_path().filename() : name).string();
}

}  // namespace verace::apps
