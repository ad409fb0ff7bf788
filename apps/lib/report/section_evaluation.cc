// Figures of merit with intervals, confusion, ROC, precision-recall and reliability.
#include <algorithm>
#include <cmath>

#include "apps/lib/evaluation_report.h"
#include "apps/lib/plot/markup.h"
#include "apps/lib/report/html.h"
#include "kernels/format.h"

namespace verace::apps::report {
namespace {

std::string interval_text(const std::optional<Interval>& interval, bool as_percent) {
  if (!interval) return "–";
  return as_percent ? text::format("{:.2f} to {:.2f} %", 100 * interval->low, 100 * interval->high)
                    : text::format("{:.4f} to {:.4f}", interval->low, interval->high);
}

Table metrics_table(const RecordedEvaluation& e) {
  const std::string interval =
      e.bootstrap ? text::format("{:g} % interval", 100 * e.bootstrap->confidence) : "interval";
  Table table{"Figures of merit", {"", "faces", interval, "videos", interval}, {}, false};
  for (size_t i = 0; i < kFigures.size(); ++i) {
    const auto& figure = kFigures[i];
    std::vector<std::string> row = {figure.title};
    for (const RecordedLevel* level : {&e.faces, &e.videos}) {
      const std::optional<double>& value = level->metrics.*figure.member;
      row.push_back(value ? figure_text(*value, figure.percent) : "undefined");
      row.push_back(interval_text(level->intervals[i], figure.percent));
    }
    table.rows.push_back(std::move(row));
  }
  table.rows.push_back({"number", std::to_string(e.faces.metrics.count), "",
                        std::to_string(e.videos.metrics.count), ""});
  return table;
}

std::string metrics_csv(const RecordedEvaluation& e) {
  std::string csv = "level,figure,value,low,high\n";
  const auto field = [](const std::optional<double>& value) {
    return value ? text::format("{}", *value) : "";
  };
  for (const auto& [name, level] : {std::pair("faces", &e.faces), std::pair("videos", &e.videos)}) {
    for (size_t i = 0; i < kFigures.size(); ++i) {
      const auto& interval = level->intervals[i];
      csv += text::format("{},{},{},{},{}\n", name, kFigures[i].key,
                          field(level->metrics.*kFigures[i].member),
                          interval ? text::format("{}", interval->low) : "",
                          interval ? text::format("{}", interval->high) : "");
    }
  }
  return csv;
}

Figure confusion_figure(const std::string& level, const RecordedLevel& data, double threshold) {
  const Confusion& c = data.metrics.confusion;
  plot::Matrix matrix;
  matrix.title = text::format("{}, fake above {:.4g}", level, threshold);
  matrix.rows_title = "truth";
  matrix.columns_title = "verdict";
  matrix.rows = {"real", "fake"};
  matrix.columns = {"said real", "said fake"};
  std::string csv = "truth,said_real,said_fake\n";
  for (size_t truth = 0; truth < 2; ++truth) {
    matrix.counts.push_back({c[truth][0], c[truth][1]});
    csv += text::format("{},{},{}\n", matrix.rows[truth], c[truth][0], c[truth][1]);
  }
  return {"confusion_" + level, "Confusion matrix of " + level,
          text::format("Verdicts about {} {}, by what they are.", data.metrics.count, level),
          draw(matrix), csv};
}

double share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : NAN;
}

// Both levels' curves, the rings where the thresholds put the verdicts, and what chance gives.
template <typename Points>
plot::Plot curves_plot(const RecordedEvaluation& e, Points points) {
  plot::Plot plot;
  const struct {
    const char* name;
    const RecordedLevel& data;
    double threshold;
    int style;
  } levels[] = {{"faces", e.faces, e.faces_threshold, 0},
                {"videos", e.videos, e.videos_threshold, 1}};
  for (const auto& level : levels) {
    plot::Line line{level.name, level.style, {}};
    const plot::Point at = points(level.data, line.points);
    plot.lines.push_back(std::move(line));
    if (std::isfinite(at.x) && std::isfinite(at.y)) {
      plot.marks.push_back(
          {text::format("{}, above {:.4g}", level.name, level.threshold), at, level.style});
    }
  }
  return plot;
}

Figure roc_figure(const RecordedEvaluation& e) {
  plot::Plot plot = curves_plot(e, [](const RecordedLevel& level, std::vector<plot::Point>& line) {
    for (const RocPoint& p : level.curves.roc) {
      line.push_back({p.false_positive_rate, p.true_positive_rate});
    }
    const Confusion& c = level.metrics.confusion;
    return plot::Point{share(c[0][1], c[0][0] + c[0][1]), share(c[1][1], c[1][0] + c[1][1])};
  });
  plot.title = "ROC";
  plot.x = plot::share_axis("real called fake (FPR)");
  plot.y = plot::share_axis("fakes found (TPR)");
  plot.lines.push_back({"chance", 4, {{0, 0}, {1, 1}}});
  return {"roc", "ROC curve of faces and videos",
          "How many fakes are found for how many false alarms, over all thresholds. The rings are "
          "the thresholds that the verdicts go by.",
          draw(plot), roc_csv(e.faces.curves, e.videos.curves)};
}

Figure precision_recall_figure(const RecordedEvaluation& e) {
  plot::Plot plot = curves_plot(e, [](const RecordedLevel& level, std::vector<plot::Point>& line) {
    for (const PrecisionRecallPoint& p : level.curves.precision_recall) {
      line.push_back({p.recall, p.precision});
    }
    const Confusion& c = level.metrics.confusion;
    return plot::Point{share(c[1][1], c[1][0] + c[1][1]), share(c[1][1], c[0][1] + c[1][1])};
  });
  plot.title = "precision and recall";
  plot.x = plot::share_axis("fakes found (recall)");
  plot.y = plot::share_axis("right among called fake");
  const Confusion& c = e.faces.metrics.confusion;
  const double prevalence = share(c[1][0] + c[1][1], e.faces.metrics.count);
  if (std::isfinite(prevalence)) {
    plot.lines.push_back({"chance, faces", 4, {{0, prevalence}, {1, prevalence}}});
  }
  return {"precision_recall", "Precision-recall curve of faces and videos",
          "How many of those called fake are fake, for how many of the fakes are found.",
          draw(plot), precision_recall_csv(e.faces.curves, e.videos.curves)};
}

Figure reliability_figure(const RecordedEvaluation& e) {
  plot::Plot plot;
  plot.title = "reliability, faces";
  plot.x = {"confidence", 0.5, 1, 0.1};
  plot.y = plot::share_axis("likelier class is right");
  plot::Line points{"mean of a bin", 0, {}, true};
  for (const ReliabilityBin& bin : e.faces.curves.reliability) {
    if (!bin.accuracy || !bin.confidence || bin.upper <= 0.5) continue;
    plot.blocks.push_back({std::max(bin.lower, 0.5), 0, bin.upper, *bin.accuracy, 0,
                           text::format("{} faces", bin.count)});
    points.points.push_back({*bin.confidence, *bin.accuracy});
  }
  plot.lines.push_back(std::move(points));
  plot.lines.push_back({"perfectly calibrated", 4, {{0.5, 0.5}, {1, 1}}});
  return {"reliability", "Reliability diagram of faces",
          "How often the likelier class is the right one, by the probability that the network gave "
          "it, its confidence; the threshold plays no part. Below the line the network is too sure "
          "of itself.",
          draw(plot), reliability_csv(e.faces.curves, e.videos.curves)};
}

std::string threshold_text(const RecordedEvaluation& e) {
  std::string text =
      e.faces_threshold == e.videos_threshold
          ? text::format("Fake is what has a probability above {:.4g}", e.faces_threshold)
          : text::format("A face is called fake above {:.4g}, a video above {:.4g}",
                         e.faces_threshold, e.videos_threshold);
  if (e.threshold_source == "model") {
    text += text::format(
        ": the model's own threshold, chosen on {} for a false-positive rate of at most {:.4g}",
        e.threshold_split, e.threshold_rate.value_or(0));
  } else if (e.threshold_source == "default") {
    text += " (the default)";
  }
  return text + ".";
}

// The best epoch is the best one on val, or on test where there is no val.
bool split_chose_epoch(const RunData& run) {
  const auto& epochs = run.trainings.back().epochs.value;
  if (!epochs || epochs->size() < 2) return false;  // or there was no choice
  const bool val =
      std::ranges::any_of(*epochs, [](const EpochMetrics& e) { return e.val.has_value(); });
  return run.evaluation.value->split == (val ? "val" : "test");
}

}  // namespace

