// Drawing the learning curve.
#include "apps/lib/curve.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <vector>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// Pixels. One panel is the rectangle between the axes.
constexpr double kPanelWidth = 340, kPanelHeight = 240, kLeft = 64, kTop = 64, kGap = 84;
constexpr double kWidth = kLeft + 2 * kPanelWidth + kGap + 24, kHeight = kTop + kPanelHeight + 84;

struct Series {
  const char* name;
  const char*
      colour;  // readable for the colour-blind (Okabe & Ito 2008), dashes tell them apart too
  const char* dash;
  std::vector<std::optional<double>> values;  // one per epoch
};

struct Range {
  double low = 0, high = 1, step = 0.2;
};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

// A step of 1, 2 or 5 times a power of ten that gives four to eight intervals or so.
double tick_step(double span) {
  const double rough = span / 5, power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power * 1.0001) return factor * power;
  }
  return 10 * power;
}

// Covers all values, with round ends.
Range range_of(const std::vector<Series>& series, bool is_share) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const Series& one : series) {
    for (const auto& value : one.values) {
      if (!value || !std::isfinite(*value)) continue;
      low = std::min(low, *value);
      high = std::max(high, *value);
    }
  }
  if (low > high) return {};
  if (!is_share) low = 0;  // losses are judged by their distance from 0
  if (high - low < 1e-6) {
    low = std::max(0.0, low - 0.05);
    high = is_share ? std::min(1.0, high + 0.05) : high + 0.05;
  }
  Range range;
  range.step = tick_step(high - low);
  range.low = std::floor(low / range.step + 1e-9) * range.step;
  range.high = std::ceil(high / range.step - 1e-9) * range.step;
  if (is_share) range.high = std::min(range.high, 1.0);
  return range;
}

class Panel {
 public:
  Panel(double left, Range y, int64_t first_epoch, int64_t last_epoch)
      : left_(left), y_(y), first_(first_epoch), last_(last_epoch) {}

  double x_at(double epoch) const {
    if (first_ == last_) return left_ + kPanelWidth / 2;
    return left_ + kPanelWidth * (epoch - static_cast<double>(first_)) /
                       static_cast<double>(last_ - first_);
  }
  double y_at(double value) const {
    const double share = (value - y_.low) / (y_.high - y_.low);
    return kTop + kPanelHeight * (1 - std::clamp(share, 0.0, 1.0));
  }

  std::string axes(const char* title) const;
  std::string line(const Series& series) const;

 private:
  double left_;
  Range y_;
  int64_t first_, last_;
};

std::string Panel::axes(const char* title) const {
  std::string svg = text::format("<text x='{}' y='{}' class='title'>{}</text>\n",
                                 left_ + kPanelWidth / 2, kTop - 12, title);
  const double bottom = kTop + kPanelHeight;
  for (int64_t i = 0; y_.low + static_cast<double>(i) * y_.step <= y_.high + y_.step * 1e-6; ++i) {
    const double value = y_.low + static_cast<double>(i) * y_.step, y = y_at(value);
    svg += text::format("<line x1='{}' x2='{}' y1='{:.2f}' y2='{:.2f}' class='grid'/>\n", left_,
                        left_ + kPanelWidth, y, y);
    svg += text::format("<text x='{}' y='{:.2f}' class='y'>{:.4g}</text>\n", left_ - 8, y + 4,
                        std::abs(value) < y_.step * 1e-6 ? 0.0 : value);
  }
  const int64_t every = std::max<int64_t>(
      1, static_cast<int64_t>(std::llround(tick_step(static_cast<double>(last_ - first_ + 1)))));
  for (int64_t epoch = first_; epoch <= last_; ++epoch) {
    if (epoch % every != 0 && last_ - first_ >= 10) continue;
    const double x = x_at(static_cast<double>(epoch));
    svg += text::format("<line x1='{:.2f}' x2='{:.2f}' y1='{}' y2='{}' class='axis'/>\n", x, x,
                        bottom, bottom + 5);
    svg += text::format("<text x='{:.2f}' y='{}' class='x'>{}</text>\n", x, bottom + 19, epoch);
  }
  svg += text::format("<rect x='{}' y='{}' width='{}' height='{}' class='frame'/>\n", left_, kTop,
                      kPanelWidth, kPanelHeight);
  return svg + text::format("<text x='{}' y='{}' class='x'>epoch</text>\n", left_ + kPanelWidth / 2,
                            bottom + 38);
}

