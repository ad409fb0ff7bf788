// Temperature calibration: against a search that tries temperatures one by one, on data whose
// temperature is known, at its limits, in metadata and in evaluations.
#include "apps/lib/calibration.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/lib/evaluation_report.h"
#include "tests/apps/training_support.h"
#include "tests/support/faults.h"
#include "tests/support/random.h"

namespace verace::apps::calibration_test {
namespace {

using Doubles = std::vector<double>;
using Labels = std::vector<int32_t>;
using Json = nlohmann::json;

struct Faces {
  Doubles margins;
  Labels labels;
};

// Faces whose margins are `temperature` times those that would be calibrated: with margin m a face
// is fake with the probability sigmoid(m / temperature).
Faces drawn(double temperature, size_t count, uint64_t seed) {
  Faces faces;
  for (size_t i = 0; i < count; ++i) {
    const double m = 8 * test::random_unit(seed, 2 * i) - 4;
    faces.margins.push_back(m * temperature);
    faces.labels.push_back(test::random_unit(seed, 2 * i + 1) < 1 / (1 + std::exp(-m)) ? 1 : 0);
  }
  return faces;
}

// By the definition: softmax of logits / T, -log of the truth's probability, the mean.
double mean_loss(const Faces& faces, double temperature) {
  double sum = 0;
  for (size_t i = 0; i < faces.margins.size(); ++i) {
    const double real = 1, fake = std::exp(faces.margins[i] / temperature);
    sum -= std::log((faces.labels[i] == 1 ? fake : real) / (real + fake));
  }
  return sum / static_cast<double>(faces.margins.size());
}

// The best of the temperatures from `low` to `high` in such steps.
double best_of(const Faces& faces, double low, double high, double step) {
  double best = 1, least = std::numeric_limits<double>::infinity();
  for (double t = low; t < high; t *= step) {
    const double loss = mean_loss(faces, t);
    if (loss < least) {
      least = loss;
      best = t;
    }
  }
  return best;
}

// The best of temperatures that lie 0.1 % apart: of those round the best that lie 3 % apart.
double searched(const Faces& faces) {
  const double rough = best_of(faces, 0.1, 100, 1.03);
  return best_of(faces, rough / 1.04, rough * 1.04, 1.001);
}

Calibration fitted(const Faces& faces) {
  return calibrate(faces.margins, faces.labels, "some/where/faces.csv", "val");
}

TEST_CASE("the temperature is the one that a search finds, and near the true one") {
  for (const double truth : {0.4, 1.0, 2.5, 20.0}) {
    for (uint64_t seed = 0; seed < 3; ++seed) {
      const Faces faces = drawn(truth, 4000, seed);
      const Calibration c = fitted(faces);
      INFO(truth, " ", c.temperature);
      const double best = searched(faces);
      const auto agrees = [best](double t) { return std::abs(t / best - 1) < 0.0011; };
      CHECK(agrees(c.temperature));
      test::expect_caught("inverted temperature", truth != 1.0 && agrees(1 / c.temperature));
      test::expect_caught("square root", truth != 1.0 && agrees(std::sqrt(c.temperature)));
      CHECK(std::abs(c.temperature / truth - 1) < 0.12);
      CHECK(c.before.loss == doctest::Approx(mean_loss(faces, 1)).epsilon(1e-9));
      CHECK(c.after.loss == doctest::Approx(mean_loss(faces, c.temperature)).epsilon(1e-9));
      CHECK(c.after.loss <= c.before.loss);
      if (truth > 2) CHECK(c.after.calibration_error < c.before.calibration_error / 3);
      CHECK(c.reals + c.fakes == 4000);
      CHECK(c.data == "faces.csv");
    }
  }
}

TEST_CASE("probabilities keep their order and their side of one half") {
  const Doubles margins = {-700, -40, -3, -1e-3, 0, 1e-3, 2, 30, 35, 700};
  for (const double t : {0.05, 1.0, 3.0, 1000.0}) {
    double last = -1;
    for (const double margin : margins) {
      const double p = calibrated_probability(margin, t);
      CHECK(p >= last);
      CHECK((p > 0.5) == (margin > 0));
      CHECK(calibrated_probability(-margin, t) == doctest::Approx(1 - p));
      last = p;
    }
  }
  CHECK(calibrated_probability(std::log(3.0), 1) == doctest::Approx(0.75));
  CHECK(calibrated_probability(2 * std::log(3.0), 2) == doctest::Approx(0.75));
  CHECK(calibrated_loss(std::log(3.0), 1, 1) == doctest::Approx(-std::log(0.75)));
  CHECK(calibrated_loss(std::log(3.0), 0, 1) == doctest::Approx(-std::log(0.25)));
  CHECK(calibrated_loss(-2000, 1, 1) == doctest::Approx(2000));
  CHECK(calibrated_loss(-2000, 1, 4) == doctest::Approx(500));
  // What a float rounds to 1 is still two different probabilities.
  CHECK(calibrated_probability(20, 1) < calibrated_probability(21, 1));
}

TEST_CASE("limits: no mistakes, few data, huge logits") {
  const Calibration right = fitted({{3, -2, 0.5}, {1, 0, 1}});
  CHECK(right.temperature == 1);
  CHECK(contains(calibration_text(right), "no face is on the wrong side"));
  // A thousand right ones of small margin and one that is wrong by less: as sure as is allowed.
  Faces sure{Doubles(1000, 0.01), Labels(1000, 1)};
  sure.margins.push_back(1e-6);
  sure.labels.push_back(0);
  CHECK(fitted(sure).temperature == kLeastTemperature);
  // Logits of millions, one of four wrong: the temperature that is right is beyond the limit.
  CHECK(fitted({{1e6, 1e6, 1e6, -1e6, -1e6}, {1, 1, 0, 0, 0}}).temperature == kMostTemperature);
  const Calibration huge = fitted({{600, 600, 600, -600, -600}, {1, 1, 0, 0, 0}});
  CHECK(huge.temperature == doctest::Approx(600 / std::log(4.0)));  // 4 of 5 are right
  CHECK(huge.before.loss == doctest::Approx(120));
}

TEST_CASE("what no temperature can be chosen on is refused") {
  CHECK(contains(input_error([] { fitted({{1, 2}, {1, 1}}); }), "--calibrate: val of faces.csv"));
  CHECK(contains(input_error([] { fitted({{-1, -2}, {0, 0}}); }), "0 fake faces"));
  CHECK(contains(input_error([] { fitted({{}, {}}); }), "it takes both"));
  CHECK(contains(input_error([] { fitted({{-1, 2}, {1, 0}}); }), "point the wrong way"));
  CHECK(contains(input_error([] { fitted({{0, 0}, {1, 0}}); }), "point the wrong way"));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(fitted({{1, nan}, {1, 0}}), Error);
  CHECK_THROWS_AS(fitted({{1, HUGE_VAL}, {1, 0}}), Error);
  CHECK_THROWS_AS(fitted({{1, 2}, {1}}), Error);
}

// Three videos; margins that are too large by far.
Evaluation example() {
  Evaluation evaluation;
  const Doubles margins = {-9, -5, -7, 4, 12, 6, -3, 8};
  const Labels labels = {0, 0, 0, 0, 1, 1, 1, 1};
  const std::vector<std::string> videos = {"a", "a", "b", "b", "c", "c", "d", "d"};
  for (size_t i = 0; i < margins.size(); ++i) {
    evaluation.samples.push_back({"x", videos[i], labels[i], calibrated_probability(margins[i], 1),
                                  calibrated_loss(margins[i], labels[i], 1), margins[i]});
  }
  set_decision(evaluation, {});
  return evaluation;
}

ChosenThresholds thresholds_of(const Evaluation& evaluation, const VideoPolicy& policy = {}) {
  return choose_thresholds(face_scores(evaluation), 0.3, "faces", "val", {}, policy,
                           evaluation.decision.temperature());
}

TEST_CASE("an evaluation with a temperature: same ranks, other probabilities, thresholds follow") {
  Evaluation evaluation = example();
  const Metrics before = evaluation.faces;
  const ChosenThresholds plain = thresholds_of(evaluation);
  const Calibration c = calibrate(face_margins(evaluation), face_labels(evaluation), "d", "val");
  CHECK(c.temperature > 2);
  set_decision(evaluation, decide({}, {}, c));
  CHECK(evaluation.faces.auc == before.auc);
  CHECK(evaluation.faces.confusion == before.confusion);  // one half stays one half
  CHECK(*evaluation.faces.loss == doctest::Approx(c.after.loss));
  CHECK(*before.loss == doctest::Approx(c.before.loss));
  CHECK(*evaluation.faces.calibration_error == doctest::Approx(c.after.calibration_error));
  CHECK(evaluation.samples[4].probability ==
        doctest::Approx(1 / (1 + std::exp(-12 / c.temperature))));
  // Chosen anew the threshold of faces separates the same faces, at another value.
  const ChosenThresholds calibrated = thresholds_of(evaluation);
  CHECK(calibrated.faces.value != plain.faces.value);
  CHECK(calibrated.faces.false_positive_rate == plain.faces.false_positive_rate);
  CHECK(calibrated.faces.true_positive_rate == plain.faces.true_positive_rate);
  CHECK(calibrated.temperature == c.temperature);
  const std::string text = evaluation_text(evaluation);
  CHECK(contains(text, "calibration: temperature"));
  const Json json = Json::parse(evaluation_json(evaluation, "m", "val"));
  CHECK(json["threshold"]["calibration"]["temperature"] == c.temperature);
  set_decision(evaluation, {});  // and back
  CHECK(*evaluation.faces.loss == doctest::Approx(*before.loss));
}

TEST_CASE("another policy than the threshold's: its threshold of videos is not used") {
  const Evaluation evaluation = example();
  const ChosenThresholds chosen = thresholds_of(evaluation, {Policy::kMajority});
  CHECK(chosen.policy.face_threshold == chosen.faces.value);
  CHECK(chosen.videos.value == doctest::Approx(0.75));  // shares 0, 0, 0.5, 1... at a rate of 0.3
  const Decision same = decide({}, chosen);
  CHECK(same.policy.policy == Policy::kMajority);
  CHECK(same.policy.face_threshold == chosen.faces.value);
  CHECK(same.videos == chosen.videos.value);
  CHECK(policy_warning(same).empty());
  const Decision other = decide({.policy = Policy::kMedian}, chosen);
  CHECK(other.faces == chosen.faces.value);
  CHECK(other.videos == kFakeThreshold);
  CHECK(contains(policy_warning(other), "chosen with --policy majority --per-frame each"));
  CHECK(contains(decision_text(other), "videos above 0.5 (the default)"));
  const Decision flag = decide({.threshold = 0.3, .policy = Policy::kMedian}, chosen);
  CHECK(flag.videos == 0.3);
  CHECK(policy_warning(flag).empty());
  CHECK(decide({.threshold = 0.3, .policy = Policy::kMajority}, {}).policy.face_threshold == 0.3);
}

TEST_CASE("model files hold temperatures, thresholds of the same temperature, and damaged ones") {
  const TempFolder folder;
  const std::string path = folder / "model";
  const LoadedModel model = make_model(narrow_network(), layers::Initialisation::kPyTorch, 3);
  save_model(path, *model.classifier);
  Evaluation evaluation = example();
  const Calibration c = calibrate(face_margins(evaluation), face_labels(evaluation), "d/", "val");
  set_decision(evaluation, decide({}, {}, c));
  const ChosenThresholds chosen = thresholds_of(evaluation, {Policy::kMedian, PerFrame::kMaximum});
  store_thresholds(path, folder / "both", {chosen, c}, file_version(path));
  const LoadedModel both = load_model(folder / "both");
  CHECK(both.calibration.value().temperature == c.temperature);
  CHECK(both.calibration->after.loss == c.after.loss);
  CHECK(both.calibration->data == "d");
  CHECK(both.thresholds.value().policy.same_kind(chosen.policy));
  CHECK(both.thresholds->policy.face_threshold == chosen.faces.value);
  CHECK(both.thresholds->temperature == c.temperature);
  // Programs that know no temperature know version 1 only.
  CHECK(Json::parse(thresholds_to_metadata(chosen))["version"] == 2);
  CHECK(Json::parse(thresholds_to_metadata(thresholds_of(example())))["version"] == 1);
  CHECK_FALSE(Json::parse(thresholds_to_metadata(thresholds_of(example()))).contains("policy"));
  store_thresholds(path, folder / "alone", {{}, c}, file_version(path));
  CHECK_FALSE(load_model(folder / "alone").thresholds);
  CHECK(load_model(folder / "alone").calibration);
  // Storing again leaves nothing of the earlier choice.
  const std::string again = folder / "both";
  store_thresholds(again, again, {thresholds_of(example()), {}}, file_version(again));
  CHECK_FALSE(load_model(again).calibration);
  // Thresholds of a program that knew no temperature, beside one.
  store_thresholds(path, folder / "mixed", {thresholds_of(example()), c}, file_version(path));
  const LoadedModel mixed = load_model(folder / "mixed");
  CHECK_FALSE(mixed.thresholds);
  CHECK(mixed.calibration);
  REQUIRE_FALSE(mixed.description.findings.empty());
  CHECK(contains(mixed.description.findings.back().why, "choose it again"));
}

TEST_CASE("damaged temperatures in metadata are refused") {
  const Evaluation evaluation = example();
  const std::string good = calibration_to_metadata(
      calibrate(face_margins(evaluation), face_labels(evaluation), "d", "val"));
  const auto refused = [](const std::string& text) {
    const std::string message = input_error([&] {
      calibration_in_metadata({{kCalibrationKey, text}}, "m.safetensors");
    });
    CHECK(contains(message, "m.safetensors: metadata verace.calibration"));
    return message;
  };
  CHECK(calibration_in_metadata({{kCalibrationKey, good}}, "m"));
  CHECK_FALSE(calibration_in_metadata({}, "m"));
  refused("");
  refused("{}");
  refused(good.substr(0, good.size() - 1));
  refused(std::string(100'000, '['));
  const auto with = [&](const char* path, const Json& value) {
    Json json = Json::parse(good);
    json[Json::json_pointer(path)] = value;
    return json.dump();
  };
  CHECK(contains(refused(with("/version", 2)), "use a newer Verace"));
  for (const Json& bad : {Json(0), Json(-1), Json(0.04), Json(1001), Json(nullptr), Json("2")}) {
    refused(with("/temperature", bad));
    refused(with("/before/calibration_error", bad == 0 || bad == 0.04 ? Json(2) : bad));
  }
  refused(with("/after/loss", -1));
  refused(with("/reals", -1));
}

}  // namespace
}  // namespace verace::apps::calibration_test
