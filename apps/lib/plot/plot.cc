// Plots with two axes: blocks, lines, marks and the legend.
#include "apps/lib/plot/plot.h"

#include <cmath>

#include "apps/lib/plot/axes.h"
#include "apps/lib/plot/markup.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps::plot {
namespace {

constexpr double kTop = 26, kPanelHeight = 190, kRight = 14, kBelow = 38;
constexpr double kLegendRow = 18;
constexpr size_t kMostDots = 40;

std::string draw_block(const Frame& f, const Block& block) {
  const double x0 = f.x_at(block.x0), x1 = f.x_at(block.x1);
  const double y0 = f.y_at(block.y1), y1 = f.y_at(block.y0);
  const std::string title =
      block.title.empty() ? "" : text::format("<title>{}</title>", escaped(block.title));
  return text::format(
      "<rect x='{:.2f}' y='{:.2f}' width='{:.2f}' height='{:.2f}' class='b{}'>{}</rect>\n", x0, y0,
      std::max(x1 - x0, 0.3), std::max(y1 - y0, 0.3), block.style, title);
}

std::string draw_line(const Frame& f, const Line& line) {
  std::string points, dots;
  for (const Point& p : line.points) {
    if (!std::isfinite(p.x) || !std::isfinite(p.y)) continue;
    const double x = f.x_at(p.x), y = f.y_at(p.y);
    points += text::format("{}{:.2f},{:.2f}", points.empty() ? "" : " ", x, y);
    if (line.dots && line.points.size() <= kMostDots) {
      dots +=
          text::format("<circle cx='{:.2f}' cy='{:.2f}' r='3' class='d{}'/>\n", x, y, line.style);
    }
  }
  return text::format("<polyline points='{}' class='l{}'/>\n", points, line.style) + dots;
}

struct Key {
  std::string name, symbol;  // symbol: drawn from (0, 0) to (24, 8)
};

std::vector<Key> keys_of(const Plot& plot) {
  std::vector<Key> keys;
  for (const Line& line : plot.lines) {
    if (line.name.empty()) continue;
    keys.push_back(
        {line.name, text::format("<line x1='0' x2='24' y1='4' y2='4' class='l{}'/>", line.style)});
  }
  for (const Mark& mark : plot.marks) {
    keys.push_back(
        {mark.name, text::format("<circle cx='12' cy='4' r='5' class='m{}'/>", mark.style)});
  }
  return keys;
}

// Rows of keys, each centred.
std::string draw_legend(const std::vector<Key>& keys, double top, int& rows) {
  constexpr double kSymbol = 30, kGap = 16;
  std::vector<std::vector<const Key*>> lines;
  std::vector<double> widths;
  for (const Key& key : keys) {
    const double width = kSymbol + text_width(letters(key.name)) + kGap;
    if (lines.empty() || widths.back() + width > kWidth) {
      lines.emplace_back();
      widths.push_back(0);
    }
    lines.back().push_back(&key);
    widths.back() += width;
  }
  std::string svg;
  for (size_t i = 0; i < lines.size(); ++i) {
    double x = (kWidth - widths[i] + kGap) / 2;
    const double y = top + kLegendRow * static_cast<double>(i);
    for (const Key* key : lines[i]) {
      svg += text::format(
          "<g transform='translate({:.1f} {:.1f})'>{}<text x='{}' y='8' "
          "class='key'>{}</text></g>\n",
          x, y, key->symbol, kSymbol, escaped(key->name));
      x += kSymbol + text_width(letters(key->name)) + kGap;
    }
  }
  rows = static_cast<int>(lines.size());
  return svg;
}

double left_of(const Axis& y) {
  size_t most = 0;
  for (double value = y.low; value <= y.high + y.step * 1e-6; value += y.step) {
    most = std::max(most, letters(tick_text(y, value)));
  }
  return 26 + text_width(most);
}

void check_styles(const Plot& plot) {
  const auto check = [](int style) { VERACE_CHECK(style >= 0 && style < kStyles); };
  for (const Line& line : plot.lines) check(line.style);
  for (const Block& block : plot.blocks) check(block.style);
  for (const Mark& mark : plot.marks) check(mark.style);
}

}  // namespace

Drawing draw(const Plot& plot) {
  check_styles(plot);
  const double left = left_of(plot.y);
  const Frame frame{plot.x, plot.y, left, kTop, kWidth - left - kRight, kPanelHeight};
  std::string svg = draw_axes(frame, plot.title);
  for (const Block& block : plot.blocks) svg += draw_block(frame, block);
  for (const Line& line : plot.lines) svg += draw_line(frame, line);
  for (const Mark& mark : plot.marks) {
    svg += text::format("<circle cx='{:.2f}' cy='{:.2f}' r='6' class='m{}'/>\n",
                        frame.x_at(mark.at.x), frame.y_at(mark.at.y), mark.style);
  }
  int rows = 0;
  const double below = frame.bottom() + kBelow;
  svg += draw_legend(keys_of(plot), below + 2, rows);
  return {kWidth, below + kLegendRow * rows, svg};
}

}  // namespace verace::apps::plot
