// Plots as SVG: lines, blocks, bars and matrices with axes, ticks and legends. The one place of the
// program that draws them.
//
// A plot is about 360 units wide, with letters of 11 units, so that it can be read on a phone. It
// has no colours of its own but classes, which style() colours for light and dark screens; lines
// differ by their dashes too. All texts are escaped here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace verace::apps::plot {

struct Point {
  double x = 0, y = 0;
};

// What values [low, high] are drawn, with a tick at every multiple of `step`.
struct Axis {
  std::string label;
  double low = 0, high = 1, step = 0.2;
  bool percent = false;  // 0.2 is written as "20 %"
};

// A step of 1, 2 or 5 times a power of ten that divides `span` > 0 into four to eight parts or so.
double tick_step(double span);
// From 0 to 1.
Axis share_axis(const std::string& label, bool percent = false);
// Covers the finite ones of `values` with round ends; from 0 if `from_zero`. No values: 0 to 1.
Axis axis_of(const std::string& label, std::span<const double> values, bool from_zero);
// The same of shares in [0, 1], which need not reach 0 or 1.
Axis share_axis_of(const std::string& label, std::span<const double> values, bool percent = false);
// Ticks at whole numbers.
Axis counting_axis(const std::string& label, int64_t first, int64_t last);

inline constexpr int kStyles = 5;  // 4: grey

// Points that are not finite are left out. A line of more than 40 points has no dots.
struct Line {
  std::string name;  // in the legend; empty: not there
  int style = 0;     // colour and dashes, [0, kStyles)
  std::vector<Point> points;
  bool dots = false;
};
// A filled rectangle from (x0, y0) to (x1, y1) in units of the axes.
struct Block {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  int style = 0;
  std::string title = {};  // shown by a browser under the pointer; empty: none
};
// A ring at a point, for what is to be seen at once.
struct Mark {
  std::string name;  // in the legend
  Point at;
  int style = 0;
};

struct Plot {
  std::string title;
  Axis x, y;
  std::vector<Block> blocks;
  std::vector<Line> lines;
  std::vector<Mark> marks;
};

struct Bar {
  std::string label;
  double value = 0;  // at least 0
  std::string text;  // beside the bar
};
// One below the other, the longest filling the width; the scale begins at 0.
struct BarPlot {
  std::string title;
  std::vector<Bar> bars;
};

// counts[row][column]; shaded by the share of their row.
struct Matrix {
  std::string title, rows_title, columns_title;
  std::vector<std::string> rows, columns;
  std::vector<std::vector<int64_t>> counts;
};

// SVG elements in a rectangle from (0, 0) to (width, height).
struct Drawing {
  double width = 0, height = 0;
  std::string body;
};
Drawing draw(const Plot& plot);
Drawing draw(const BarPlot& plot);
Drawing draw(const Matrix& matrix);
// Side by side under a heading.
Drawing beside(std::span<const Drawing> drawings, const std::string& heading);

// Inside of a page that holds style(). `name` (letters, digits, _) is unique in the page; `title`
// is what is read aloud.
std::string inline_svg(const Drawing& drawing, const std::string& name, const std::string& title);
// A file of its own, with its style and a background.
std::string svg_file(const Drawing& drawing, const std::string& title);
// CSS rules of all plots.
std::string style();

}  // namespace verace::apps::plot
