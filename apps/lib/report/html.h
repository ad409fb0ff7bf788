// Pieces of a page: tables, figures, notes. Texts are escaped here, once.
#pragma once

#include <string>
#include <vector>

#include "apps/lib/report/section.h"

namespace verace::apps::report {

// A table that scrolls within itself. The first column holds names; the others numbers, set right,
// unless `words`. `caption` is read aloud.
struct Table {
  std::string caption;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
  bool words = false;
};
std::string to_html(const Table& table);

// A paragraph.
std::string paragraph(const std::string& text);
// What a section lacks and why.
std::string missing(const std::string& what, const std::string& why);
// Puts the figures, and after them `html`, side by side where there is room; the figures also into
// section.figures.
void add_figures(Section& section, std::vector<Figure> figures, const std::string& html = "");
// One figure with a wide table (HTML) beside it.
void add_beside(Section& section, Figure figure, const std::string& html);
// What is shown when the reader asks for it.
std::string folded(const std::string& title, const std::string& html);

// "1.23 s", "12.3 s", "4 min 5 s"; "1.50 MB"; "85.2 %".
std::string duration(double seconds);
std::string size_text(int64_t bytes);
std::string percent(double share);

}  // namespace verace::apps::report
