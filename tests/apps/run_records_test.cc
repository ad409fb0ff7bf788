// The files that a run leaves for its report, read back; what no run has is refused in them.
#include <cmath>
#include <limits>

#include "apps/lib/report/html.h"
#include "tests/apps/report_support.h"

namespace verace::apps::run_records_test {
namespace {

using test::contains;
using test::input_error;
using test::TempFolder;
using Json = nlohmann::json;

TEST_CASE("what was written is read back") {
  const RunRecord record = known_record();
  CHECK(run_record_json(read_run_record(run_record_json(record), "x")) == run_record_json(record));
  const Profile profile = known_profile();
  CHECK(profile_json(read_profile(profile_json(profile), "x")) == profile_json(profile));
  const Evaluation e = known_evaluation();
  const RecordedEvaluation back =
      read_evaluation_record(evaluation_record_json(e, "model", "test", ""), "x");
  CHECK(back.faces.metrics.auc == e.faces.auc);
  CHECK(back.videos.metrics.confusion == e.videos.confusion);
  CHECK(back.faces_threshold == 0.7);
  CHECK(back.threshold_source == "model");
  CHECK(back.threshold_rate == 0.25);
  CHECK(back.bootstrap->resamples == 1000);
}

TEST_CASE("seeds are whole to their last bit") {
  RunRecord record = known_record();
  record.seed = UINT64_MAX;
  record.synthetic = true;
  const RunRecord back = read_run_record(run_record_json(record), "x");
  CHECK(back.seed == UINT64_MAX);
  CHECK(back.synthetic);
  Evaluation e = known_evaluation();
  e.intervals->options.seed = UINT64_MAX;
  const std::string text = evaluation_record_json(e, "model", "test", "");
  CHECK(read_evaluation_record(text, "x").bootstrap->seed == UINT64_MAX);
  for (const Json& bad : {Json(-1), Json(1.5), Json("1")}) {
    Json json = Json::parse(run_record_json(record));
    json["seed"] = bad;
    CHECK(contains(input_error([&] { read_run_record(json.dump(), "run.json"); }), "seed"));
  }
}

TEST_CASE("numbers that no evaluation has are refused in evaluation.json, alone and together") {
  const Json good = Json::parse(evaluation_record_json(known_evaluation(), "model", "test", ""));
  using Changes = std::vector<std::pair<const char*, Json>>;
  const auto read = [&](const Changes& changes) {
    Json json = good;
    for (const auto& [place, value] : changes) {
      const Json::json_pointer pointer(place);
      REQUIRE(json.contains(pointer));
      json[pointer] = value;
    }
    return read_evaluation_record(json.dump(), "evaluation.json");
  };
  constexpr int64_t kMost = 1'000'000'000'000;
  const char *count = "/faces/count", *real = "/faces/confusion/real/real";
  const char *share = "/faces/accuracy", *loss = "/faces/loss";
  const char *low = "/faces/intervals/accuracy/0", *high = "/faces/intervals/accuracy/1";
  const char* loss_high = "/faces/intervals/loss/1";
  const char* bin = "/curves/faces/reliability/14/2";
  // Of 8 faces 3 are real and said to be.
  CHECK(read({{count, kMost}, {real, kMost - 5}}).faces.metrics.confusion[0][0] == kMost - 5);
  CHECK(read({{loss, 1e299}, {loss_high, 1e299}}).faces.metrics.loss == 1e299);
  const Changes refused[] = {{{count, kMost + 1}, {real, kMost - 4}},
                             {{count, INT64_MAX}, {real, INT64_MAX}},
                             {{count, int64_t{1} << 62}, {real, int64_t{1} << 62}},
                             {{real, 2}},
                             {{real, 4}},
                             {{count, 9}},
                             {{share, 1.5}},
                             {{share, 1e300}},
                             {{loss, 1e301}},
                             {{low, -0.1}},
                             {{low, 0.9}, {high, 0.8}},
                             {{high, 1.5}},
                             {{high, 1e300}},
                             {{loss_high, 1e301}},
                             {{high, "1"}},
                             {{bin, 9}},
                             {{bin, uint64_t{1} << 63}}};
  for (const Changes& changes : refused) {
    INFO(std::string(changes.front().first), " ", changes.front().second.dump());
    CHECK(contains(input_error([&] { read(changes); }), "evaluation.json"));
  }
}

TEST_CASE("long curves are thinned, both ends stay") {
  Evaluation e;
  for (int i = 0; i < 5000; ++i) {
    e.samples.push_back({"p", text::format("v{}", i), i % 2, (i + 0.5) / 5000, 0.5});
  }
  set_decision(e, {});
  const RecordedEvaluation back =
      read_evaluation_record(evaluation_record_json(e, "model", "test", ""), "x");
  const auto whole = face_curves(e).roc;
  const auto& roc = back.faces.curves.roc;
  CHECK(whole.size() == 5001);
  CHECK(roc.size() == kMostCurvePoints);
  CHECK(roc.front().threshold == HUGE_VAL);
  CHECK(roc.back().threshold == whole.back().threshold);
  CHECK(roc.back().true_positive_rate == 1);
  for (size_t i = 1; i < roc.size(); ++i) CHECK(roc[i].threshold < roc[i - 1].threshold);
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
  // Where there is no natural end the limit itself passes, ten times as much does not.
  for (const auto& [key, most] :
       {std::pair("train_loss", 1e300), std::pair("test_loss", 1e300),
        std::pair("val_video_loss", 1e300), std::pair("seconds", 1e12),
        std::pair("wall_time", 1e12), std::pair("images_per_second", 1e15)}) {
    Json line = good;
    INFO(std::string(key));
    line[key] = most;
    CHECK_NOTHROW(epoch_from_json(line.dump(), "x"));
    line[key] = 10 * most;
    CHECK(contains(input_error([&] { epoch_from_json(line.dump(), "m:2"); }), key));
  }
  for (const Json& epoch : {Json(0), Json(1.5), Json(uint64_t{1} << 63), Json(int64_t{1} << 40)}) {
    Json line = good;
    line["epoch"] = epoch;
    CHECK(contains(input_error([&] { epoch_from_json(line.dump(), "m:2"); }), "epoch"));
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

TEST_CASE("hostile names stay one field of faces.csv") {
  const TempFolder temp;
  Evaluation e = known_evaluation();
  e.samples.resize(1);
  e.samples[0].path = "a\xff,\"b\x1b.png";
  write_faces_csv(temp / "faces.csv", e);
  CHECK(
      contains(read_text(temp / "faces.csv"), "\n\"a\xef\xbf\xbd,\"\"b\xef\xbf\xbd.png\",a,real,"));
}

}  // namespace
}  // namespace verace::apps::run_records_test