Section evaluation_section(const RunData& run) {
  Section section{"evaluation", "Evaluation", {}, {}, {}};
  if (!run.evaluation.value) {
    section.html = missing("the figures of merit", run.evaluation.missing);
    return section;
  }
  const RecordedEvaluation& e = *run.evaluation.value;
  section.html += paragraph(text::format(
      "Judged on the {} split. {} A video is judged by the mean of its faces. Positive means fake.",
      e.split, threshold_text(e)));
  if (split_chose_epoch(run)) {
    section.html += text::format(
        "<p class='missing'><strong>Optimistic.</strong> The best epoch was chosen by the same "
        "pictures, the {} split: on pictures that nobody has looked at yet, expect less.</p>\n",
        plot::escaped(e.split));
  }
  section.html += to_html(metrics_table(e));
  section.tables.emplace_back("metrics", metrics_csv(e));
  if (e.bootstrap) {
    section.html += paragraph(text::format(
        "Intervals: {:g} % percentile bootstrap, {} resamples of whole videos, real and fake apart "
        "(seed {}).",
        100 * e.bootstrap->confidence, e.bootstrap->resamples, e.bootstrap->seed));
  }
  for (const RecordedLevel* level : {&e.faces, &e.videos}) {
    const std::string reason = undefined_reason(level->metrics);
    if (!reason.empty()) section.html += missing("some figures", reason);
  }
  if (e.broken > 0) {
    section.html += paragraph(text::format("{} pictures could not be read.", e.broken));
  }
  add_figures(section, {roc_figure(e), precision_recall_figure(e), reliability_figure(e),
                        confusion_figure("faces", e.faces, e.faces_threshold),
                        confusion_figure("videos", e.videos, e.videos_threshold)});
  return section;
}

}  // namespace verace::apps::report
