// Metrics against hand-computed values and brute force.
#include "apps/lib/metrics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "apps/lib/evaluator.h"
#include "tests/apps/training_support.h"
#include "tests/support/faults.h"
#include "tests/support/random.h"

namespace verace::apps::metrics_test {
namespace {

using Doubles = std::vector<double>;
using Labels = std::vector<int32_t>;

// By the definition: all pairs. `tie` is what a tie counts.
double pairs_auc(const Doubles& scores, const Labels& labels, double tie = 0.5) {
  double wins = 0, pairs = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    for (size_t j = 0; j < scores.size(); ++j) {
      if (labels[i] != 1 || labels[j] != 0) continue;
      pairs += 1;
      wins += scores[i] > scores[j] ? 1.0 : scores[i] == scores[j] ? tie : 0.0;
    }
  }
  return wins / pairs;
}

std::optional<double> area_under_roc(const Doubles& scores, const Labels& labels) {
  return compute_metrics(scores, labels).auc;
}

TEST_CASE("a set judged by hand") {
  const Doubles p = {0.9, 0.2, 0.5, 0.7, 0.1};
  const Labels y = {1, 1, 1, 0, 0};
  const Metrics m = compute_metrics(p, y);
  CHECK(m.count == 5);
  CHECK(m.confusion == Confusion{{{1, 1}, {2, 1}}});  // 0.5 is not above the threshold: real
  CHECK(*m.accuracy == doctest::Approx(0.4));
  CHECK(*m.balanced_accuracy == doctest::Approx((0.5 + 1.0 / 3) / 2));
  CHECK(*m.auc == doctest::Approx(4.0 / 6));  // 0.9 beats both, 0.2 and 0.5 beat 0.1
  CHECK(compute_metrics(p, y, 0.6).confusion == Confusion{{{1, 1}, {2, 1}}});
  CHECK(compute_metrics(p, y, 0.15).accuracy.value() == doctest::Approx(0.8));
}

TEST_CASE("one class missing, and nothing at all") {
  const Metrics all_fake = compute_metrics(Doubles{0.9, 0.1}, Labels{1, 1});
  CHECK(*all_fake.accuracy == doctest::Approx(0.5));
  for (const auto& figure : {all_fake.balanced_accuracy, all_fake.auc, all_fake.average_precision,
                             all_fake.equal_error_rate}) {
    CHECK_FALSE(figure);
  }
  const Metrics none = compute_metrics(Doubles{}, Labels{});
  CHECK(none.count == 0);
  CHECK(undefined_reason(none) == "no samples");
  for (const Figure& figure : kFigures) {
    INFO(std::string(figure.key));
    CHECK_FALSE(none.*figure.member);
  }
}

TEST_CASE("area under the curve: exact ends, ties, brute force") {
  CHECK(*area_under_roc(Doubles{0.1, 0.2, 0.8, 0.9}, Labels{0, 0, 1, 1}) == 1.0);
  CHECK(*area_under_roc(Doubles{0.1, 0.2, 0.8, 0.9}, Labels{1, 1, 0, 0}) == 0.0);
  CHECK(*area_under_roc(Doubles{0.5, 0.5, 0.5}, Labels{1, 0, 0}) == 0.5);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Doubles scores;
    Labels labels;
    for (uint64_t i = 0; i < 60; ++i) {
      // Few distinct values, so that there are many ties inside and between the classes.
      scores.push_back(std::floor(8 * test::random_unit(seed, 2 * i)) / 8);
      labels.push_back(i < 2 ? static_cast<int32_t>(i) : test::random_unit(seed, 2 * i + 1) < 0.3);
    }
    const double auc = *area_under_roc(scores, labels);
    CHECK(auc == doctest::Approx(pairs_auc(scores, labels)).epsilon(1e-12));
    test::expect_caught("ties count nothing", std::abs(auc - pairs_auc(scores, labels, 0)) < 1e-12);
    test::expect_caught("ties count one", std::abs(auc - pairs_auc(scores, labels, 1)) < 1e-12);
  }
}

TEST_CASE("what has no rank or label is refused") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(area_under_roc(Doubles{nan, 0.5}, Labels{0, 1}), Error);
  CHECK_THROWS_AS(compute_metrics(Doubles{0.5}, Labels{2}), Error);
  CHECK_THROWS_AS(compute_metrics(Doubles{1.5, 0.5}, Labels{0, 1}), Error);
  CHECK_THROWS_AS(ScoredSet(Doubles{0.5, 0.6}, Labels{0, 1}, Doubles{1, nan}), Error);
  CHECK_THROWS_AS(compute_metrics(Doubles{0.5, 0.5}, Labels{1}), Error);
}

