// Figures of merit, curves, thresholds and intervals against scikit-learn's
// (tests/goldens/make_metrics.py)
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/lib/bootstrap.h"
#include "apps/lib/metric_curves.h"
#include "apps/lib/threshold.h"
#include "kernels/check.h"
#include "tests/support/faults.h"
#include "tests/support/files.h"

namespace verace::apps::metrics_golden_test {
namespace {

using Json = nlohmann::json;
using Doubles = std::vector<double>;
using Labels = std::vector<int32_t>;

struct Golden {
  std::string name;
  Doubles probabilities;
  Labels labels;
  double threshold = 0;
  Json json;
};

const Json& file() {
  static const Json json =
      Json::parse(test::read_text(std::string(VERACE_GOLDENS) + "/metrics.json"));
  return json;
}

std::vector<Golden> goldens() {
  std::vector<Golden> all;
  for (const Json& j : file()["cases"]) {
    all.push_back({j["name"], j["probabilities"], j["labels"], j["threshold"], j});
  }
  REQUIRE(all.size() == 12);
  return all;
}

Golden golden(const std::string& name) {
  for (Golden& g : goldens()) {
    if (g.name == name) return g;
  }
  FAIL("no case " << name);
  return {};
}

// Sums of a hundred doubles in another order: some units of 1e-16 each. A NaN is never near.
bool near_numbers(double a, double b) {
  return std::abs(a - b) <= 1e-12 * std::max(1.0, std::abs(b));
}

bool near(const std::optional<double>& value, const Json& wanted) {
  return value ? wanted.is_number() && near_numbers(*value, wanted.get<double>())
               : wanted.is_null();
}

// The keys of what differs; empty if all agrees.
std::string difference(const Metrics& metrics, const Json& wanted) {
  std::string keys;
  if (metrics.confusion != wanted["confusion"].get<Confusion>()) keys += "confusion ";
  for (const Figure& figure : kFigures) {
    if (!near(metrics.*figure.member, wanted[figure.key])) keys += std::string(figure.key) + " ";
  }
  return keys;
}

void expect_named(const std::string& fault, const std::string& keys,
                  const std::vector<std::string>& named) {
  for (const std::string& key : named) {
    INFO(keys);
    test::expect_caught(fault + ", by " + key, keys.find(key + " ") == std::string::npos);
  }
}

std::string difference_of(const Golden& g) {
  return difference(compute_metrics(g.probabilities, g.labels, g.threshold), g.json["figures"]);
}

TEST_CASE("figures agree with scikit-learn") {
  for (const Golden& g : goldens()) {
    INFO(g.name);
    CHECK(difference_of(g).empty());
    const Metrics m = compute_metrics(g.probabilities, g.labels, g.threshold);
    CHECK(undefined_reason(m) == (g.name == "only fakes"   ? "no real samples"
                                  : g.name == "only reals" ? "no fake samples"
                                                           : ""));
  }
}

TEST_CASE("the comparison notices planted faults") {
  Golden ties = golden("many ties");
  Golden broken = ties;
  for (size_t i = 0; i < ties.labels.size(); ++i) {
    broken.probabilities[i] = std::min(1.0, ties.probabilities[i] + 1e-9 * ties.labels[i]);
  }
  expect_named("ties in favour of fakes", difference_of(broken),
               {"auc", "average_precision", "equal_error_rate"});
  broken = ties;
  for (int32_t& label : broken.labels) label = 1 - label;
  expect_named("classes swapped", difference_of(broken),
               {"confusion", "loss", "accuracy", "auc", "average_precision", "equal_error_rate",
                "expected_calibration_error"});
  broken = ties;
  for (double& p : broken.probabilities) p = 1 - p;
  expect_named("probability of real", difference_of(broken), {"confusion", "loss", "auc"});
  broken = ties;
  broken.threshold = std::nextafter(ties.threshold, 0.0);
  expect_named("fake at the threshold", difference_of(broken),
               {"confusion", "accuracy", "balanced_accuracy"});
  broken = ties;
  std::swap(broken.labels[0], broken.labels[1]);
  expect_named("one label wrong", difference_of(broken), {"loss", "auc"});
  Metrics undefined = compute_metrics(Doubles{0.2, 0.7, 0.9}, Labels{1, 1, 1});
  undefined.auc = undefined.average_precision = 0.5;
  expect_named("a number where none is defined",
               difference(undefined, golden("only fakes").json["figures"]),
               {"auc", "average_precision"});
  undefined.loss = std::numeric_limits<double>::quiet_NaN();
  expect_named("NaN", difference(undefined, golden("only fakes").json["figures"]), {"loss"});
}

TEST_CASE("usual mistakes would not pass") {
  const Golden equal = golden("all equal");
  // The point of the curve that is nearest to FPR = FNR, instead of the crossing.
  double nearest = 2, rate = -1;
  for (const RocPoint& p : compute_curves(equal.probabilities, equal.labels).roc) {
    const double gap = std::abs(p.false_positive_rate - (1 - p.true_positive_rate));
    if (gap < nearest) nearest = gap, rate = p.false_positive_rate;
  }
  const Json& wanted = equal.json["figures"]["equal_error_rate"];
  test::expect_caught("the nearest point as equal error rate", near(rate, wanted));
  // Bins [lower, upper).
  const Golden edges = golden("edges of bins");
  Doubles gaps(kCalibrationBins + 1);
  for (size_t i = 0; i < edges.labels.size(); ++i) {
    const double p = edges.probabilities[i], sure = confidence_of(p);
    gaps[static_cast<size_t>(sure * kCalibrationBins)] +=
        ((p > 0.5) == (edges.labels[i] == 1)) - sure;
  }
  double error = 0;
  for (const double gap : gaps) error += std::abs(gap) / static_cast<double>(edges.labels.size());
  test::expect_caught("bins closed below",
                      near(error, edges.json["figures"]["expected_calibration_error"]));
  CHECK(confidence_bin(0) == 0);
  CHECK(confidence_bin(1.0 / 15) == 0);
  CHECK(confidence_bin(std::nextafter(1.0 / 15, 1.0)) == 1);
  CHECK(confidence_bin(1) == kCalibrationBins - 1);
}

// Rows of numbers or null against the golden's.
bool rows_agree(const std::vector<std::vector<std::optional<double>>>& rows, const Json& wanted) {
  if (rows.size() != wanted.size()) return false;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].size() != wanted[i].size()) return false;
    for (size_t j = 0; j < rows[i].size(); ++j) {
      if (!near(rows[i][j], wanted[i][j])) return false;
    }
  }
  return true;
}

