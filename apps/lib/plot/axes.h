// The frame of a plot and its mapping from values to places. For the files of this folder.
#pragma once

#include <algorithm>
#include <string>

#include "apps/lib/plot/plot.h"

namespace verace::apps::plot {

inline constexpr double kWidth = 360;

// Where the axes are, in units of the drawing.
struct Frame {
  Axis x, y;
  double left = 0, top = 0, width = 0, height = 0;

  double share(const Axis& axis, double value) const {
    const double span = axis.high - axis.low;
    return span > 0 ? std::clamp((value - axis.low) / span, 0.0, 1.0) : 0.5;
  }
  double x_at(double value) const { return left + width * share(x, value); }
  double y_at(double value) const { return top + height * (1 - share(y, value)); }
  double right() const { return left + width; }
  double bottom() const { return top + height; }
};

// Width of a text of `letters` characters at the size of labels, roughly.
inline double text_width(size_t letters) { return 6.1 * static_cast<double>(letters); }

// Number of characters of UTF-8.
size_t letters(const std::string& text);

std::string tick_text(const Axis& axis, double value);
// Grid, ticks, labels and frame; the title above.
std::string draw_axes(const Frame& frame, const std::string& title);

}  // namespace verace::apps::plot
