// Verdicts of videos: each policy by hand-computed cases, its edges, and what is no verdict.
#include "apps/lib/video_verdict.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "tests/apps/training_support.h"
#include "tests/support/faults.h"

namespace verace::apps::video_verdict_test {
namespace {

using Doubles = std::vector<double>;

// Of faces of one frame each.
double judged(const Doubles& probabilities, Policy policy, double face_threshold = 0.5) {
  std::vector<FaceAnswer> faces;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    faces.push_back({probabilities[i], static_cast<int64_t>(i), 100});
  }
  return video_probability(faces, {policy, PerFrame::kEach, face_threshold}).value();
}

Doubles repeated(std::initializer_list<std::pair<int, double>> parts) {
  Doubles values;
  for (const auto& [count, value] : parts)
    values.insert(values.end(), static_cast<size_t>(count), value);
  return values;
}

TEST_CASE("mean and median") {
  CHECK(judged({0.9, 0.1, 0.2}, Policy::kMean) == doctest::Approx(0.4));
  CHECK(judged({0.9, 0.1, 0.2}, Policy::kMedian) == 0.2);
  CHECK(judged({0.9, 0.1, 0.2, 0.4}, Policy::kMedian) == doctest::Approx(0.3));
  CHECK(judged({0.4, 0.9, 0.1, 0.2}, Policy::kMedian) == doctest::Approx(0.3));
  test::expect_caught("upper median", judged({0.1, 0.2, 0.4, 0.9}, Policy::kMedian) == 0.4);
}

TEST_CASE("majority: the share of faces above the threshold of faces") {
  CHECK(judged({0.9, 0.6, 0.1, 0.2}, Policy::kMajority) == 0.5);
  CHECK_FALSE(is_fake(judged({0.9, 0.6, 0.1, 0.2}, Policy::kMajority)));  // a tie is no majority
  CHECK(is_fake(judged({0.9, 0.6, 0.51, 0.2}, Policy::kMajority)));
  CHECK(judged({0.9, 0.6, 0.5}, Policy::kMajority) == doctest::Approx(2.0 / 3));  // 0.5 is real
  CHECK(judged({0.9, 0.6, 0.1, 0.2}, Policy::kMajority, 0.7) == 0.25);
  CHECK(judged({0.9, 0.6, 0.1, 0.2}, Policy::kMajority, 0.05) == 1);
}

TEST_CASE("confident: the sure faces if there are enough of them") {
  // 12 of 29 are more than 11 and more than 40 %: their mean.
  CHECK(judged(repeated({{12, 0.9}, {17, 0.3}}), Policy::kConfident) == doctest::Approx(0.9));
  // 12 of 30 are just 40 %.
  const double all = (12 * 0.9 + 18 * 0.3) / 30;
  CHECK(judged(repeated({{12, 0.9}, {18, 0.3}}), Policy::kConfident) == doctest::Approx(all));
  // 11 are not more than 11, however large their share.
  CHECK(judged(repeated({{11, 0.9}, {1, 0.3}}), Policy::kConfident) ==
        doctest::Approx((11 * 0.9 + 0.3) / 12));
  // 0.8 is not above 0.8.
  CHECK(judged(repeated({{12, 0.8}, {8, 0.3}}), Policy::kConfident) == doctest::Approx(0.6));
  // More than 90 % below 0.2: their mean; just 90 %: the mean of all.
  CHECK(judged(repeated({{19, 0.1}, {1, 0.7}}), Policy::kConfident) == doctest::Approx(0.1));
  CHECK(judged(repeated({{18, 0.1}, {2, 0.7}}), Policy::kConfident) == doctest::Approx(0.16));
  CHECK(judged(repeated({{19, 0.2}, {1, 0.7}}), Policy::kConfident) == doctest::Approx(0.225));
  CHECK(judged({0.1}, Policy::kConfident) == 0.1);
  CHECK(judged({0.9}, Policy::kConfident) == 0.9);
  // The strategy as published counts int(n / 2.5); over all counts of sure faces it is the same.
  for (int n = 1; n <= 64; ++n) {
    for (int fakes = 0; fakes <= n; ++fakes) {
      const bool published = fakes > static_cast<int>(n / 2.5) && fakes > 11;
      const double p = judged(repeated({{fakes, 0.9}, {n - fakes, 0.3}}), Policy::kConfident);
      const bool taken = fakes < n && std::abs(p - 0.9) < 1e-9;
      if (fakes < n) CHECK(taken == published);
    }
  }
}

TEST_CASE("one face is its own verdict by mean, median and confident; no face is none") {
  for (size_t i = 0; i < kPolicyNames.size(); ++i) {
    const auto policy = static_cast<Policy>(i);
    INFO(std::string(kPolicyNames[i]));
    CHECK(judged({0.7}, policy) == (policy == Policy::kMajority ? 1 : 0.7));
    for (const PerFrame per_frame : {PerFrame::kEach, PerFrame::kMaximum}) {
      CHECK_FALSE(video_probability({}, {policy, per_frame}).has_value());
    }
  }
}

TEST_CASE("what is no probability is refused by every policy, not ranked somewhere") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (size_t i = 0; i < kPolicyNames.size(); ++i) {
    for (const double bad : {nan, -0.1, 1.1}) {
      CHECK_THROWS_AS(judged({0.5, bad, 0.2}, static_cast<Policy>(i)), Error);
    }
  }
}