TEST_CASE("curves agree with scikit-learn, and their CSV with them") {
  for (const char* name : {"no ties", "many ties"}) {
    const Golden g = golden(name);
    INFO(g.name);
    MetricCurves curves = compute_curves(g.probabilities, g.labels);
    const Json& wanted = g.json["curves"];
    std::vector<std::vector<std::optional<double>>> roc, pr, bins;
    for (const RocPoint& p : curves.roc) {
      // Infinity is null in JSON.
      const bool first = std::isinf(p.threshold);
      roc.push_back({first ? std::nullopt : std::optional(p.threshold), p.false_positive_rate,
                     p.true_positive_rate});
    }
    for (const PrecisionRecallPoint& p : curves.precision_recall) {
      pr.push_back({p.threshold, p.precision, p.recall});
    }
    for (const ReliabilityBin& b : curves.reliability) {
      bins.push_back({b.lower, b.upper, static_cast<double>(b.count), b.confidence, b.accuracy});
    }
    CHECK(rows_agree(roc, wanted["roc"]));
    CHECK(rows_agree(pr, wanted["precision_recall"]));
    CHECK(rows_agree(bins, wanted["reliability"]));
    const std::string csv = roc_csv(curves, {});
    CHECK(
        csv.starts_with("level,threshold,false_positive_rate,true_positive_rate\n"
                        "faces,inf,0,0\n"));
    CHECK(static_cast<size_t>(std::count(csv.begin(), csv.end(), '\n')) == roc.size() + 1);
    CHECK(precision_recall_csv({}, curves).find("videos,,1,0\n") != std::string::npos);
    CHECK(reliability_csv(curves, {}).find("faces,0,0.06666666666666667,0,,\n") !=
          std::string::npos);
    std::swap(roc[1], roc[2]);
    test::expect_caught("two points exchanged", rows_agree(roc, wanted["roc"]));
    pr.pop_back();
    test::expect_caught("a point is missing", rows_agree(pr, wanted["precision_recall"]));
  }
  const MetricCurves one_class = compute_curves(Doubles{0.2, 0.7}, Labels{0, 0});
  CHECK(one_class.roc.empty());
  CHECK(one_class.precision_recall.empty());
  CHECK(one_class.reliability.size() == kCalibrationBins);
  CHECK(compute_curves(Doubles{}, Labels{}).reliability.empty());
}

