// Ranges, ticks and the frame of a plot.
#include "apps/lib/plot/axes.h"

#include <cmath>

#include "apps/lib/plot/markup.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps::plot {
namespace {

struct Range {
  double low = HUGE_VAL, high = -HUGE_VAL;
};

Range range_of(std::span<const double> values) {
  Range range;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  }
  return range;
}

// Ends that are multiples of a round step.
Axis rounded(const std::string& label, double low, double high) {
  Axis axis{label, low, high, tick_step(high - low)};
  axis.low = std::floor(low / axis.step + 1e-9) * axis.step;
  axis.high = std::ceil(high / axis.step - 1e-9) * axis.step;
  return axis;
}

}  // namespace

double tick_step(double span) {
  const double rough = span / 5, power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power * 1.0001) return factor * power;
  }
  return 10 * power;
}

Axis share_axis(const std::string& label, bool percent) { return {label, 0, 1, 0.2, percent}; }

Axis axis_of(const std::string& label, std::span<const double> values, bool from_zero) {
  // Beyond, a difference of two numbers is not finite, or 0.
  constexpr double kLargest = 1e300, kLeastSpan = 1e-305;
  Range range = range_of(values);
  if (range.low > range.high) return {label};
  range = {std::clamp(range.low, -kLargest, kLargest), std::clamp(range.high, -kLargest, kLargest)};
  if (from_zero) range = {std::min(range.low, 0.0), std::max(range.high, 0.0)};
  const double largest = std::max(std::abs(range.low), std::abs(range.high));
  if (range.high - range.low <= std::max(1e-12 * largest, kLeastSpan)) {
    range.high = range.low + 0.05 * std::max(1.0, largest);
  }
  return rounded(label, range.low, range.high);
}

Axis share_axis_of(const std::string& label, std::span<const double> values, bool percent) {
  const Range range = range_of(values);
  if (range.low > range.high) return share_axis(label, percent);
  double low = std::clamp(range.low, 0.0, 1.0), high = std::clamp(range.high, 0.0, 1.0);
  if (high - low < 1e-6) {
    low = std::max(0.0, low - 0.05);
    high = std::min(1.0, high + 0.05);
  }
  Axis axis = rounded(label, low, high);
  axis.high = std::min(axis.high, 1.0);
  axis.percent = percent;
  return axis;
}

Axis counting_axis(const std::string& label, int64_t first, int64_t last) {
  const auto low = static_cast<double>(first), high = static_cast<double>(last);
  const double span = high - low;  // of whole numbers it might not fit
  double step = span <= 10 ? 1 : std::max(1.0, std::round(tick_step(span)));
  // So that the tick after the largest number is another number.
  step = std::max(step, 1e-12 * std::max(std::abs(low), std::abs(high)));
  return {label, low, high, step};
}

size_t letters(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string tick_text(const Axis& axis, double value) {
  if (std::abs(value) < axis.step * 1e-6) value = 0;
  if (axis.percent) return text::format("{:.4g} %", 100 * value);
  // "10000", not "1e+04".
  const bool whole = std::abs(value) >= 1e4 && std::abs(value) < 1e7;
  return whole ? text::format("{:.0f}", value) : text::format("{:.4g}", value);
}

std::string draw_axes(const Frame& f, const std::string& title) {
  std::string svg = text::format("<text x='{:.1f}' y='15' class='title'>{}</text>\n",
                                 f.left + f.width / 2, escaped(title));
  const auto ticks = [](const Axis& axis, auto place) {
    VERACE_CHECK((axis.high - axis.low) / axis.step < 100, "an axis has too many ticks");
    const double first = std::ceil(axis.low / axis.step - 1e-6);
    for (int i = 0; (first + i) * axis.step <= axis.high + axis.step * 1e-6; ++i) {
      place((first + i) * axis.step);
    }
  };
  ticks(f.y, [&](double value) {
    const double y = f.y_at(value);
    svg += text::format(
        "<line x1='{:.1f}' x2='{:.1f}' y1='{:.2f}' y2='{:.2f}' class='grid'/>\n"
        "<text x='{:.1f}' y='{:.2f}' class='y'>{}</text>\n",
        f.left, f.right(), y, y, f.left - 5, y + 4, escaped(tick_text(f.y, value)));
  });
  ticks(f.x, [&](double value) {
    const double x = f.x_at(value);
    svg += text::format(
        "<line x1='{:.2f}' x2='{:.2f}' y1='{:.1f}' y2='{:.1f}' class='axis'/>\n"
        "<text x='{:.2f}' y='{:.1f}' class='x'>{}</text>\n",
        x, x, f.bottom(), f.bottom() + 4, x, f.bottom() + 16, escaped(tick_text(f.x, value)));
  });
  svg +=
      text::format("<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' class='frame'/>\n",
                   f.left, f.top, f.width, f.height);
  svg += text::format("<text x='{:.1f}' y='{:.1f}' class='name'>{}</text>\n", f.left + f.width / 2,
                      f.bottom() + 31, escaped(f.x.label));
  const double middle = f.top + f.height / 2;
  return svg + text::format(
                   "<text x='11' y='{0:.1f}' class='name' transform='rotate(-90 11 {0:.1f})'>{1}"
                   "</text>\n",
                   middle, escaped(f.y.label));
}

}  // namespace verace::apps::plot
