// The page of a run: well-formed, complete, readable, the same for equal runs, and without what it
// must not show.
#include "apps/lib/report/report.h"

#include <algorithm>
#include <cmath>

#include "tests/apps/report_support.h"
#include "tests/support/xml.h"

namespace verace::apps::report_test {
namespace {

using test::contains;
using test::input_error;
using test::parse_xml;
using test::TempFolder;
using test::XmlDocument;
using test::XmlElement;
using Rows = std::vector<std::vector<std::string>>;

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

// Relative luminance and contrast of #rrggbb, as WCAG 2.1 defines them.
double luminance(const std::string& colour) {
  const auto channel = [&](size_t at) {
    const double c = std::stoi(colour.substr(at, 2), nullptr, 16) / 255.0;
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}
double contrast(const std::string& a, const std::string& b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

// The colours behind each `key` in a text, in their order: light first, then dark.
std::vector<std::string> colours_of(const std::string& text, const std::string& key) {
  std::vector<std::string> found;
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
    found.push_back(text.substr(at + key.size(), 7));
  }
  return found;
}

TEST_CASE("texts can be read in both colour schemes, and tables scroll within themselves") {
  CHECK(contrast("#000000", "#ffffff") == doctest::Approx(21));
  CHECK(contrast("#777777", "#ffffff") == doctest::Approx(4.478).epsilon(1e-3));
  const TempFolder temp;
  write_known_run(temp / "run");
  const std::string html = reported(temp / "run");
  const auto paper = colours_of(html, "--paper:");
  REQUIRE(paper.size() == 2);
  for (const auto& [text, ground] :
       {std::pair("--ink:", "--paper:"), std::pair("--soft:", "--paper:"),
        std::pair("--link:", "--paper:"), std::pair("--ink:", "--ground:"),
        std::pair("--soft:", "--ground:"), std::pair("--warn:", "--warnground:"),
        std::pair("--ink:", "--warnground:"), std::pair("--warn:", "--paper:")}) {
    const auto texts = colours_of(html, text), grounds = colours_of(html, ground);
    REQUIRE(texts.size() == 2);
    REQUIRE(grounds.size() == 2);
    for (size_t scheme = 0; scheme < 2; ++scheme) {
      INFO(text, " on ", ground, ", scheme ", scheme);
      CHECK(contrast(texts[scheme], grounds[scheme]) >= 4.5);
    }
  }
  for (int style = 0; style < plot::kStyles; ++style) {
    const auto lines = colours_of(html, text::format(".plot .m{}{{stroke:", style));
    REQUIRE(lines.size() == 2);
    for (size_t scheme = 0; scheme < 2; ++scheme) {
      INFO("line ", style, ", scheme ", scheme);
      CHECK(contrast(lines[scheme], paper[scheme]) >= 3);
    }
  }
  const XmlDocument page = parse_xml(html);
  for (const XmlElement* table : page.all("table")) {
    REQUIRE(table->parent >= 0);
    CHECK(page.elements[static_cast<size_t>(table->parent)]["class"] == "scroll");
  }
  CHECK(page.all("table").size() > 8);
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
  write_text(run / "evaluation.json",
             evaluation_record_json(known_evaluation(), hostile, hostile, hostile));
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
  for (const char* of_one : {"training steps", "pictures", "epochs"}) {
    const std::string name = text::format("<th scope='row'>{}", of_one);
    CHECK(contains(html, name + " of the second task</th>"));
    CHECK(contains(page_of(run / "finetuned"), name + "</th>"));
  }
  // Nothing is written under a name that a later report would not remove, and no name is idle.
  reported(run / "pretrained");
  for (const std::string& name : report::all_figure_files()) {
    INFO(name);
    if (!name.ends_with(".csv")) continue;
    CHECK((fs::exists(run / "figures" / name) || fs::exists(run / "pretrained/figures" / name)));
  }
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

}  // namespace
}  // namespace verace::apps::report_test