TEST_CASE("losses of samples are their own where given, and of a multiset the mean") {
  const ScoredSet set(Doubles{0.1, 0.9, 0.4}, Labels{0, 1, 1}, Doubles{1, 2, 6});
  CHECK(*set.metrics().loss == doctest::Approx(3));
  CHECK(*set.metrics(std::vector<int64_t>{2, 0, 2}).loss == doctest::Approx(3.5));
  CHECK(set.metrics(std::vector<int64_t>{2, 0, 2}).count == 4);
  CHECK(set.metrics(std::vector<int64_t>{2, 0, 2}).confusion == Confusion{{{2, 0}, {2, 0}}});
  CHECK_FALSE(set.metrics(std::vector<int64_t>{0, 1, 1}).auc);
}

TEST_CASE("cross-entropy from logits, also from very large ones") {
  CHECK(cross_entropy(std::vector<float>{0, 0}, 1) == doctest::Approx(std::log(2.0)));
  CHECK(cross_entropy(std::vector<float>{1, 3}, 0) ==
        doctest::Approx(2 + std::log1p(std::exp(-2.0))));
  CHECK(cross_entropy(std::vector<float>{-200, 130}, 0) == doctest::Approx(330));
  CHECK(cross_entropy(std::vector<float>{3e38f, -3e38f}, 1) == doctest::Approx(6e38));
  CHECK(mean_cross_entropy(std::vector<float>{0, 0, 1, 3}, Labels{1, 0}) ==
        doctest::Approx((std::log(2.0) + 2 + std::log1p(std::exp(-2.0))) / 2));
  CHECK(mean_cross_entropy({}, {}) == 0);
}

TEST_CASE("videos are judged by the mean of their faces") {
  const std::vector<FaceScore> faces = {{"b", 1, 0.9}, {"a", 0, 0.6}, {"b", 1, 0.3}, {"a", 0, 0.2}};
  const auto videos = aggregate_videos(faces);
  REQUIRE(videos.size() == 2);
  CHECK(videos[0].video == "b");
  CHECK(videos[0].faces == 2);
  CHECK(videos[0].probability == doctest::Approx(0.6));
  CHECK(videos[1].probability == doctest::Approx(0.4));
  CHECK(compute_metrics(videos).accuracy.value() == 1.0);  // two of four faces are wrong
  const std::string message = input_error([] {
    aggregate_videos(std::vector<FaceScore>{{"a", 0, 0.5}, {"a", 1, 0.5}});
  });
  CHECK(contains(message, "video 'a'"));
}

TEST_CASE("intervals are those of each level, curves too") {
  Evaluation evaluation;
  Doubles probabilities, losses;
  Labels labels;
  const std::vector<size_t> video_of = {0, 0, 1, 1, 2, 2, 3, 3};
  for (size_t i = 0; i < video_of.size(); ++i) {
    probabilities.push_back(0.1 + 0.07 * static_cast<double>(i * 5 % 11));
    losses.push_back(static_cast<double>(i));
    labels.push_back(video_of[i] > 1 ? 1 : 0);
    evaluation.samples.push_back(
        {"x", std::to_string(video_of[i]), labels[i], probabilities[i], losses[i]});
  }
  evaluation.video_scores = aggregate_videos(face_scores(evaluation));
  evaluation.decision.faces = 0.3;
  evaluation.decision.videos = 0.4;
  const BootstrapOptions options{100, 3, 0.9};
  add_intervals(evaluation, options);
  Doubles means;
  for (const VideoScore& video : evaluation.video_scores) means.push_back(video.probability);
  const Labels video_labels = {0, 0, 1, 1};
  const auto same = [](const Intervals& a, const Intervals& b) {
    for (size_t i = 0; i < a.size(); ++i) {
      if (!a[i] || !b[i] || a[i]->low != b[i]->low || a[i]->high != b[i]->high) return false;
    }
    return true;
  };
  const Intervals faces =
      bootstrap_intervals(ScoredSet(probabilities, labels, losses, 0.3), labels, video_of, options);
  const Intervals videos =
      bootstrap_intervals(ScoredSet(means, video_labels, {}, 0.4), video_labels,
                          std::vector<size_t>{0, 1, 2, 3}, options);
  CHECK(same(evaluation.intervals->faces, faces));
  CHECK(same(evaluation.intervals->videos, videos));
  test::expect_caught("levels exchanged", same(evaluation.intervals->faces, videos));
  CHECK(face_curves(evaluation).roc.size() == 9);
  CHECK(video_curves(evaluation).roc.size() <= 5);
}

TEST_CASE("faces as CSV") {
  const TempFolder folder;
  Evaluation evaluation;
  evaluation.samples.push_back({"dir/a, \"b\".png", "clip 1", 1, 0.25, 1.5});
  write_faces_csv(folder / "faces.csv", evaluation);
  CHECK(read_text(folder / "faces.csv") ==
        "path,video,label,probability,loss\n\"dir/a, \"\"b\"\".png\",clip 1,fake,0.25,1.5\n");
}

}  // namespace
}  // namespace verace::apps::metrics_test