TEST_CASE("thresholds reach the rates of scikit-learn's curve") {
  int rates = 0;
  for (const Golden& g : goldens()) {
    if (!g.json.contains("at_rates")) continue;
    INFO(g.name);
    for (const Json& row : g.json["at_rates"]) {
      const LevelThreshold t = choose_threshold(g.probabilities, g.labels, row[0]);
      CHECK(near(t.false_positive_rate, row[1]));
      CHECK(near(t.true_positive_rate, row[2]));
      // What was promised is what verdicts then give, also where scores shift a little.
      const Metrics m = compute_metrics(g.probabilities, g.labels, t.value);
      CHECK(static_cast<double>(m.confusion[0][1]) / static_cast<double>(t.reals) ==
            t.false_positive_rate);
      CHECK(t.value >= 0);
      CHECK(t.value <= 1);
      ++rates;
    }
  }
  CHECK(rates == 50);
}

bool intervals_agree(const Intervals& intervals, const Json& wanted) {
  for (size_t i = 0; i < kFigures.size(); ++i) {
    const Json& pair = wanted[kFigures[i].key];
    if (!intervals[i] || !near(intervals[i]->low, pair[0]) || !near(intervals[i]->high, pair[1])) {
      return false;
    }
  }
  return true;
}

TEST_CASE("bootstrap intervals agree with resamples judged by scikit-learn") {
  const BootstrapOptions options{file()["resamples"], file()["seed"], 0.95};
  for (const char* name : {"videos", "a video per face"}) {
    const Golden g = golden(name);
    INFO(g.name);
    const std::vector<size_t> videos = g.json["videos"];
    const ScoredSet set(g.probabilities, g.labels, {}, g.threshold);
    const Intervals intervals = bootstrap_intervals(set, g.labels, videos, options);
    CHECK(intervals_agree(intervals, g.json["intervals"]));
    BootstrapOptions other = options;
    other.seed += 1;
    test::expect_caught(
        "another seed",
        intervals_agree(bootstrap_intervals(set, g.labels, videos, other), g.json["intervals"]));
    other = options;
    other.confidence = 0.9;
    test::expect_caught(
        "90 % instead of 95 %",
        intervals_agree(bootstrap_intervals(set, g.labels, videos, other), g.json["intervals"]));
  }
  const Golden g = golden("videos");
  std::vector<size_t> each(g.labels.size());
  for (size_t i = 0; i < each.size(); ++i) each[i] = i;
  const ScoredSet set(g.probabilities, g.labels, {}, g.threshold);
  test::expect_caught(
      "faces drawn one by one",
      intervals_agree(bootstrap_intervals(set, g.labels, each, options), g.json["intervals"]));
}

TEST_CASE("intervals that nothing can be said about are empty") {
  const auto any = [](const Doubles& p, const Labels& y, const std::vector<size_t>& videos,
                      int64_t resamples = 50) {
    int given = 0;
    const BootstrapOptions options{resamples, 1, 0.95};
    for (const auto& i : bootstrap_intervals(ScoredSet(p, y), y, videos, options)) {
      given += i.has_value();
    }
    return given;
  };
  CHECK(any({}, {}, {}) == 0);
  CHECK(any({0.1, 0.2, 0.9}, {0, 0, 1}, {0, 1, 2}) == 0);  // one fake video
  CHECK(any({0.1, 0.2, 0.9, 0.8}, {0, 0, 1, 1}, {0, 1, 2, 2}) == 0);
  CHECK(any({0.1, 0.2, 0.9, 0.8}, {0, 0, 1, 1}, {0, 0, 1, 2}) == 0);
  CHECK(any({0.1, 0.2, 0.9, 0.8}, {0, 0, 1, 1}, {0, 1, 2, 3}) == 7);
  CHECK(any({0.1, 0.2, 0.9, 0.8}, {0, 0, 1, 1}, {0, 1, 2, 3}, 0) == 0);
  CHECK(any({0.1, 0.2, 0.9}, {1, 1, 1}, {0, 1, 2}) == 3);   // loss, accuracy, calibration
  CHECK_THROWS_AS(any({0.1, 0.9}, {0, 1}, {0, 0}), Error);  // a video of both labels
  CHECK(quantile(Doubles{3}, 0.9) == 3);
  CHECK(quantile(Doubles{1, 2, 4}, 0.75) == 3);
}

}  // namespace
}  // namespace verace::apps::metrics_golden_test
