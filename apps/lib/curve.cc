// The learning curve as two plots.
#include "apps/lib/curve.h"

#include <array>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "kernels/check.h"

namespace verace::apps {
namespace {

using Getter = std::function<std::optional<double>(const EpochMetrics&)>;
using SplitGetter = std::function<double(const SplitMetrics&)>;

std::vector<plot::Line> lines_of(std::span<const EpochMetrics> epochs, const Getter& train,
                                 const SplitGetter& split) {
  const auto line = [&](const char* name, int style, const Getter& value) {
    plot::Line result{name, style, {}, true};
    bool any = false;
    for (const EpochMetrics& epoch : epochs) {
      const std::optional<double> y = value(epoch);
      any |= y.has_value();
      result.points.push_back(
          {static_cast<double>(epoch.epoch), y.value_or(std::numeric_limits<double>::quiet_NaN())});
    }
    return any ? std::optional(result) : std::nullopt;
  };
  const auto of = [&split](const std::optional<SplitMetrics>& metrics) {
    return metrics ? std::optional(split(*metrics)) : std::nullopt;
  };
  std::vector<plot::Line> lines;
  for (auto& one :
       {line("train", 0, train), line("test", 1, [&](const EpochMetrics& e) { return of(e.test); }),
        line("val", 2, [&](const EpochMetrics& e) { return of(e.val); })}) {
    if (one) lines.push_back(*one);
  }
  return lines;
}

plot::Plot plot_of(const char* title, std::span<const EpochMetrics> epochs,
                   std::vector<plot::Line> lines, bool is_share) {
  std::vector<double> values;
  for (const plot::Line& line : lines) {
    for (const plot::Point& point : line.points) values.push_back(point.y);
  }
  plot::Plot result;
  result.title = title;
  result.x = plot::counting_axis("epoch", epochs.front().epoch, epochs.back().epoch);
  // Losses are judged by their distance from 0.
  result.y = is_share ? plot::share_axis_of("judged rightly", values, true)
                      : plot::axis_of("cross-entropy", values, true);
  result.lines = std::move(lines);
  return result;
}

}  // namespace

plot::Plot loss_plot(std::span<const EpochMetrics> epochs) {
  VERACE_CHECK(!epochs.empty());
  return plot_of("loss", epochs,
                 lines_of(
                     epochs, [](const EpochMetrics& e) { return e.train_loss; },
                     [](const SplitMetrics& s) { return s.loss; }),
                 false);
}

plot::Plot accuracy_plot(std::span<const EpochMetrics> epochs) {
  VERACE_CHECK(!epochs.empty());
  return plot_of("accuracy", epochs,
                 lines_of(
                     epochs, [](const EpochMetrics& e) { return e.train_accuracy; },
                     [](const SplitMetrics& s) { return s.accuracy; }),
                 true);
}

std::string curve_svg(std::span<const EpochMetrics> epochs, const std::string& title) {
  const std::array<plot::Drawing, 2> drawings = {plot::draw(loss_plot(epochs)),
                                                 plot::draw(accuracy_plot(epochs))};
  return plot::svg_file(plot::beside(drawings, title), "Learning curve: " + title);
}

}  // namespace verace::apps
