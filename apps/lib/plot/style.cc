// Colours of plots, and drawings as SVG elements and files.
#include <array>

#include "apps/lib/plot/markup.h"
#include "apps/lib/plot/plot.h"
#include "kernels/format.h"

namespace verace::apps::plot {
namespace {

// Told apart by the colour-blind (after Okabe & Ito 2008), darkened or lightened until they have a
// contrast of at least 3 : 1 with the paper (WCAG 2.1, 1.4.11), texts of 4.5 : 1 (1.4.3).
struct Scheme {
  const char *paper, *ink, *soft, *grid;
  std::array<const char*, kStyles> colours;
};
constexpr Scheme kLight = {"#ffffff",
                           "#1b2127",
                           "#4f5963",
                           "#dfe3e8",
                           {"#0072b2", "#c44e00", "#00805c", "#8f4a9e", "#69737d"}};
constexpr Scheme kDark = {"#14181d",
                          "#e8ecf0",
                          "#aab4be",
                          "#323941",
                          {"#5ab4f0", "#ff9a52", "#3fd0a0", "#d9a0e6", "#98a2ac"}};
constexpr std::array<const char*, kStyles> kDashes = {"none", "7 3", "2 3", "9 3 2 3", "4 3"};

std::string colours(const Scheme& s) {
  std::string css = text::format(
      ".plot text{{fill:{0}}}.plot .name,.plot .x,.plot .y{{fill:{1}}}"
      ".plot .grid{{stroke:{2}}}.plot .axis,.plot .frame{{stroke:{1}}}.plot .paper{{fill:{3}}}"
      ".plot .cell{{fill:{4}}}.plot .count{{fill:{0}}}\n",
      s.ink, s.soft, s.grid, s.paper, s.colours[0]);
  for (size_t i = 0; i < kStyles; ++i) {
    css += text::format(
        ".plot .l{0},.plot .m{0}{{stroke:{1}}}.plot .d{0},.plot .f{0},.plot .b{0}{{fill:{1}}}"
        ".plot .b{0}{{stroke:{2}}}\n",
        i, s.colours[i], s.paper);
  }
  return css;
}

}  // namespace

std::string style() {
  std::string css =
      ".plot text{font-family:system-ui,sans-serif;font-size:11px}"
      ".plot .title{font-size:12.5px;font-weight:600;text-anchor:middle}"
      ".plot .head{font-size:14px;font-weight:600;text-anchor:middle}"
      ".plot .count{font-size:17px;font-weight:600;text-anchor:middle}"
      ".plot .x,.plot .name{text-anchor:middle}.plot .y{text-anchor:end}"
      ".plot .frame,.plot polyline{fill:none}.plot .grid,.plot .axis{stroke-width:1}\n";
  for (size_t i = 0; i < kStyles; ++i) {
    css += text::format(
        ".plot .l{0}{{stroke-width:2;stroke-dasharray:{1}}}"
        ".plot .m{0}{{fill:none;stroke-width:2.5}}.plot .b{0}{{fill-opacity:.55;"
        "stroke-width:.3}}\n",
        i, kDashes[i]);
  }
  return css + colours(kLight) + "@media screen and (prefers-color-scheme:dark){\n" +
         colours(kDark) + "}\n";
}

Drawing beside(std::span<const Drawing> drawings, const std::string& heading) {
  constexpr double kHeading = 30;
  Drawing all;
  for (const Drawing& drawing : drawings) {
    all.body += text::format("<g transform='translate({:.1f} {})'>\n{}</g>\n", all.width, kHeading,
                             drawing.body);
    all.width += drawing.width;
    all.height = std::max(all.height, drawing.height + kHeading);
  }
  all.body += text::format("<text x='{:.1f}' y='20' class='head'>{}</text>\n", all.width / 2,
                           escaped(heading));
  return all;
}

std::string inline_svg(const Drawing& drawing, const std::string& name, const std::string& title) {
  return text::format(
      "<svg viewBox='0 0 {:.0f} {:.0f}' class='plot' role='img' "
      "aria-labelledby='{}_title'>\n<title id='{}_title'>{}</title>\n{}</svg>\n",
      drawing.width, drawing.height, name, name, escaped(title), drawing.body);
}

std::string svg_file(const Drawing& drawing, const std::string& title) {
  return text::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0:.0f}' height='{1:.0f}' "
      "viewBox='0 0 {0:.0f} {1:.0f}' class='plot' role='img'>\n<title>{2}</title>\n"
      "<style>{3}</style>\n<rect width='{0:.0f}' height='{1:.0f}' class='paper'/>\n{4}</svg>\n",
      drawing.width, drawing.height, escaped(title), style(), drawing.body);
}

}  // namespace verace::apps::plot
