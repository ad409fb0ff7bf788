// Command, settings and machine.
#include "apps/lib/plot/markup.h"
#include "apps/lib/report/html.h"
#include "kernels/format.h"

namespace verace::apps::report {
namespace {

void add_command(const RunData& run, Section& section) {
  if (!run.record.value) return;
  std::string words;
  for (const std::string& word : run.record.value->command) {
    words += (words.empty() ? "" : " ") + word;
  }
  section.html +=
      text::format("<div class='scroll' tabindex='0'><pre>{}</pre></div>\n", plot::escaped(words));
  section.html += paragraph("Of files and folders the names alone are shown.");
}

void add_config(const TrainingData& training, Section& section) {
  const std::string title =
      training.title.empty() ? "Settings of the training" : "Settings of the " + training.title;
  if (!training.config.value) {
    section.html += missing(title, training.config.missing);
    return;
  }
  Table table{title, {}, {}, true};
  for (const auto& [key, value] : *training.config.value) table.rows.push_back({key, value});
  section.html += folded(title, to_html(table));
}

}  // namespace

Section settings_section(const RunData& run) {
  Section section{"settings", "Settings and machine", {}, {}, {}};
  add_command(run, section);
  if (run.record.value) {
    const RunRecord& record = *run.record.value;
    Table table{"Machine and program", {}, {}, true};
    table.rows.push_back({"device", text::format("{}, {} threads, {}", record.device,
                                                 record.threads, record.precision)});
    for (const auto& [what, which] : record.environment) table.rows.push_back({what, which});
    section.html += to_html(table);
  } else {
    section.html += missing("command and machine", run.record.missing);
  }
  for (const TrainingData& training : run.trainings) add_config(training, section);
  return section;
}

}  // namespace verace::apps::report
