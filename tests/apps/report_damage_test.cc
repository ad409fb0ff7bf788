// Reports of runs that were damaged, mixed up or left beside others' files.
#include <cmath>
#include <limits>

#include "apps/lib/report/html.h"
#include "tests/apps/report_support.h"
#include "tests/support/xml.h"

namespace verace::apps {
namespace {

using test::contains;
using test::input_error;
using test::parse_xml;
using test::TempFolder;
using Json = nlohmann::json;

// A line of metrics.jsonl with all keys.
Json known_line() {
  EpochMetrics m = known_epochs()[0];
  m.test = m.val =
      SplitMetrics{0.4, 0.8, 0.8, 0.8, 0.75, 0.9, 0.6, 0.1, 0.02, 0.3, 0.7, 0.65, 0.15, 0.04};
  return Json::parse(to_json(m));
}

TEST_CASE("numbers that no run has are refused in metrics.jsonl") {
  const Json good = known_line();
  CHECK_NOTHROW(epoch_from_json(good.dump(), "x"));
  for (const auto& [key, value] : good.items()) {
    const bool share = key.find("accuracy") != std::string::npos || key.ends_with("auc") ||
                       key.ends_with("precision") || key.ends_with("rate") ||
                       key.ends_with("error") || key.ends_with("share");
    for (const Json& bad : {Json(-1), Json(-1e308), Json(1.5), Json(5), Json(1e17), Json("x"),
                            Json::array(), Json(uint64_t{1} << 63)}) {
      const bool number = bad.is_number();
      if (number && bad.get<double>() > 0 && !(share && key != "learning_rate")) continue;
      Json line = good;
      line[key] = bad;
      INFO(key, " ", bad.dump());
      CHECK(contains(input_error([&] { epoch_from_json(line.dump(), "m:2"); }), "m:2"));
    }
  }
  for (const Json& epoch : {Json(0), Json(1.5), Json(uint64_t{1} << 63), Json(int64_t{1} << 40)}) {
    Json line = good;
    line["epoch"] = epoch;
    CHECK(contains(input_error([&] { epoch_from_json(line.dump(), "m:2"); }), "epoch"));
  }
}

TEST_CASE("no number in metrics.jsonl ends the report") {
  const TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  const Json first = known_line();
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
        write_text(run / "metrics.jsonl", text);
        INFO(key, " ", bad.dump());
        std::string html;
        CHECK_NOTHROW(html = page_of(run));
        CHECK(parse_xml(html).error == "");
        CHECK(html.find(">nan") == std::string::npos);
        CHECK(html.find(">inf") == std::string::npos);
      }
    }
  }
}

TEST_CASE("sizes that no machine has are refused, one by one and together") {
  const std::string good = profile_json(known_profile());
  const auto refused = [](const Json& json) {
    return contains(input_error([&] { read_profile(json.dump(), "profile.json"); }),
                    "profile.json");
  };
  constexpr int64_t kTooMuch = 1'000'000'000'000'001;
  for (const char* place : {"/training/memory/arena", "/training/buffers/0/bytes",
                            "/training/buffers/1/offset", "/inference/memory/unshared"}) {
    Json json = Json::parse(good);
    json[Json::json_pointer(place)] = kTooMuch;
    INFO(std::string(place));
    CHECK(refused(json));
  }
  Json json = Json::parse(good);
  for (size_t i = 0; i < 2; ++i) json["training"]["buffers"][i]["bytes"] = kTooMuch / 2 + 1;
  CHECK(refused(json));
  json = Json::parse(good);
  for (size_t i = 0; i < 2; ++i) {
    json["training"]["operations"][i]["flops"] = 600'000'000'000'000'000;
  }
  CHECK(refused(json));
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
    Json json = Json::parse(evaluation_record_json(known_evaluation(), "model", split));
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

TEST_CASE("hostile names stay one field of faces.csv") {
  const TempFolder temp;
  Evaluation e = known_evaluation();
  e.samples.resize(1);
  e.samples[0].path = "a\xff,\"b\x1b.png";
  write_faces_csv(temp / "faces.csv", e);
  CHECK(
      contains(read_text(temp / "faces.csv"), "\n\"a\xef\xbf\xbd,\"\"b\xef\xbf\xbd.png\",a,real,"));
}

TEST_CASE("times and versions beyond all reason") {
  Json json = Json::parse(run_record_json(known_record()));
  json["stages"] = Json::array({Json::array({"part", 1e300})});
  CHECK(contains(input_error([&] { read_run_record(json.dump(), "run.json"); }), "stages"));
  CHECK(report::duration(1e300) == report::duration(1e15));
  CHECK(contains(report::duration(1e15), " h "));
  for (const auto& [version, advice] : {std::pair(0, "use the file as it was"), {2, "newer"}}) {
    json["version"] = version;
    CHECK(contains(input_error([&] { read_run_record(json.dump(), "run.json"); }), advice));
  }
}

}  // namespace
}  // namespace verace::apps
