// The figures of a report and the numbers beside them are those of the run.
#include <algorithm>
#include <cmath>

#include "tests/apps/report_support.h"
#include "tests/support/xml.h"

namespace verace::apps::report_figures_test {
namespace {

using test::contains;
using test::parse_xml;
using test::TempFolder;
using test::XmlDocument;
using test::XmlElement;
using Rows = std::vector<std::vector<std::string>>;

double number(const std::string& text) { return std::stod(text); }

// The values of an axis' ticks are where they are drawn: a straight line from place to value.
struct Scale {
  double place0 = 0, value0 = 0, slope = 0;
  double value(double place) const { return value0 + (place - place0) * slope; }
};
Scale scale_of(const XmlDocument& svg, bool x) {
  std::vector<const XmlElement*> ticks = svg.all("text", x ? "x" : "y");
  REQUIRE(ticks.size() >= 2);
  const auto place = [&](const XmlElement* e) {
    return x ? number((*e)["x"]) : number((*e)["y"]) - 4;
  };
  const double first = number(ticks.front()->text), last = number(ticks.back()->text);
  return {place(ticks.front()), first,
          (last - first) / (place(ticks.back()) - place(ticks.front()))};
}

TEST_CASE("every figure is a well-formed SVG file with its numbers beside it") {
  const TempFolder temp;
  write_known_run(temp / "run");
  const std::string html = reported(temp / "run");
  int figures = 0;
  for (const auto& entry : fs::directory_iterator(temp / "run/figures")) {
    INFO(entry.path().string());
    if (entry.path().extension() != ".svg") continue;
    ++figures;
    const std::string svg = read_text(entry.path());
    CHECK(parse_xml(svg).error == "");
    CHECK(contains(svg, "http://www.w3.org/2000/svg"));
    fs::path csv = entry.path();
    CHECK(fs::file_size(csv.replace_extension(".csv")) > 10);
    CHECK(contains(html, "figures/" + csv.filename().string()));
  }
  CHECK(figures == 14);
}

TEST_CASE("the files of figures hold the numbers of the run") {
  const TempFolder temp;
  const fs::path run = temp / "run", figures = run / "figures";
  write_known_run(run);
  reported(run);
  const auto epochs = known_epochs();
  const Rows loss = csv_rows(figures / "loss.csv"), accuracy = csv_rows(figures / "accuracy.csv");
  REQUIRE(loss.size() == 4);
  CHECK(loss[0] == std::vector<std::string>{"epoch", "train", "test"});
  for (size_t i = 0; i < 3; ++i) {
    CHECK(number(loss[i + 1][0]) == epochs[i].epoch);
    CHECK(number(loss[i + 1][1]) == epochs[i].train_loss);
    CHECK(number(loss[i + 1][2]) == epochs[i].test->loss);
    CHECK(number(accuracy[i + 1][1]) == epochs[i].train_accuracy);
    CHECK(number(accuracy[i + 1][2]) == epochs[i].test->accuracy);
  }
  // Counted by hand from known_evaluation() and its thresholds, 0.7 and 0.55.
  CHECK(csv_rows(figures / "confusion_faces.csv") ==
        Rows{{"truth", "said_real", "said_fake"}, {"real", "3", "1"}, {"fake", "2", "2"}});
  CHECK(csv_rows(figures / "confusion_videos.csv") ==
        Rows{{"truth", "said_real", "said_fake"}, {"real", "1", "1"}, {"fake", "0", "2"}});
  const Evaluation e = known_evaluation();
  for (const auto& row : csv_rows(figures / "metrics.csv")) {
    if (row[0] == "level") continue;
    const Metrics& metrics = row[0] == "faces" ? e.faces : e.videos;
    const Intervals& intervals = row[0] == "faces" ? e.intervals->faces : e.intervals->videos;
    for (size_t i = 0; i < kFigures.size(); ++i) {
      if (row[1] != kFigures[i].key) continue;
      CHECK(number(row[2]) == metrics.*kFigures[i].member);
      CHECK(number(row[3]) == intervals[i]->low);
      CHECK(number(row[4]) == intervals[i]->high);
    }
  }
  CHECK(csv_rows(figures / "metrics.csv").size() == 15);
  CHECK(read_text(figures / "roc.csv") == roc_csv(face_curves(e), video_curves(e)));
  CHECK(read_text(figures / "precision_recall.csv") ==
        precision_recall_csv(face_curves(e), video_curves(e)));
  CHECK(read_text(figures / "reliability.csv") == reliability_csv(face_curves(e), video_curves(e)));
  CHECK(csv_rows(figures / "gallery.csv") ==
        Rows{{"picture", "truth", "fake_probability_before", "fake_probability_after"},
             {"one.png", "real", "0.2", "0.56"},
             {"two.png", "fake", "0.8", "0.56"}});
}

TEST_CASE("the curve over epsilon goes from small to large, and begins at what was before") {
  const TempFolder temp;
  write_known_run(temp / "run");
  const std::string html = reported(temp / "run");
  const Rows rows = csv_rows(temp / "run/figures/attack.csv");
  CHECK(rows == Rows{{"epsilon", "accuracy", "accuracy_8bit", "mse"},
                     {"0", "0.9", "0.9", "0"},
                     {"0.01", "0.8", "0.81", "0.0001"},
                     {"0.02", "0.3", "0.31", "0.0004"},
                     {"0.05", "0.1", "0.11", "0.0025"}});
  const XmlDocument svg = parse_xml(read_text(temp / "run/figures/attack.svg"));
  double x = 0, y = 0;
  for (const XmlElement* dot : svg.all("circle", "d0")) {
    CHECK(number((*dot)["cx"]) > x);
    CHECK(number((*dot)["cy"]) > y);  // downwards: accuracy falls
    x = number((*dot)["cx"]);
    y = number((*dot)["cy"]);
  }
  CHECK(svg.all("circle", "d0").size() == 4);
  // The smallest epsilon that turned half of the right verdicts: 0.02, stored as 5 levels.
  CHECK(contains(html, "ε = 0.02 (at most 5 of 255"));
  CHECK(contains(html, "25 times as large"));
  CHECK(contains(html, "10.0 %</span><span class='what'>left under attack, ε\u00a0=\u00a00.05"));
}

TEST_CASE("the rings of ROC and precision-recall stand where the thresholds put the verdicts") {
  const TempFolder temp;
  write_known_run(temp / "run");
  reported(temp / "run");
  const auto ring = [&](const char* file, const char* css) {
    const XmlDocument svg = parse_xml(read_text(temp / "run/figures" / file));
    const Scale x = scale_of(svg, true), y = scale_of(svg, false);
    std::vector<plot::Point> rings;
    for (const XmlElement* e : svg.all("circle", css)) {
      if ((*e)["r"] != "6") continue;  // of the legend
      rings.push_back({x.value(number((*e)["cx"])), y.value(number((*e)["cy"]))});
    }
    REQUIRE(rings.size() == 1);
    return rings.front();
  };
  const auto close = [](double a, double b) { return std::abs(a - b) < 0.002; };  // of the drawing
  const plot::Point faces = ring("roc.svg", "m0"), videos = ring("roc.svg", "m1");
  CHECK(close(faces.x, 0.25));
  CHECK(close(faces.y, 0.5));
  CHECK(close(videos.x, 0.5));
  CHECK(close(videos.y, 1));
  const plot::Point precision = ring("precision_recall.svg", "m0");
  CHECK(close(precision.x, 0.5));      // recall
  CHECK(close(precision.y, 2.0 / 3));  // of three called fake two are
  CHECK(contains(read_text(temp / "run/figures/precision_recall.svg"), ">chance, faces<"));
}

TEST_CASE("the reliability diagram is of the likelier class, whatever the threshold") {
  const TempFolder temp;
  write_known_run(temp / "run");  // by the thresholds 0.7 and 0.55
  const std::string html = reported(temp / "run");
  // Two fakes of confidence 0.6, one with 0.6 and one with 0.4 for fake: by 0.7 both are called
  // real, but fake is the likelier class of the first.
  const XmlDocument svg = parse_xml(read_text(temp / "run/figures/reliability.svg"));
  const Scale x = scale_of(svg, true), y = scale_of(svg, false);
  int found = 0;
  for (const XmlElement* dot : svg.all("circle", "d0")) {
    if (std::abs(x.value(number((*dot)["cx"])) - 0.6) > 0.002) continue;
    ++found;
    CHECK(std::abs(y.value(number((*dot)["cy"])) - 0.5) < 0.002);
  }
  CHECK(found == 1);
  CHECK(contains(html, "How often the likelier class is the right one"));
  CHECK(contains(html, "the threshold plays no part"));
  CHECK(contains(read_text(temp / "run/figures/reliability.svg"), "likelier class is right"));
}

TEST_CASE("the rows of the confusion matrix are the truth") {
  const TempFolder temp;
  write_known_run(temp / "run");
  reported(temp / "run");
  const XmlDocument svg = parse_xml(read_text(temp / "run/figures/confusion_faces.svg"));
  const auto counts = svg.all("text", "count");
  REQUIRE(counts.size() == 4);
  const auto place = [](const XmlElement* e, const char* axis) { return number((*e)[axis]); };
  // real said real, real said fake, fake said real, fake said fake
  const char* expected[] = {"3", "1", "2", "2"};
  for (size_t i = 0; i < 4; ++i) CHECK(counts[i]->text == expected[i]);
  CHECK(place(counts[0], "x") < place(counts[1], "x"));
  CHECK(place(counts[0], "y") == place(counts[1], "y"));
  CHECK(place(counts[0], "y") < place(counts[2], "y"));
  const auto labels = svg.all("text", "y");
  REQUIRE(labels.size() == 2);
  CHECK(labels[0]->text == "real");
  CHECK(place(labels[0], "y") < place(labels[1], "y"));
}

TEST_CASE("times and memory are those of the profile") {
  const TempFolder temp;
  const fs::path figures = temp / "run/figures";
  write_known_run(temp / "run");
  const std::string html = reported(temp / "run");
  CHECK(csv_rows(figures / "time_training.csv") ==
        Rows{{"operation", "calls", "milliseconds", "flops"},
             {"conv forward", "2", "3", "6000000"},
             {"relu", "1", "0.5", "0"}});
  CHECK(csv_rows(figures / "memory_use_training.csv") == Rows{{"operation", "name", "living_bytes"},
                                                              {"0", "a forward", "6000000"},
                                                              {"1", "b forward", "6000000"},
                                                              {"2", "a backward", "5000000"}});
  CHECK(csv_rows(figures / "memory_map_training.csv") ==
        Rows{{"buffer", "bytes", "offset", "first", "last"},
             {"x", "2000000", "0", "0", "3"},
             {"y", "4000000", "2000000", "0", "1"},
             {"z", "3000000", "2000000", "2", "2"}});
  CHECK(contains(html, "4 pictures, 3 operations, 3.50 ms: 1142.9 pictures/s"));
  CHECK(contains(html, "<td>85.7 %</td><td>2.0</td>"));  // 3 of 3.5 ms, 6 MFLOP in 3 ms
  CHECK(contains(html, "<td>6.00 MB</td>"));
  CHECK(contains(html, "<td>9.00 MB</td>"));
  // Rectangles: y and z have the same place and different times.
  const XmlDocument svg = parse_xml(read_text(figures / "memory_map_training.svg"));
  std::vector<const XmlElement*> blocks;
  for (const XmlElement& e : svg.elements) {
    if (e.name == "rect" && e["class"].starts_with("b")) blocks.push_back(&e);
  }
  REQUIRE(blocks.size() == 3);
  const auto edge = [&](size_t i, const char* name) { return number((*blocks[i])[name]); };
  CHECK(edge(1, "x") + edge(1, "width") <= edge(2, "x") + 0.02);
  CHECK(std::abs(edge(1, "y") + edge(1, "height") - edge(2, "y") - edge(2, "height")) < 0.02);
  CHECK(edge(0, "y") > edge(1, "y"));  // x lies at the bottom
}

}  // namespace
}  // namespace verace::apps::report_figures_test
