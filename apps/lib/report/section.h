// The sections of a report: one function each, in the files section_*.cc.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apps/lib/plot/plot.h"
#include "apps/lib/report/run_data.h"

namespace verace::apps::report {

// A figure of the page, which also becomes figures/NAME.svg, and its numbers figures/NAME.csv.
struct Figure {
  std::string name;  // letters, digits, _
  std::string title, caption;
  plot::Drawing drawing;
  std::string csv;
};

struct Section {
  std::string id, title;
  std::string html;             // without the heading; figures stand in it already
  std::vector<Figure> figures;  // to be written as files
  // Further tables that become figures/NAME.csv: name and content.
  std::vector<std::pair<std::string, std::string>> tables;
};

// All of them, in the order of the page.
std::vector<Section> sections_of(const RunData& run);
// The names of all files that any report may have in figures/.
std::vector<std::string> all_figure_files();

Section summary_section(const RunData& run);
Section training_section(const RunData& run);
Section evaluation_section(const RunData& run);
Section attack_section(const RunData& run);
Section time_section(const RunData& run);
Section memory_section(const RunData& run);
Section settings_section(const RunData& run);  // command, configuration, machine

}  // namespace verace::apps::report