std::string Panel::line(const Series& series) const {
  std::string points, dots;
  for (size_t i = 0; i < series.values.size(); ++i) {
    const auto& value = series.values[i];
    if (!value || !std::isfinite(*value)) continue;
    const double x = x_at(static_cast<double>(first_) + static_cast<double>(i)), y = y_at(*value);
    points += text::format("{:.2f},{:.2f} ", x, y);
    if (series.values.size() <= 40) {
      dots +=
          text::format("<circle cx='{:.2f}' cy='{:.2f}' r='3' fill='{}'/>\n", x, y, series.colour);
    }
  }
  return text::format(
             "<polyline points='{}' fill='none' stroke='{}' stroke-width='2' "
             "stroke-dasharray='{}'/>\n",
             points, series.colour, series.dash) +
         dots;
}

using Getter = std::function<std::optional<double>(const EpochMetrics&)>;

std::vector<Series> collect(std::span<const EpochMetrics> epochs, const Getter& train,
                            const std::function<double(const SplitMetrics&)>& split) {
  std::vector<Series> all = {{"train", "#0072B2", "none", {}},
                             {"test", "#D55E00", "7 3", {}},
                             {"val", "#009E73", "2 3", {}}};
  bool any_test = false, any_val = false;
  for (const EpochMetrics& epoch : epochs) {
    all[0].values.push_back(train(epoch));
    all[1].values.push_back(epoch.test ? std::optional(split(*epoch.test)) : std::nullopt);
    all[2].values.push_back(epoch.val ? std::optional(split(*epoch.val)) : std::nullopt);
    any_test |= epoch.test.has_value();
    any_val |= epoch.val.has_value();
  }
  if (!any_val) all.erase(all.begin() + 2);
  if (!any_test) all.erase(all.begin() + 1);
  return all;
}

std::string legend(const std::vector<Series>& series) {
  std::string svg;
  const double y = kHeight - 16, width = 90;
  double x = kWidth / 2 - width * static_cast<double>(series.size()) / 2;
  for (const Series& one : series) {
    svg += text::format(
        "<line x1='{}' x2='{}' y1='{}' y2='{}' stroke='{}' stroke-width='2' "
        "stroke-dasharray='{}'/>\n<text x='{}' y='{}' class='key'>{}</text>\n",
        x, x + 30, y - 4, y - 4, one.colour, one.dash, x + 36, y, one.name);
    x += width;
  }
  return svg;
}

constexpr const char* kStyle =
    "<style>text{font-family:sans-serif;font-size:12px;fill:#222}"
    ".title{font-size:14px;text-anchor:middle}.x{text-anchor:middle}.y{text-anchor:end}"
    ".head{font-size:15px;font-weight:bold;text-anchor:middle}"
    ".grid{stroke:#ddd}.axis{stroke:#444}.frame{fill:none;stroke:#444}</style>\n";

}  // namespace

std::string curve_svg(std::span<const EpochMetrics> epochs, const std::string& title) {
  VERACE_CHECK(!epochs.empty());
  const auto loss = collect(
      epochs, [](const EpochMetrics& e) { return e.train_loss; },
      [](const SplitMetrics& s) { return s.loss; });
  const auto accuracy = collect(
      epochs, [](const EpochMetrics& e) { return e.train_accuracy; },
      [](const SplitMetrics& s) { return s.accuracy; });
  std::string svg = text::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' viewBox='0 0 {0} {1}'>\n"
      "{2}<rect width='{0}' height='{1}' fill='white'/>\n"
      "<text x='{3}' y='26' class='head'>{4}</text>\n",
      kWidth, kHeight, kStyle, kWidth / 2, escaped(title));
  const int64_t first = epochs.front().epoch, last = epochs.back().epoch;
  double left = kLeft;
  for (const auto* series : {&loss, &accuracy}) {
    const bool is_share = series == &accuracy;
    const Panel panel(left, range_of(*series, is_share), first, last);
    svg += panel.axes(is_share ? "accuracy" : "loss");
    for (const Series& one : *series) svg += panel.line(one);
    left += kPanelWidth + kGap;
  }
  return svg + legend(loss) + "</svg>\n";
}

}  // namespace verace::apps
