// Reports of runs that were damaged, mixed up or left beside others' files.
#include <cmath>

#include "tests/apps/report_support.h"
#include "tests/support/sanitized.h"
#include "tests/support/xml.h"

namespace verace::apps::report_damage_test {
namespace {

using test::contains;
using test::input_error;
using test::parse_xml;
using test::TempFolder;
using Json = nlohmann::json;

TEST_CASE("one class alone, and losses that JSON cannot hold") {
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  Evaluation e = known_evaluation();
  std::erase_if(e.samples, [](const EvaluatedFace& face) { return face.label == 1; });
  set_decision(e, {});
  add_intervals(e, {});
  write_text(run / "evaluation.json", evaluation_record_json(e, "model", "test", ""));
  EpochMetrics epoch = known_epochs()[0];
  epoch.train_loss = HUGE_VAL;
  epoch.test->auc.reset();
  write_text(run / "metrics.jsonl", to_json(epoch) + "\n");
  const std::string html = reported(run);
  CHECK(parse_xml(html).error == "");
  CHECK(contains(html, "Missing: some figures.</strong> no fake samples"));
  CHECK(contains(html, "<th scope='row'>AUC</th><td>undefined</td><td>–</td>"));
  CHECK(contains(html, "<td>50.00 %</td>"));  // the equal share of reals that were called fake
  for (const char* name : {"loss", "accuracy", "roc", "precision_recall", "reliability"}) {
    INFO(std::string(name));
    const std::string svg = read_text(run / "figures" / (std::string(name) + ".svg"));
    CHECK(parse_xml(svg).error == "");
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(svg.find("inf") == std::string::npos);
  }
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
      const std::string html = page_of(run);
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

// Every fifth: each key and each kind of value among them. Under the sanitizers, where they take
// minutes, fewer keys.
const int kEvery = test::is_sanitized() ? 11 : 5;

TEST_CASE("wrong kinds of values in the files of a run never end the report") {
  int number = 0;
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
        if (number++ % kEvery != 0) continue;
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

TEST_CASE("two counts of evaluation.json changed together never overflow") {
  const TempFolder temp;
  write_known_run(temp / "run");
  report::RunData data = report::read_run(temp / "run");
  const Json good = Json::parse(read_text(temp / "run/evaluation.json"));
  std::vector<Json::json_pointer> places;
  for (const char* level : {"/faces", "/videos"}) {
    for (const char* count : {"/count", "/confusion/real/real", "/confusion/real/fake",
                              "/confusion/fake/real", "/confusion/fake/fake"}) {
      places.emplace_back(std::string(level) + count);
    }
  }
  for (const auto& a : places) {
    for (const auto& b : places) {
      for (const int64_t value : {int64_t{1'000'000'000'000}, int64_t{1} << 62, INT64_MAX}) {
        Json json = good;
        json[a] = json[b] = value;
        INFO(a.to_string(), " ", b.to_string(), " ", value);
        data.evaluation = {};
        try {
          data.evaluation.value = read_evaluation_record(json.dump(), "evaluation.json");
        } catch (const Error& error) {
          data.evaluation.missing = error.what();
        }
        CHECK(parse_xml("<p>" + report::evaluation_section(data).html + "</p>").error == "");
      }
    }
  }
}

TEST_CASE("no number in metrics.jsonl ends the report") {
  for (const char* bad : {"<a y='nan'/>", "'1,nan 2,3'", "'-inf'", ">inf %<", "1,-nan'"}) {
    CHECK(has_not_finite(bad));
  }
  CHECK_FALSE(has_not_finite("<p>information, finance; inference <b>1.5</b></p>"));
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  const Json first = known_line();
  int number = 0;
  for (const auto& [key, value] : first.items()) {
    for (const Json& bad :
         {Json(-1), Json(5), Json(1e17), Json(1e300), Json(1e308), Json(-1e308), Json(5e-324),
          Json("x"), Json(), Json(int64_t{1} << 62), Json(uint64_t{1} << 63)}) {
      Json changed = first, second = first;
      changed[key] = bad;
      second["epoch"] = 2;
      for (const std::string& text :
           {changed.dump() + "\n", changed.dump() + "\n" + changed.dump() + "\n",
            changed.dump() + "\n" + second.dump() + "\n"}) {
        if (number++ % kEvery != 0) continue;
        write_text(run / "metrics.jsonl", text);
        INFO(key, " ", bad.dump());
        std::string html;
        CHECK_NOTHROW(html = page_of(run));
        CHECK(parse_xml(html).error == "");
        CHECK_FALSE(has_not_finite(html));
      }
    }
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

TEST_CASE("a report does not touch files that are not of a report") {
  const TempFolder temp;
  const fs::path run = temp / "run", out = temp / "out";
  write_known_run(run);
  for (const char* name : {"figures/roc.svg", "figures/attack.csv", "report.html"}) {
    fs::remove_all(out);
    fs::create_directories(out / "figures");
    write_text(out / name, "mine");
    INFO(std::string(name));
    const std::string message = input_error([&] { report::write_report(run, out); });
    CHECK(contains(message, name));
    CHECK(contains(message, "--out"));
    CHECK(message.find('\n') == std::string::npos);
    CHECK(read_text(out / name) == "mine");
    CHECK(report::report_files(out).empty());
    int files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(out))
      files += entry.is_regular_file();
    CHECK(files == 1);
  }
  // A report of which only the page was moved away: that is what the message says.
  fs::remove_all(out);
  report::write_report(run, out);
  fs::rename(out / "report.html", temp / "moved.html");
  CHECK(contains(input_error([&] { report::write_report(run, out); }), "no report.html beside it"));
  // Others' files under other names are in no one's way.
  fs::remove_all(out);
  fs::create_directories(out / "figures");
  write_text(out / "figures/mine.svg", "mine");
  report::write_report(run, out);
  report::write_report(run, out);
  CHECK(read_text(out / "figures/mine.svg") == "mine");
  CHECK(report::report_files(out).size() == 1 + 2 * 14 + 2);  // figures; metrics, gallery
}

TEST_CASE("an attack on another network is not among the main figures") {
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  report::RunData data = report::read_run(run);
  const auto section = [&](auto make) { return make(data).html; };
  CHECK(data.attack.value->unknown_network);
  CHECK(contains(section(report::attack_section), "cannot be told"));
  CHECK(contains(section(report::summary_section), "left under attack"));
  data.attack.value->unknown_network = false;
  CHECK(section(report::attack_section).find("cannot be told") == std::string::npos);
  data.attack.value->other_network = true;
  CHECK(contains(section(report::attack_section), "Another network"));
  CHECK(section(report::summary_section).find("under attack") == std::string::npos);
}

TEST_CASE("what an attack left undone, and what it did not change, is said") {
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  CHECK_FALSE(contains(page_of(run), "Stopped."));
  Json attack = Json::parse(read_text(run / "attack/attack.json"));
  attack["stopped"] = true;
  write_text(run / "attack/attack.json", attack.dump());
  for (int i = 0; i < 2; ++i) {
    const std::string name = text::format("{}.png", i);
    fs::copy_file(run / "attack/before" / name, run / "attack/eps_0.02" / name,
                  fs::copy_options::overwrite_existing);
  }
  const std::string html = page_of(run);
  CHECK(parse_xml(html).error == "");
  CHECK(contains(html, "these are the first 2 pictures alone"));
  CHECK(contains(html, "90.0 % before it; stopped, of a part of the pictures"));
  CHECK(contains(html, "ε = 0.02 (less than half of a grey level: as stored they are the same)"));
  CHECK_FALSE(contains(html, "grey levels as stored"));
}

TEST_CASE("a run without a finished epoch has no best one") {
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  CHECK(contains(page_of(run), "<td>3, 30 steps; the best is epoch 2</td>"));
  RunRecord record = known_record();
  record.epochs = record.best_epoch = 0;
  write_text(run / "run.json", run_record_json(record));
  CHECK(contains(page_of(run), "<td>0, 30 steps; none is finished yet</td>"));
}

TEST_CASE("the page says who chose the epoch, the threshold, the pictures and the loss") {
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  const auto metrics = [&](bool val, size_t count) {
    std::string lines;
    for (EpochMetrics m : known_epochs()) {
      if (val) m.val = m.test;
      if (count-- > 0) lines += to_json(m) + "\n";
      if (count == 0) break;
    }
    write_text(run / "metrics.jsonl", lines);
  };
  const auto evaluation = [&](const char* split, const char* chosen_on, double confidence) {
    Json json = Json::parse(evaluation_record_json(known_evaluation(), "model", split, ""));
    json["threshold"]["model"]["split"] = chosen_on;
    json["bootstrap"]["confidence"] = confidence;
    write_text(run / "evaluation.json", json.dump());
  };
  const struct {
    bool val;
    size_t epochs;
    const char* split;
    bool optimistic;
  } cases[] = {{false, 3, "test", true},
               {true, 3, "test", false},
               {true, 3, "val", true},
               {false, 1, "test", false}};
  for (const auto& c : cases) {
    metrics(c.val, c.epochs);
    evaluation(c.split, "val", 0.95);
    INFO(c.val, " ", c.epochs, " ", std::string(c.split));
    CHECK(contains(page_of(run), "<strong>Optimistic.") == c.optimistic);
  }
  evaluation("test", "train", 0.5);
  std::string html = page_of(run);
  CHECK(contains(html, "own threshold, chosen on train for"));
  CHECK(contains(html, "50 % interval"));
  CHECK_FALSE(contains(html, "95 % interval"));
  CHECK_FALSE(contains(html, "multiplied by the class weights"));
  write_text(run / "config.toml", "class-weights = '3:1'\n");
  CHECK(contains(page_of(run), "multiplied by the class weights (3:1)"));
  write_text(run / "config.toml", "class-weights = 'none'\n");
  CHECK_FALSE(contains(page_of(run), "multiplied by the class weights"));
  // The attack's split.
  CHECK(contains(page_of(run), "The first pictures of the data,"));
  Json attack = Json::parse(read_text(run / "attack/attack.json"));
  attack["split"] = "val";
  write_text(run / "attack/attack.json", attack.dump());
  html = page_of(run);
  CHECK(contains(html, "The first pictures of the val split,"));
  CHECK(contains(html, "on 2 pictures of the val split:"));
  CHECK_FALSE(contains(html, "test set"));
}

TEST_CASE("the time of a resumed run is that of its epochs, or said to be the last process's") {
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  RunRecord record = known_record();
  record.resumed = true;
  write_text(run / "run.json", run_record_json(record));
  std::string html = page_of(run);
  CHECK(contains(html, ">6.00 s</span><span class='what'>for the training steps of all processes"));
  CHECK(contains(html, "1 min 15 s, the last process alone"));
  fs::remove(run / "metrics.jsonl");
  html = page_of(run);
  CHECK(
      contains(html, ">1 min 15 s</span><span class='what'>for the last process of this training"));
}

TEST_CASE("a run has the name of its folder, and flags keep their names") {
  const TempFolder temp;
  const fs::path run = temp / "named";
  RunRecord record = known_record();
  record.command = {"/bin/verace", "train", "--data=/somewhere/private/faces", "--lr=1e-3",
                    "a=/b/c"};
  write_text(run / "run.json", run_record_json(record));
  for (const char* spelled : {".", "./", "../named", ""}) {
    INFO(std::string(spelled));
    CHECK(report::read_run(run / spelled).name == "named");
  }
  const report::RunData data = report::read_run(run);
  CHECK(data.record.value->command ==
        std::vector<std::string>{"verace", "train", "--data=faces", "--lr=1e-3", "c"});
}

}  // namespace
}  // namespace verace::apps::report_damage_test
