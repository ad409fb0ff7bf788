// The report of a run: well-formed, complete, with the run's own numbers, and honest about what is
// missing.
#include "apps/lib/report/report.h"

#include <algorithm>
#include <cmath>

#include "apps/lib/report/pictures.h"
#include "tests/apps/report_support.h"
#include "tests/support/random.h"
#include "tests/support/xml.h"

namespace verace::apps {
namespace {

using test::contains;
using test::input_error;
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

TEST_CASE("the checker of XML finds what is not well-formed") {
  CHECK(parse_xml("<a b='c'>x &lt; y<d/></a>").error.empty());
  CHECK(parse_xml("<a b='c'>x &lt; y<d/></a>").elements[0].text == "x < y");
  for (const char* bad : {"<a>", "<a></b>", "<a b=c/>", "<a b='<'/>", "<a>&nbsp;</a>", "<a>&</a>",
                          "<a/><b/>", "x", "<a b='1' b='2'/>", "<a id='x'><b id='x'/></a>",
                          "<a>\xff</a>", "<a>\x01</a>", "<a>\xc3</a>", "<a b='1'c='2'/>", ""}) {
    INFO(std::string(bad));
    CHECK_FALSE(parse_xml(bad).error.empty());
  }
}

TEST_CASE("the page is well-formed, needs nothing from outside and has every section") {
  const TempFolder temp;
  write_known_run(temp / "run");
  const std::string html = reported(temp / "run");
  const XmlDocument page = parse_xml(html);
  CHECK(page.error == "");
  CHECK(html.size() < 1'000'000);
  CHECK_FALSE(html.find("<script") != std::string::npos);
  CHECK(html.find("Missing") == std::string::npos);
  for (const XmlElement& e : page.elements) {
    INFO(e.name);
    if (e.name == "img") CHECK(e["src"].starts_with("data:image/"));
    if (e.name == "img") CHECK_FALSE(e["alt"].empty());
    CHECK_FALSE(e.name == "link");
    if (e.name != "html") CHECK(e["xmlns"].empty());
    if (!e["href"].empty()) CHECK(e["href"].starts_with("#"));
  }
  CHECK(html.find("url(") == std::string::npos);
  CHECK(html.find("@import") == std::string::npos);
  CHECK(page.all("img").size() == 6);
  std::vector<std::string> sections;
  for (const XmlElement* e : page.all("h2")) sections.push_back(e->text);
  CHECK(sections == std::vector<std::string>{"Summary", "Training", "Evaluation", "Attack",
                                             "Time per operation", "Memory",
                                             "Settings and machine"});
  // Every plot is named for those who cannot see it.
  const auto plots = page.all("svg");
  CHECK(plots.size() == 14);
  for (const XmlElement* plot : plots) {
    CHECK((*plot)["role"] == "img");
    const std::string label = (*plot)["aria-labelledby"];
    const auto titles = page.all("title");
    const bool named = std::ranges::any_of(titles, [&](const XmlElement* title) {
      return (*title)["id"] == label && !title->text.empty();
    });
    CHECK_MESSAGE(named, label);
  }
  // What lies where on this disc is nobody's business.
  CHECK(html.find("private") == std::string::npos);
  CHECK(contains(html, "verace train --data faces"));
  CHECK(contains(html, "faces.csv"));
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

TEST_CASE("hostile names and labels stay text") {
  const TempFolder temp;
  const std::string hostile = "<script>alert(1)</script>\"&'\xff\xc3\x28 \x1b[2J\xe2\x80\xae";
  std::string name = hostile;
  std::erase(name, '/');
  const fs::path run = temp / name;
  write_known_run(run);
  RunRecord record = known_record();
  record.command.push_back(hostile);
  record.environment.emplace_back(hostile, hostile);
  record.stages.emplace_back(hostile, 1);
  record.device = hostile;
  record.started = hostile;
  write_text(run / "run.json", run_record_json(record));
  write_text(run / "config.toml", "data = \"" + hostile + "\"\n" + hostile + " = 1\n");
  Profile profile = known_profile();
  profile.training->operations[0].name = profile.training->operations[0].kind = hostile;
  profile.training->buffers[0].name = hostile;
  write_text(run / "profile.json", profile_json(profile));
  write_text(run / "evaluation.json", evaluation_record_json(known_evaluation(), hostile, hostile));
  nlohmann::json attack = nlohmann::json::parse(read_text(run / "attack/attack.json"));
  attack["pictures"][0]["path"] = "<script>\"&'";
  write_text(run / "attack/attack.json", attack.dump());
  const std::string html = reported(run);
  const XmlDocument page = parse_xml(html);
  CHECK(page.error == "");
  CHECK(page.all("script").empty());
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find('\x1b') == std::string::npos);
  CHECK(html.find("\xe2\x80\xae") == std::string::npos);
  CHECK(contains(html, "&lt;script&gt;alert(1)"));
  CHECK(contains(html, "\xef\xbf\xbd("));
  for (const auto& entry : fs::directory_iterator(run / "figures")) {
    INFO(entry.path().string());
    const std::string text = read_text(entry.path());
    if (entry.path().extension() == ".svg") CHECK(parse_xml(text).error == "");
    CHECK(text.find('\xff') == std::string::npos);
  }
  CHECK(contains(read_text(run / "figures/gallery.csv"), "\"<script>\"\"&'\",real"));
}

TEST_CASE("what is missing or damaged is named, and the rest is there") {
  const TempFolder temp;
  const struct {
    const char *file, *section;
  } parts[] = {{"metrics.jsonl", "Missing: the learning curve"},
               {"config.toml", "Missing: Settings of the training"},
               {"run.json", "Missing: what was run"},
               {"evaluation.json", "Missing: the figures of merit"},
               {"profile.json", "Missing: times"},
               {"attack/attack.json", "Missing: the attack"},
               {"attack/before/0.png", "Missing: pictures of the gallery"}};
  int i = 0;
  for (const auto& part : parts) {
    const std::string file = part.file, name = fs::path(file).filename().string();
    for (const char* content : {"", "{", "[]", "{\"version\":1}", "{\"version\":2}", "absent"}) {
      INFO(file, " ", std::string(content));
      const fs::path run = temp / std::to_string(i++);
      write_known_run(run);
      if (std::string(content) == "absent") {
        fs::remove(run / file);
      } else {
        write_text(run / file, content);
      }
      const std::string html = reported(run);
      CHECK(parse_xml(html).error == "");
      CHECK(contains(html, part.section));
      if (!file.ends_with(".png")) {
        const size_t at = html.find(part.section);
        CHECK(html.substr(at, 400).find(name) != std::string::npos);
      }
      if (file != "run.json") CHECK(contains(html, "1 min 15 s"));
      if (file != "evaluation.json") CHECK(contains(html, "of 8 faces judged rightly"));
    }
  }
}

TEST_CASE("wrong kinds of values in the files of a run never end the report") {
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  for (const char* file : {"run.json", "evaluation.json", "profile.json", "attack/attack.json"}) {
    const std::string good = read_text(run / file);
    const nlohmann::json parsed = nlohmann::json::parse(good);
    const nlohmann::json flat = parsed.flatten();
    for (const auto& [key, value] : flat.items()) {
      for (const nlohmann::json& bad :
           {nlohmann::json(-1), nlohmann::json("x"), nlohmann::json(1e300), nlohmann::json(),
            nlohmann::json::object(), nlohmann::json(int64_t{1} << 62)}) {
        nlohmann::json changed = parsed;
        changed[nlohmann::json::json_pointer(key)] = bad;
        write_text(run / file, changed.dump());
        INFO(std::string(file), " ", key, " ", bad.dump());
        report::RunData data;
        CHECK_NOTHROW(data = report::read_run(run));
        std::vector<report::Section> sections;
        CHECK_NOTHROW(sections = report::sections_of(data));
        CHECK(parse_xml(report::page(data, sections)).error == "");
      }
    }
    write_text(run / file, good);
  }
}

TEST_CASE("a gallery shows no pictures from outside of its folder") {
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  data::write_png(temp / "secret.png", {8, 8, std::vector<uint8_t>(8 * 8 * 3, 1)});
  for (const std::string& name : {std::string("../../secret.png"), (temp / "secret.png").string(),
                                  std::string("before/../../../secret.png")}) {
    nlohmann::json attack = nlohmann::json::parse(read_text(run / "attack/attack.json"));
    attack["gallery"][0]["before"] = name;
    write_text(run / "attack/attack.json", attack.dump());
    const std::string html = reported(run);
    INFO(name);
    CHECK(contains(html, "outside of the folder"));
    CHECK(parse_xml(html).all("img").size() == 3);
  }
}

TEST_CASE("equal runs give equal reports; figures of an earlier report go, other files stay") {
  const TempFolder temp;
  const fs::path run = temp / "run", out = temp / "out";
  write_known_run(run);
  report::write_report(run, out);
  const std::string first = read_text(out / "report.html");
  report::write_report(run, out);
  CHECK(read_text(out / "report.html") == first);
  CHECK_FALSE(fs::exists(run / "report.html"));
  write_text(out / "figures/notes.txt", "mine");
  fs::remove(run / "attack/attack.json");
  report::write_report(run, out);
  CHECK_FALSE(fs::exists(out / "figures/attack.svg"));
  CHECK_FALSE(fs::exists(out / "figures/gallery.csv"));
  CHECK(fs::exists(out / "figures/roc.svg"));
  CHECK(read_text(out / "figures/notes.txt") == "mine");
}

TEST_CASE("a demonstration says that its faces are synthetic, and shows both trainings") {
  const TempFolder temp;
  const fs::path run = temp / "demo";
  write_known_run(run / "finetuned");
  write_known_run(run / "pretrained");
  fs::rename(run / "finetuned/attack", run / "attack");
  fs::rename(run / "finetuned/evaluation.json", run / "evaluation.json");
  RunRecord record = known_record();
  record.kind = "demo";
  record.synthetic = true;
  record.stages = {{"drawing faces", 12.5}, {"attack", 2}};
  write_text(run / "run.json", run_record_json(record));
  const std::string html = reported(run);
  CHECK(parse_xml(html).error == "");
  CHECK(contains(html, "The faces are synthetic."));
  CHECK(html.find("synthetic") < html.find("class='cards'"));
  for (const char* name : {"task1_loss", "task2_loss", "task1_accuracy", "stages", "roc"}) {
    CHECK(fs::exists(run / "figures" / (std::string(name) + ".svg")));
  }
  CHECK(csv_rows(run / "figures/stages.csv") ==
        Rows{{"part", "seconds"}, {"drawing faces", "12.5"}, {"attack", "2"}});
  record.synthetic = false;
  write_text(run / "run.json", run_record_json(record));
  CHECK(reported(run).find("synthetic.") == std::string::npos);
}

TEST_CASE("where no run is, that is said") {
  const TempFolder temp;
  CHECK(contains(input_error([&] { reported(temp / "nowhere"); }), "is no folder"));
  fs::create_directories(temp / "empty");
  CHECK(contains(input_error([&] { reported(temp / "empty"); }), "holds no run"));
  CHECK_FALSE(fs::exists(temp / "empty/figures"));
  std::ostringstream out;
  report::write_report_or_warn(temp / "empty", out);
  CHECK(contains(out.str(), "WARNING: there is no report: "));
  // Something else is in the way.
  write_known_run(temp / "run");
  write_text(temp / "run/figures", "a file");
  CHECK(contains(input_error([&] { reported(temp / "run"); }), "figures"));
}

TEST_CASE("what was written is read back") {
  const RunRecord record = known_record();
  CHECK(run_record_json(read_run_record(run_record_json(record), "x")) == run_record_json(record));
  const Profile profile = known_profile();
  CHECK(profile_json(read_profile(profile_json(profile), "x")) == profile_json(profile));
  const Evaluation e = known_evaluation();
  const RecordedEvaluation back =
      read_evaluation_record(evaluation_record_json(e, "model", "test"), "x");
  CHECK(back.faces.metrics.auc == e.faces.auc);
  CHECK(back.videos.metrics.confusion == e.videos.confusion);
  CHECK(back.faces_threshold == 0.7);
  CHECK(back.threshold_source == "model");
  CHECK(back.threshold_rate == 0.25);
  CHECK(back.bootstrap->resamples == 1000);
}

TEST_CASE("long curves are thinned, both ends stay") {
  Evaluation e;
  for (int i = 0; i < 5000; ++i) {
    e.samples.push_back({"p", text::format("v{}", i), i % 2, (i + 0.5) / 5000, 0.5});
  }
  set_decision(e, {});
  const RecordedEvaluation back =
      read_evaluation_record(evaluation_record_json(e, "model", "test"), "x");
  const auto whole = face_curves(e).roc;
  const auto& roc = back.faces.curves.roc;
  CHECK(whole.size() == 5001);
  CHECK(roc.size() == kMostCurvePoints);
  CHECK(roc.front().threshold == HUGE_VAL);
  CHECK(roc.back().threshold == whole.back().threshold);
  CHECK(roc.back().true_positive_rate == 1);
  for (size_t i = 1; i < roc.size(); ++i) CHECK(roc[i].threshold < roc[i - 1].threshold);
}

TEST_CASE("base64 and pictures") {
  const auto encoded = [](std::string_view text) {
    return report::base64(std::as_bytes(std::span(text)));
  };
  // RFC 4648, section 10.
  CHECK(encoded("") == "");
  CHECK(encoded("f") == "Zg==");
  CHECK(encoded("fo") == "Zm8=");
  CHECK(encoded("foo") == "Zm9v");
  CHECK(encoded("foobar") == "Zm9vYmFy");
  CHECK(encoded("\xff\xfe\xfd") == "//79");
  const data::Image before{1, 2, {100, 200, 10, 0, 255, 128}};
  const data::Image after{1, 2, {103, 198, 10, 0, 255, 118}};
  CHECK(report::largest_change(before, after) == 10);
  CHECK(report::amplified_change(before, after, 20).rgb ==
        std::vector<uint8_t>{188, 88, 128, 128, 128, 0});
  data::Image noise{512, 300, std::vector<uint8_t>(512 * 300 * 3)};
  for (size_t i = 0; i < noise.rgb.size(); ++i) {
    noise.rgb[i] = static_cast<uint8_t>(test::random_bits(1, i));
  }
  const std::string uri = report::picture_uri(noise);
  CHECK(uri.starts_with("data:image/jpeg;base64,/9j/"));
  CHECK(uri.size() < 120'000);
  CHECK(report::picture_uri(before).starts_with("data:image/png;base64,iVBOR"));
}

}  // namespace
}  // namespace verace::apps
