// The attack: accuracy over epsilon, and a gallery of pictures before and after.
#include <algorithm>

#include "apps/lib/metrics.h"
#include "apps/lib/plot/markup.h"
#include "apps/lib/report/html.h"
#include "apps/lib/report/pictures.h"
#include "data/dataset.h"
#include "kernels/format.h"

namespace verace::apps::report {
namespace {

Figure epsilon_figure(const AttackData& attack) {
  plot::Line exact{"as computed", 0, {{0, attack.accuracy_before}}, true};
  plot::Line stored{"stored with 8 bits", 1, {{0, attack.accuracy_before}}, true};
  std::string csv =
      text::format("epsilon,accuracy,accuracy_8bit,mse\n0,{0},{0},0\n", attack.accuracy_before);
  std::vector<double> epsilons = {0};
  for (const AttackPoint& p : attack.points) {
    if (p.epsilon == 0) continue;
    exact.points.push_back({p.epsilon, p.accuracy});
    stored.points.push_back({p.epsilon, p.accuracy_8bit});
    epsilons.push_back(p.epsilon);
    csv += text::format("{},{},{},{}\n", p.epsilon, p.accuracy, p.accuracy_8bit, p.mse);
  }
  plot::Plot plot;
  plot.title = "accuracy under attack";
  plot.x = plot::axis_of("ε, the largest change of a pixel in [0, 1]", epsilons, true);
  plot.y = plot::share_axis("accuracy", true);
  plot.lines = {exact, stored};
  return {"attack", "Accuracy over epsilon",
          "Accuracy that is left when every picture is changed against the network. At 0 nothing "
          "is changed.",
          draw(plot), csv};
}

Table epsilon_table(const AttackData& attack) {
  Table table{"Accuracy for each epsilon",
              {"ε", "in 255ths", "accuracy", "stored with 8 bits", "mean squared change"},
              {},
              false};
  for (const AttackPoint& p : attack.points) {
    table.rows.push_back({text::format("{}", p.epsilon), text::format("{:.2f}", 255 * p.epsilon),
                          percent(p.accuracy), percent(p.accuracy_8bit),
                          text::format("{:.3g}", p.mse)});
  }
  return table;
}

// One picture with two lines below it.
std::string picture_html(const std::string& uri, const std::string& alt, const std::string& what,
                         const std::string& said, const std::string& more, const char* css) {
  return text::format(
      "<figure class='picture {}'><img src='{}' alt='{}'/><figcaption><b>{}</b>"
      "<span class='said'>{}</span><span>{}</span></figcaption></figure>\n",
      css, uri, plot::escaped(alt), plot::escaped(what), plot::escaped(said), plot::escaped(more));
}

// Before or after: the picture and what the network says of it.
std::string judged_html(const data::Image& picture, const std::string& when, bool truth,
                        double probability) {
  const bool said = is_fake(probability), right = said == truth;
  return picture_html(picture_uri(picture),
                      text::format("{} face {} the attack", data::kClassNames[truth], when),
                      text::format("{}, {}", data::kClassNames[truth], when),
                      text::format("said {}{}", data::kClassNames[said], right ? "" : ": wrong"),
                      text::format("fake: {}", percent(probability)), right ? "right" : "wrong");
}

std::string row_html(const AttackedPicture& p, int factor) {
  const bool truth = p.label == data::kFake;
  return "<div class='attacked'>\n" + judged_html(p.before, "before", truth, p.probability_before) +
         picture_html(picture_uri(amplified_change(p.before, p.after, factor)),
                      text::format("the change, amplified {} times", factor), "the change",
                      text::format("× {}", factor), "around grey", "change") +
         judged_html(p.after, "after", truth, p.probability_after) + "</div>\n";
}

// "the test split", for a sentence.
std::string pictures_of(const AttackData& attack) {
  return attack.split.empty() ? "the data" : text::format("the {} split", attack.split);
}

void add_gallery(const AttackData& attack, Section& section) {
  section.html += "<h3>Gallery</h3>\n";
  if (!attack.gallery_missing.empty()) {
    section.html += missing("pictures of the gallery", attack.gallery_missing);
  }
  if (attack.gallery.empty()) return;
  int largest = 0;
  for (const AttackedPicture& p : attack.gallery) {
    largest = std::max(largest, largest_change(p.before, p.after));
  }
  const int factor = largest > 0 ? std::max(1, 127 / largest) : 1;
  const std::string change =
      largest > 0 ? text::format(
                        "at most {} of 255 grey levels as stored). In the middle the "
                        "change, {} times as large as it is, around grey.",
                        largest, factor)
                  : "less than half of a grey level: as stored they are the same).";
  section.html += paragraph(text::format(
      "The first pictures of {}, real and fake, each of another video, whatever became "
      "of them; ε = {} ({} Below a picture: the verdict, and the probability of being fake.",
      pictures_of(attack), attack.gallery_epsilon, change));
  section.html += "<div class='gallery'>\n";
  std::string csv = "picture,truth,fake_probability_before,fake_probability_after\n";
  for (const AttackedPicture& p : attack.gallery) {
    section.html += row_html(p, factor);
    csv += text::format("{},{},{},{}\n", plot::csv_field(p.name),
                        data::kClassNames[p.label == data::kFake], p.probability_before,
                        p.probability_after);
  }
  section.html += "</div>\n";
  section.tables.emplace_back("gallery", csv);
}

}  // namespace

Section attack_section(const RunData& run) {
  Section section{"attack", "Attack", {}, {}, {}};
  if (!run.attack.value) {
    section.html = missing(
        "the attack",
        text::format("{}. verace attack fgsm --out RUN/attack makes it.", run.attack.missing));
    return section;
  }
  const AttackData& attack = *run.attack.value;
  section.html += paragraph(
      text::format("Fast gradient sign method on {} pictures of {}: each pixel moves by ε in "
                   "the direction that raises "
                   "the loss. Judged at 0.5, whatever threshold the model holds.",
                   attack.count, pictures_of(attack)));
  if (attack.stopped) {
    section.html += text::format(
        "<p class='missing'><strong>Stopped.</strong> The attack was stopped before its end: these "
        "are the first {} pictures alone.</p>\n",
        attack.count);
  }
  if (attack.other_network) {
    section.html +=
        "<p class='missing'><strong>Another network.</strong> The attack was on other weights than "
        "those of this run's best.safetensors, which may have been trained further since.</p>\n";
  }
  if (attack.unknown_network) {
    section.html += paragraph(
        "Whether it was on this run's network cannot be told: that network or the attack's mark of "
        "it is not in the folder.");
  }
  add_beside(section, epsilon_figure(attack), to_html(epsilon_table(attack)));
  add_gallery(attack, section);
  return section;
}

}  // namespace verace::apps::report