TEST_CASE("no order of faces changes the verdict") {
  Doubles values = {0.9, 0.15, 0.33, 0.71, 0.05};
  std::ranges::sort(values);
  std::vector<Doubles> all;
  do {
    all.push_back(values);
  } while (std::ranges::next_permutation(values).found);
  for (size_t i = 0; i < kPolicyNames.size(); ++i) {
    for (const Doubles& order : all) {
      CHECK(judged(order, static_cast<Policy>(i)) ==
            doctest::Approx(judged(all[0], static_cast<Policy>(i))).epsilon(1e-12));
    }
  }
}

TEST_CASE("several faces in a frame: the most suspicious of the large ones") {
  const std::vector<FaceAnswer> crowd = {
      {0.2, 0, 100}, {0.9, 0, 50},  // half as large as the largest: counts
      {0.3, 1, 100}, {0.8, 1, 49},  // smaller: does not
      {0.4, 2, 0},   {0.6, 2, 0},   // sizes unknown: both count
      {0.1, -1, 0},  {0.5, -1, 0},  // frames unknown: each its own
  };
  const VideoPolicy each{}, most{Policy::kMean, PerFrame::kMaximum};
  CHECK(video_probability(crowd, each).value() == doctest::Approx(3.8 / 8));
  CHECK(video_probability(crowd, most).value() ==
        doctest::Approx((0.9 + 0.3 + 0.6 + 0.1 + 0.5) / 5));
  // The largest face need not be the first.
  const std::vector<FaceAnswer> turned = {{0.8, 1, 49}, {0.3, 1, 100}};
  CHECK(video_probability(turned, most).value() == 0.3);
  test::expect_caught("small faces count", video_probability(turned, most).value() == 0.8);
  CHECK(video_probability(crowd, {Policy::kMedian, PerFrame::kMaximum}).value() == 0.5);
}

TEST_CASE("videos of a data set, in the order of their first faces") {
  const std::vector<FaceScore> faces = {
      {"b", 1, 0.9, 0}, {"a", 0, 0.6, 0}, {"b", 1, 0.3, 0}, {"a", 0, 0.2, 3}, {"b", 1, 0.4, 1}};
  const auto by = [&](const VideoPolicy& policy) { return aggregate_videos(faces, policy); };
  REQUIRE(by({}).size() == 2);
  CHECK(by({})[0].video == "b");
  CHECK(by({})[0].faces == 3);
  CHECK(by({})[0].probability == doctest::Approx(1.6 / 3));
  CHECK(by({Policy::kMedian})[0].probability == doctest::Approx(0.4));
  CHECK(by({Policy::kMedian})[1].probability == doctest::Approx(0.4));
  CHECK(by({Policy::kMajority, PerFrame::kEach, 0.35})[0].probability == doctest::Approx(2.0 / 3));
  CHECK(by({Policy::kMean, PerFrame::kMaximum})[0].probability == doctest::Approx(0.65));
  CHECK(by({Policy::kMean, PerFrame::kMaximum})[0].faces == 3);
}

TEST_CASE("policies have texts of their own") {
  std::vector<std::string> texts;
  for (size_t i = 0; i < kPolicyNames.size(); ++i) {
    for (const PerFrame per_frame : {PerFrame::kEach, PerFrame::kMaximum}) {
      texts.push_back(policy_text({static_cast<Policy>(i), per_frame}));
    }
  }
  CHECK(texts[0] == "the mean of their faces");
  CHECK(texts[4] == "the share of fakes among their faces");
  std::ranges::sort(texts);
  CHECK(std::ranges::adjacent_find(texts) == texts.end());
}

}  // namespace
}  // namespace verace::apps::video_verdict_test
