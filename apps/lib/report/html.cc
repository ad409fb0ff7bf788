// Tables, figures and notes as HTML that is also well-formed XML.
#include "apps/lib/report/html.h"

#include <algorithm>
#include <cmath>

#include "apps/lib/memory_limit.h"
#include "apps/lib/plot/markup.h"
#include "kernels/format.h"

namespace verace::apps::report {

using plot::escaped;

std::string to_html(const Table& table) {
  std::string html = text::format(
      "<div class='scroll' tabindex='0' role='region' aria-label='{0}'><table class='{1}'>\n"
      "<caption>{0}</caption>\n",
      escaped(table.caption), table.words ? "words" : "numbers");
  if (!table.head.empty()) {
    html += "<thead><tr>";
    for (const std::string& cell : table.head) {
      html += text::format("<th scope='col'>{}</th>", escaped(cell));
    }
    html += "</tr></thead>\n";
  }
  html += "<tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const char* tag = i == 0 ? "th scope='row'" : "td";
      html += text::format("<{}>{}</{:.2}>", tag, escaped(row[i]), tag);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string paragraph(const std::string& text) {
  return text::format("<p>{}</p>\n", escaped(text));
}

std::string missing(const std::string& what, const std::string& why) {
  return text::format("<p class='missing'><strong>Missing: {}.</strong> {}</p>\n", escaped(what),
                      escaped(why));
}

namespace {

void add_figure(Section& section, Figure figure) {
  section.html += text::format(
      "<figure>\n{}<figcaption>{} <span class='file'>Numbers: figures/{}.csv</span>"
      "</figcaption></figure>\n",
      plot::inline_svg(figure.drawing, figure.name, figure.title), escaped(figure.caption),
      figure.name);
  section.figures.push_back(std::move(figure));
}

}  // namespace

void add_figures(Section& section, std::vector<Figure> figures, const std::string& html) {
  section.html += "<div class='figures'>\n";
  for (Figure& figure : figures) add_figure(section, std::move(figure));
  if (!html.empty()) section.html += text::format("<div>\n{}</div>\n", html);
  section.html += "</div>\n";
}

std::string folded(const std::string& title, const std::string& html) {
  return text::format("<details><summary>{}</summary>\n{}</details>\n", escaped(title), html);
}

void add_beside(Section& section, Figure figure, const std::string& html) {
  section.html += "<div class='pair'>\n";
  add_figure(section, std::move(figure));
  section.html += text::format("<div>\n{}</div></div>\n", html);
}

std::string duration(double seconds) {
  if (seconds < 60) return text::format("{:.{}f} s", seconds, seconds < 9.995 ? 2 : 1);
  const auto whole = std::llround(std::min(seconds, 1e15));  // what a whole number can hold
  if (whole < 3600) return text::format("{} min {} s", whole / 60, whole % 60);
  return text::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string size_text(int64_t bytes) {
  return text::format("{:.{}f} MB", megabytes(bytes), bytes < 100'000'000 ? 2 : 0);
}

std::string percent(double share) { return text::format("{:.1f} %", 100 * share); }

}  // namespace verace::apps::report
