// The first section: what was run and what came out.
#include "apps/lib/plot/markup.h"
#include "apps/lib/report/html.h"
#include "kernels/format.h"

namespace verace::apps::report {
namespace {

struct Card {
  std::string value, what, note;
};

std::string card_html(const Card& card) {
  return text::format(
      "<div class='card'><span class='value'>{}</span><span class='what'>{}</span>"
      "<span class='note'>{}</span></div>\n",
      plot::escaped(card.value), plot::escaped(card.what), plot::escaped(card.note));
}

void add_accuracy(const RecordedEvaluation& e, const RecordedLevel& level, const std::string& what,
                  std::vector<Card>& cards) {
  if (!level.metrics.accuracy) return;
  const auto& interval = interval_of(level.intervals, &Metrics::accuracy);
  cards.push_back({percent(*level.metrics.accuracy),
                   text::format("of {} {} judged rightly", level.metrics.count, what),
                   interval && e.bootstrap ? text::format("{:g} % interval {:.1f} to {:.1f}\u00a0%",
                                                          100 * e.bootstrap->confidence,
                                                          100 * interval->low, 100 * interval->high)
                                           : "no interval"});
}

// Of all processes; empty without epochs.
std::optional<double> seconds_in_steps(const RunData& run) {
  const auto& epochs = run.trainings.back().epochs.value;
  if (!epochs) return std::nullopt;
  double seconds = 0;
  for (const EpochMetrics& epoch : *epochs) seconds += epoch.seconds;
  return seconds;
}

std::vector<Card> cards_of(const RunData& run) {
  std::vector<Card> cards;
  if (const auto& e = run.evaluation.value) {
    add_accuracy(*e, e->faces, "faces", cards);
    add_accuracy(*e, e->videos, "videos", cards);
    if (const auto& auc = e->faces.metrics.auc) {
      cards.push_back({text::format("{:.4f}", *auc), "area under the ROC curve, faces",
                       "0.5 is chance, 1 is perfect"});
    }
  }
  if (const auto& attack = run.attack.value; attack && !attack->other_network) {
    const AttackPoint& last = attack->points.back();
    cards.push_back({percent(last.accuracy),
                     text::format("left under attack, ε\u00a0=\u00a0{}", last.epsilon),
                     text::format("{} before it{}", percent(attack->accuracy_before),
                                  attack->stopped ? "; stopped, of a part of the pictures" : "")});
  }
  if (const auto& record = run.record.value) {
    const std::optional<double> steps = seconds_in_steps(run);
    const bool all = record->resumed && steps;  // then the record knows only the last process
    cards.push_back({duration(all ? *steps : record->seconds),
                     run.demo          ? "for all of it"
                     : all             ? "for the training steps of all processes"
                     : record->resumed ? "for the last process of this training"
                                       : "for this training",
                     text::format("{}, {} threads", record->device, record->threads)});
  }
  return cards;
}

Table facts_of(const RunData& run, const RunRecord& record) {
  Table table{"What was run", {}, {}, true};
  const auto add = [&table](const std::string& what, const std::string& which) {
    table.rows.push_back({what, which});
  };
  add("command", text::format("verace {}", record.kind));
  add("started", record.started + " (UTC)");
  add("time", duration(record.seconds) + (record.resumed ? ", the last process alone" : ""));
  add("seed", std::to_string(record.seed));
  if (!record.finished) add("state", "stopped before its end; verace train --resume goes on");
  const TrainingData& last = run.trainings.back();
  const std::string of = run.trainings.size() > 1 ? " of the second task" : "";
  if (const auto& epochs = last.epochs.value) {
    add("training steps" + of,
        text::format("{} in {} epochs", duration(*seconds_in_steps(run)), epochs->size()));
  }
  const auto& training = last.record.value;
  if (training && training->kind == "train") {
    add("pictures" + of,
        text::format("{} to learn from, {} in val, {} in test", training->train_pictures,
                     training->val_pictures, training->test_pictures));
    add("network", text::format("{:.2f} million parameters, {:.2f} million of them trained",
                                static_cast<double>(training->parameters) / 1e6,
                                static_cast<double>(training->trainable) / 1e6));
    add("epochs" + of,
        text::format("{}, {} steps{}", training->epochs, training->steps,
                     training->best_epoch > 0
                         ? text::format("; the best is epoch {}", training->best_epoch)
                         : "; none is finished yet"));
  }
  if (record.peak_memory > 0) {
    add("memory", text::format("{} at most", size_text(record.peak_memory)));
  }
  return table;
}

Figure stages_figure(const RunRecord& record) {
  Figure figure;
  figure.name = "stages";
  figure.title = "Time of the demonstration's parts";
  figure.caption = "Where the time went.";
  plot::BarPlot bars{"time of each part", {}};
  figure.csv = "part,seconds\n";
  for (const auto& [name, seconds] : record.stages) {
    bars.bars.push_back({name, seconds, duration(seconds)});
    figure.csv += text::format("{},{}\n", plot::csv_field(name), seconds);
  }
  figure.drawing = draw(bars);
  return figure;
}

}  // namespace

Section summary_section(const RunData& run) {
  Section section{"summary", "Summary", {}, {}, {}};
  const auto& record = run.record.value;
  if (record && record->synthetic) {
    section.html +=
        "<p class='synthetic'><strong>The faces are synthetic.</strong> This program drew them; "
        "they are no photographs. The figures say that the program works, not how well it "
        "recognises deep-fakes.</p>\n";
  }
  if (record && !record->judged_on_pseudo_fakes.empty()) {
    section.html += text::format(
        "<p class='synthetic'><strong>Judged on pseudo-fakes: {}.</strong> There were no fakes, so "
        "this program made some of the real faces. The figures say how well such are found, not "
        "how well the fakes of other makers are.</p>\n",
        plot::escaped(record->judged_on_pseudo_fakes));
  }
  if (record && record->quick) {
    section.html += paragraph(
        "A quick demonstration: fewer pictures and epochs than the full one, "
        "and a smaller accuracy.");
  }
  section.html += "<div class='cards'>\n";
  for (const Card& card : cards_of(run)) section.html += card_html(card);
  section.html += "</div>\n";
  if (!record) {
    section.html += missing("what was run, and how long it took", run.record.missing);
    return section;
  }
  const std::string facts = to_html(facts_of(run, *record));
  if (record->stages.empty()) {
    section.html += facts;
  } else {
    add_beside(section, stages_figure(*record), facts);
  }
  return section;
}

}  // namespace verace::apps::report
