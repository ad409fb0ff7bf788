// Thresholds: the choice for a false-positive rate, metadata of model files, what verdicts go by
#include "apps/lib/threshold.h"

#include <doctest/doctest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "apps/lib/evaluation_report.h"
#include "apps/lib/predictor.h"
#include "tests/apps/training_support.h"
#include "tests/support/faults.h"

namespace verace::apps::threshold_test {
namespace {

using Doubles = std::vector<double>;
using Labels = std::vector<int32_t>;
using Json = nlohmann::json;

TEST_CASE("the largest rate that is allowed, half way to the next score") {
  const Doubles p = {0.1, 0.2, 0.3, 0.4, 0.35, 0.8};
  const Labels y = {0, 0, 0, 0, 1, 1};
  const LevelThreshold none = choose_threshold(p, y, 0);
  CHECK(none.value == doctest::Approx(0.6));  // between the highest real and the next fake
  CHECK(none.false_positive_rate == 0);
  CHECK(*none.true_positive_rate == 0.5);
  const LevelThreshold quarter = choose_threshold(p, y, 0.25);
  CHECK(quarter.value == doctest::Approx(0.325));
  CHECK(quarter.false_positive_rate == 0.25);
  CHECK(*quarter.true_positive_rate == 1);
  CHECK(quarter.reals == 4);
  CHECK(quarter.fakes == 2);
  CHECK(choose_threshold(p, y, 0.49).value == quarter.value);  // 4 reals know no 0.49
  CHECK(choose_threshold(p, y, 0.999).false_positive_rate == 0.75);
}

TEST_CASE("rates are compared as quotients, ties stay together") {
  Doubles p;
  for (int i = 0; i < 100; ++i) p.push_back(i / 100.0);
  const Labels reals(100, 0);
  CHECK(choose_threshold(p, reals, 0.29).false_positive_rate == 0.29);
  CHECK(choose_threshold(p, reals, 0.07).false_positive_rate == 0.07);
  CHECK_FALSE(choose_threshold(p, reals, 0.07).true_positive_rate);
  test::expect_caught("rate * n rounded down", std::floor(0.29 * 100) / 100 == 0.29);
  // Three reals share the highest score: one of them alone cannot be called fake.
  const LevelThreshold tied =
      choose_threshold(Doubles{0.9, 0.9, 0.9, 0.1, 0.95}, Labels{0, 0, 0, 0, 1}, 0.3);
  CHECK(tied.false_positive_rate == 0);
  CHECK(tied.value == doctest::Approx(0.925));
  // Nothing above the highest real, and a neighbour with no double between.
  CHECK(choose_threshold(Doubles{1, 0.5}, Labels{0, 1}, 0).value == 1);
  CHECK(choose_threshold(Doubles{0.6, 0.5}, Labels{0, 1}, 0).value == doctest::Approx(0.8));
  double low = 0.5;
  for (int i = 0; i < 2; ++i) {  // the middle of two neighbours rounds down once, up once
    const double next = std::nextafter(low, 1.0);
    const LevelThreshold close = choose_threshold(Doubles{low, next}, Labels{0, 1}, 0);
    CHECK(close.false_positive_rate == 0);
    CHECK(*close.true_positive_rate == 1);
    low = next;
  }
}

TEST_CASE("what no threshold can be chosen on is refused") {
  CHECK(contains(input_error([] { choose_threshold(Doubles{0.5}, Labels{1}, 0.1); }), "no real"));
  CHECK(contains(input_error([] { choose_threshold(Doubles{}, Labels{}, 0.1); }), "no real"));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(choose_threshold(Doubles{nan, 0.2}, Labels{0, 1}, 0.1), Error);
  CHECK_THROWS_AS(choose_threshold(Doubles{0.1, 0.2}, Labels{0, 1}, 1), Error);
}

ChosenThresholds example() {
  const std::vector<FaceScore> faces = {{"a", 0, 0.1}, {"a", 0, 0.7},  {"b", 0, 0.2},
                                        {"c", 1, 0.9}, {"c", 1, 0.65}, {"d", 1, 0.6}};
  return choose_thresholds(faces, 0.05, "some/where/faces/", "val",
                           {data::Fit::kCrop, data::ResizeFilter::kNearest});
}

TEST_CASE("faces and videos have thresholds of their own") {
  const ChosenThresholds chosen = example();
  CHECK(chosen.data == "faces");  // without the path
  CHECK(chosen.split == "val");
  CHECK(chosen.faces.value == doctest::Approx(0.8));
  CHECK(chosen.faces.reals == 3);
  CHECK(chosen.videos.value == doctest::Approx(0.5));  // between the means 0.4 and 0.6
  CHECK(chosen.videos.reals == 2);
  CHECK(*chosen.videos.true_positive_rate == 1);
}

TEST_CASE("a threshold that was chosen on pictures of another fit is used with a warning") {
  const ChosenThresholds chosen = example();
  const std::string warning = fit_warning(decide({}, chosen), {});
  CHECK(contains(warning, "chosen with --fit crop --resize nearest"));
  CHECK(contains(warning, "read with --fit stretch --resize bilinear"));
  CHECK(fit_warning(decide({}, chosen), *chosen.fit).empty());
  CHECK(fit_warning(decide({.threshold = 0.5}, chosen), {}).empty());  // not in use
  CHECK(fit_warning(decide({}, {}), {}).empty());
  ChosenThresholds old = chosen;
  old.fit.reset();
  CHECK(fit_warning(decide({}, old), {}).empty());
}

TEST_CASE("model files hold thresholds; files without them, and with broken ones") {
  const TempFolder folder;
  const layers::ClassifierOptions network = narrow_network();
  const LoadedModel model = make_model(network, layers::Initialisation::kPyTorch, 3);
  save_model(folder / "old", *model.classifier);
  CHECK_FALSE(load_model(folder / "old").thresholds);
  save_model(folder / "direct", *model.classifier, example());
  store_thresholds(folder / "old", folder / "copy", {example(), {}}, file_version(folder / "old"));
  CHECK(read_text(folder / "direct") == read_text(folder / "copy"));
  const FileVersion version = file_version(folder / "copy");
  store_thresholds(folder / "copy", folder / "copy", {example(), {}}, version);  // in place
  CHECK(read_text(folder / "direct") == read_text(folder / "copy"));
  CHECK(first_difference(folder / "old", folder / "copy").empty());
  // A training may have put other weights there: theirs are not these thresholds.
  const LoadedModel other = make_model(network, layers::Initialisation::kPyTorch, 4);
  save_model(folder / "copy2", *model.classifier);
  const FileVersion judged = file_version(folder / "copy2");
  save_model(folder / "copy2", *other.classifier);
  const std::string replaced = read_text(folder / "copy2");
  CHECK_THROWS_WITH_AS(
      store_thresholds(folder / "copy2", folder / "copy2", {example(), {}}, judged),
      doctest::Contains("has been replaced while it was judged"), Error);
  CHECK(read_text(folder / "copy2") == replaced);
  const ChosenThresholds back = load_model(folder / "copy").thresholds.value();
  CHECK(back.rate == 0.05);
  CHECK(back.data == "faces");
  CHECK(back.faces.value == example().faces.value);
  CHECK(back.videos.value == example().videos.value);
  CHECK(back.videos.true_positive_rate == example().videos.true_positive_rate);
  CHECK(back.faces.fakes == 3);
  CHECK(back.fit == example().fit);
  // Weights that training goes on from are others afterwards.
  CHECK_FALSE(load_backbone(folder / "copy", {}, {}).thresholds);

  const std::string good = thresholds_to_metadata(example());
  const auto refused = [](const std::string& text) {
    const std::string message = input_error([&] {
      thresholds_in_metadata({{kThresholdKey, text}}, "m.safetensors");
    });
    CHECK(contains(message, "m.safetensors: metadata verace.threshold"));
    return message;
  };
  CHECK_FALSE(thresholds_in_metadata({{"verace.format", "1"}}, "m"));
  CHECK(contains(
      refused(Json(Json::parse(good))
                  .patch(Json::parse(R"([{"op": "replace", "path": "/version", "value": 3}])"))
                  .dump()),
      "use a newer Verace"));
  refused("");
  refused("{}");
  refused("[1]");
  refused(good.substr(0, good.size() - 1));
  refused(std::string(100'000, '['));
  for (const auto& [word, wrong] :
       {std::pair("\"crop\"", "\"nearest\""), std::pair("\"nearest\"", "7"),
        std::pair("\"resize\"", "\"rescale\"")}) {
    std::string text = good;
    text.replace(text.find(word), std::string_view(word).size(), wrong);
    refused(text);
  }
  for (const char* value : {"1.5", "-0.1", "null", "\"0.5\"", "1e999"}) {
    std::string text = good;
    const std::string key = "\"threshold\":";
    const size_t at = text.find(key) + key.size();
    text.replace(at, text.find(',', at) - at, value);
    refused(text);
  }
}

TEST_CASE("the flag wins over the model, the model over the default") {
  const Decision plain = decide({}, {});
  CHECK(plain.faces == kFakeThreshold);
  CHECK(contains(decision_text(plain), "the default"));
  const Decision models = decide({}, example());
  CHECK(models.faces == example().faces.value);
  CHECK(models.videos == example().videos.value);
  for (const char* words : {"0.8", "0.5", "val of faces", "0.05", "of 3 real faces"}) {
    INFO(std::string(words));
    CHECK(contains(decision_text(models), words));
  }
  const Decision flag = decide({.threshold = 0.3}, example());
  CHECK(flag.faces == 0.3);
  CHECK(flag.videos == 0.3);
  CHECK(contains(decision_text(flag), "--threshold, instead of the model's 0.8"));
}

TEST_CASE("predictions: pictures by the faces' threshold, all together by the videos'") {
  Predictions p;
  p.classes = ClassIndices{};
  p.class_names = {"real", "fake"};
  p.pictures.push_back({"a.png", "", {0, 0}, {0.3f, 0.7f}});
  p.fake_probability = 0.7;
  p.decision = decide({}, example());  // 0.8 and 0.5
  const Json json = Json::parse(predictions_json(p, 1));
  CHECK(json["pictures"][0]["verdict"] == "real");
  CHECK(json["verdict"] == "fake");
  CHECK(json["threshold"]["source"] == "model");
  CHECK(json["threshold"]["model"]["split"] == "val");
  CHECK(contains(predictions_text(p, 1), "real  P(fake)  70.00 %  a.png"));
  p.decision = {};
  CHECK(Json::parse(predictions_json(p, 1))["pictures"][0]["verdict"] == "fake");
  CHECK(contains(predictions_text(p, 1), "fake   70.00 %  a.png"));
}

TEST_CASE("reports say what is undefined and why") {
  Evaluation evaluation;
  evaluation.faces = compute_metrics(Doubles{0.9, 0.7}, Labels{1, 1});
  evaluation.intervals = EvaluationIntervals{};
  const std::string text = evaluation_text(evaluation);
  CHECK(contains(text, "AUC                undefined (no real samples)"));
  CHECK(contains(text, "loss               undefined (no samples)"));
  CHECK(contains(text, "none here"));
  const Json json = Json::parse(evaluation_json(evaluation, "m", "test"));
  CHECK(json["faces"]["accuracy"] == 1);
  CHECK(json["faces"]["undefined"] == "no real samples");
  for (const char* key : {"auc", "balanced_accuracy", "average_precision", "equal_error_rate"}) {
    CHECK(json["faces"][key].is_null());
    CHECK(json["faces"]["intervals"][key].is_null());
  }
  for (const Figure& figure : kFigures) CHECK(json["videos"][figure.key].is_null());
  CHECK(json["videos"]["undefined"] == "no samples");
}

}  // namespace
}  // namespace verace::apps::threshold_test
