// Learning curves and the figures of every epoch.
#include <cmath>

#include "apps/lib/curve.h"
#include "apps/lib/plot/markup.h"
#include "apps/lib/report/html.h"
#include "kernels/format.h"

namespace verace::apps::report {
namespace {

std::string number(const std::optional<double>& value, bool as_percent) {
  if (!value) return "–";
  if (as_percent) return percent(*value);
  if (std::isinf(*value)) return "∞";
  return *value < 1e6 ? text::format("{:.4f}", *value) : text::format("{:.4g}", *value);
}

// The lines of a plot as columns. They have the same x, one per epoch; what is not there is empty.
std::string csv_of(const plot::Plot& plot) {
  std::string csv = "epoch";
  for (const plot::Line& line : plot.lines) csv += "," + line.name;
  csv += "\n";
  for (size_t i = 0; i < plot.lines.front().points.size(); ++i) {
    csv += text::format("{}", plot.lines.front().points[i].x);
    for (const plot::Line& line : plot.lines) {
      const double y = line.points[i].y;
      csv += y == y ? text::format(",{}", y) : ",";  // NaN: no such split in this epoch
    }
    csv += "\n";
  }
  return csv;
}

Figure figure_of(const std::string& name, const std::string& title, const std::string& caption,
                 const plot::Plot& plot) {
  return {name, title, caption, draw(plot), csv_of(plot)};
}

Table epochs_table(const std::vector<EpochMetrics>& epochs) {
  bool any_val = false, any_test = false;
  for (const EpochMetrics& e : epochs) {
    any_val |= e.val.has_value();
    any_test |= e.test.has_value();
  }
  Table table{"Figures of every epoch", {"epoch", "train loss", "train accuracy"}, {}, false};
  const auto head = [&table](const std::string& split) {
    for (const char* what : {"loss", "accuracy", "AUC"}) table.head.push_back(split + " " + what);
  };
  if (any_val) head("val");
  if (any_test) head("test");
  table.head.insert(table.head.end(), {"pictures/s", "time"});
  for (const EpochMetrics& e : epochs) {
    std::vector<std::string> row = {std::to_string(e.epoch), number(e.train_loss, false),
                                    number(e.train_accuracy, true)};
    const auto add = [&row](const std::optional<SplitMetrics>& split) {
      row.push_back(split ? number(split->loss, false) : "–");
      row.push_back(split ? number(split->accuracy, true) : "–");
      row.push_back(split ? number(split->auc, false) : "–");
    };
    if (any_val) add(e.val);
    if (any_test) add(e.test);
    row.push_back(text::format("{:.1f}", e.images_per_second));
    row.push_back(duration(e.seconds));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string loss_caption(const TrainingData& training) {
  std::string caption =
      "Mean cross-entropy of the pictures of each split; without class weights ln 2 = 0.69 is a "
      "guess.";
  if (!training.config.value) return caption;
  for (const auto& [key, value] : *training.config.value) {
    if (key == "class-weights" && value != "none") {
      caption += text::format(
          " Those of train are multiplied by the class weights ({}), the others are not: the lines "
          "cannot be compared.",
          value);
    }
  }
  return caption;
}

void add_training(const TrainingData& training, const std::string& prefix, Section& section) {
  if (!training.title.empty()) {
    section.html += text::format("<h3>{}</h3>\n", plot::escaped(training.title));
  }
  if (!training.epochs.value) {
    section.html += missing("the learning curve", training.epochs.missing);
    return;
  }
  const std::vector<EpochMetrics>& epochs = *training.epochs.value;
  add_figures(
      section,
      {figure_of(prefix + "loss", "Loss per epoch", loss_caption(training), loss_plot(epochs)),
       figure_of(prefix + "accuracy", "Accuracy per epoch",
                 "Share of faces judged rightly at the threshold 0.5.", accuracy_plot(epochs))});
  const Table table = epochs_table(epochs);
  section.html += to_html(table);
}

}  // namespace

Section training_section(const RunData& run) {
  Section section{"training", "Training", {}, {}, {}};
  section.html += paragraph(
      "Training figures are taken while the weights still change, and batch norms use the batch's "
      "own statistics unless they are frozen with theirs; val and test are judged after the "
      "epoch.");
  for (size_t i = 0; i < run.trainings.size(); ++i) {
    const std::string prefix = run.trainings.size() > 1 ? text::format("task{}_", i + 1) : "";
    add_training(run.trainings[i], prefix, section);
  }
  return section;
}

}  // namespace verace::apps::report
