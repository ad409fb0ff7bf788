// Bars and matrices.
#include <algorithm>
#include <numeric>

#include "apps/lib/plot/axes.h"
#include "apps/lib/plot/markup.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps::plot {

Drawing draw(const BarPlot& plot) {
  constexpr double kRow = 20, kTop = 28, kLeft = 150, kTextWidth = 64;
  constexpr size_t kMostLetters = 24;
  double most = 0;
  for (const Bar& bar : plot.bars) {
    VERACE_CHECK(bar.value >= 0, bar.label);
    most = std::max(most, bar.value);
  }
  std::string svg = text::format("<text x='{:.1f}' y='15' class='title'>{}</text>\n", kWidth / 2,
                                 escaped(plot.title));
  double y = kTop;
  for (const Bar& bar : plot.bars) {
    const double width = most > 0 ? (kWidth - kLeft - kTextWidth) * (bar.value / most) : 0;
    svg += text::format(
        "<text x='{:.1f}' y='{:.1f}' class='y'>{}</text>\n"
        "<rect x='{:.1f}' y='{:.1f}' width='{:.2f}' height='13' class='f0'/>\n"
        "<text x='{:.2f}' y='{:.1f}' class='key'>{}</text>\n",
        kLeft - 6, y + 11, escaped(shortened(bar.label, kMostLetters)), kLeft, y, width,
        kLeft + width + 5, y + 11, escaped(bar.text));
    y += kRow;
  }
  svg += text::format("<line x1='{0}' x2='{0}' y1='{1}' y2='{2:.1f}' class='axis'/>\n", kLeft,
                      kTop - 4, y - 3);
  return {kWidth, y + 4, svg};
}

Drawing draw(const Matrix& matrix) {
  constexpr double kLeft = 100, kTop = 62, kCellHeight = 62;
  VERACE_CHECK(matrix.counts.size() == matrix.rows.size() && !matrix.columns.empty());
  const double cell = (kWidth - kLeft - 20) / static_cast<double>(matrix.columns.size());
  const double middle = kLeft + cell * static_cast<double>(matrix.columns.size()) / 2;
  std::string svg = text::format(
      "<text x='{:.1f}' y='15' class='title'>{}</text>\n"
      "<text x='{:.1f}' y='36' class='name'>{}</text>\n",
      kWidth / 2, escaped(matrix.title), middle, escaped(matrix.columns_title));
  for (size_t j = 0; j < matrix.columns.size(); ++j) {
    svg += text::format("<text x='{:.1f}' y='{:.1f}' class='x'>{}</text>\n",
                        kLeft + cell * (static_cast<double>(j) + 0.5), kTop - 8,
                        escaped(matrix.columns[j]));
  }
  for (size_t i = 0; i < matrix.rows.size(); ++i) {
    const double y = kTop + kCellHeight * static_cast<double>(i);
    svg += text::format("<text x='{}' y='{:.1f}' class='y'>{}</text>\n", kLeft - 8,
                        y + kCellHeight / 2 + 4, escaped(matrix.rows[i]));
    const std::vector<int64_t>& row = matrix.counts[i];
    VERACE_CHECK(row.size() == matrix.columns.size());
    const double total = std::accumulate(row.begin(), row.end(), 0.0);
    for (size_t j = 0; j < row.size(); ++j) {
      const double x = kLeft + cell * static_cast<double>(j);
      const double share = total > 0 ? static_cast<double>(row[j]) / total : 0;
      svg += text::format(
          "<rect x='{0:.1f}' y='{1:.1f}' width='{2:.1f}' height='{3:.1f}' class='cell' "
          "fill-opacity='{4:.3f}'/>\n"
          "<text x='{5:.1f}' y='{6:.1f}' class='count'>{7}</text>\n"
          "<text x='{5:.1f}' y='{8:.1f}' class='x'>{9:.1f} % of {10}</text>\n",
          x + 1, y + 1, cell - 2, kCellHeight - 2, 0.08 + 0.32 * share, x + cell / 2,
          y + kCellHeight / 2 - 2, row[j], y + kCellHeight / 2 + 16, 100 * share,
          escaped(matrix.rows[i]));
    }
  }
  const double height = kTop + kCellHeight * static_cast<double>(matrix.rows.size());
  svg += text::format(
      "<text x='11' y='{0:.1f}' class='name' transform='rotate(-90 11 {0:.1f})'>{1}</text>\n",
      (kTop + height) / 2, escaped(matrix.rows_title));
  return {kWidth, height + 8, svg};
}

}  // namespace verace::apps::plot
