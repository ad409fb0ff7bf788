// Splits of data sets of videos: official, by video, by person; and the check for leaks, which must
// see planted ones.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "data/leak_check.h"
#include "data/video_set.h"
#include "tests/data/data_support.h"
#include "tests/data/video_trees.h"

namespace verace::data::testing::video_splits_test {
using namespace test;
namespace {

std::map<std::string, Split> splits_of(const VideoSet& set) {
  std::map<std::string, Split> result;
  for (const VideoSample& sample : set.videos) {
    REQUIRE_MESSAGE(sample.split.has_value(), sample.name);
    result.emplace(sample.name, *sample.split);
  }
  return result;
}

// Written apart from check_leaks(): names of all videos that share a source, and persons.
void expect_no_source_in_two_splits(const VideoSet& set) {
  std::map<std::string, std::set<Split>> seen;
  for (const VideoSample& sample : set.videos) {
    seen[sample.name].insert(*sample.split);
    for (const std::string& source : sample.sources) seen[source].insert(*sample.split);
  }
  for (const auto& [name, splits] : seen) CHECK_MESSAGE(splits.size() == 1, name);
}

std::vector<std::string> persons(const VideoSample& sample) {
  const size_t plus = sample.identity.find('+');
  if (sample.identity.empty()) return {};
  if (plus == std::string::npos) return {sample.identity};
  return {sample.identity.substr(0, plus), sample.identity.substr(plus + 1)};
}

void expect_no_person_in_two_splits(const VideoSet& set) {
  std::map<std::string, std::set<Split>> seen;
  for (const VideoSample& sample : set.videos) {
    for (const std::string& person : persons(sample)) seen[person].insert(*sample.split);
  }
  for (const auto& [name, splits] : seen) CHECK_MESSAGE(splits.size() == 1, name);
}

int64_t total(const SplitReport& report) {
  int64_t sum = 0;
  for (const auto& split : report.videos) {
    for (const int64_t count : split) sum += count;
  }
  return sum;
}

double share(const SplitReport& report, Split split, int32_t label) {
  double sum = 0;
  for (const auto& counts : report.videos)
    sum += static_cast<double>(counts[static_cast<size_t>(label)]);
  const auto here = report.videos[static_cast<size_t>(split)][static_cast<size_t>(label)];
  return static_cast<double>(here) / sum;
}

// Persons in circles of `circle`, who are swapped among themselves only, each with each.
VideoSet circles_of_persons(int circles, int circle, int clips) {
  VideoSet set;
  set.kind = "made for the test";
  for (int a = 0; a < circles * circle; ++a) {
    for (int clip = 0; clip < clips; ++clip) {
      const std::string real = text::format("real/{}_{}", a, clip);
      set.videos.push_back({real, kReal, real, text::format("p{}", a), std::nullopt, {}});
      for (int other = 0; other < circle; ++other) {
        const int b = a / circle * circle + other;
        if (b == a) continue;
        const std::string fake = text::format("fake/{}_{}_{}", a, b, clip);
        set.videos.push_back(
            {fake, kFake, fake, text::format("p{}+p{}", a, b), std::nullopt, {real}});
      }
    }
  }
  return set;
}

VideoSet celeb_df(const TempFolder& dir, const CelebDfSize& size) {
  if (fs::is_empty(dir.path())) make_celeb_df_with_list(dir.path(), size);
  return load_video_set(dir.path());
}

}  // namespace

TEST_CASE("official: the list is test, the others are divided by video") {
  const TempFolder dir;
  VideoSet set = celeb_df(dir, {.persons = 10, .clips = 8, .donors = 3, .youtube = 40});
  const size_t before = set.videos.size();
  const SplitReport report = assign_splits(set, {});
  CHECK(set.videos.size() == before);
  CHECK(total(report) == static_cast<int64_t>(before));
  CHECK(report.videos[2] == std::array<int64_t, 3>{12, 30, 0});  // clip 0 of each, YouTube 0 and 1
  for (const auto& [name, split] : splits_of(set)) {
    const bool listed =
        (name.ends_with("_0000") || name == "YouTube-real/00000" || name == "YouTube-real/00001");
    CHECK_MESSAGE((split == Split::kTest) == listed, name);
  }
  expect_no_source_in_two_splits(set);
  CHECK(report.leaks.sources == 0);
  // Of train and val together, val is a ninth: 0.1 of 0.8 + 0.1.
  for (const int32_t label : {kReal, kFake}) {
    const auto& counts = report.videos;
    const auto at = static_cast<size_t>(label);
    const double val =
        static_cast<double>(counts[1][at]) / static_cast<double>(counts[0][at] + counts[1][at]);
    CHECK(std::abs(val - 1.0 / 9) < 0.03);
  }
  // The official list divides videos, not persons.
  CHECK(report.leaks.identities == 10);
  CHECK(report.identities == std::array<int64_t, 3>{10, 10, 10});
  CHECK(contains(report.leaks.text, "identity 'id0' is in"));
  CHECK(contains(report.leaks.text, "(10 such)"));
  CHECK(contains(report.leaks.text, "the persons of 40 videos are unknown"));
}

TEST_CASE("official: a fake in test whose source is in train is a leak, and stays") {
  const TempFolder dir;
  const auto lines = make_celeb_df(dir.path());
  std::vector<std::string> without_real;
  for (const std::string& line : lines) {
    if (line != "1 Celeb-real/id2_0000.mp4") without_real.push_back(line);
  }
  REQUIRE(without_real.size() + 1 == lines.size());
  write_lines(dir / "List_of_testing_videos.txt", without_real);
  VideoSet set = load_video_set(dir.path());
  const SplitReport report = assign_splits(set, {});
  CHECK(splits_of(set).at("Celeb-synthesis/id2_id3_0000") == Split::kTest);
  CHECK(splits_of(set).at("Celeb-real/id2_0000") != Split::kTest);
  CHECK(report.leaks.sources == 1);
  CHECK(contains(report.leaks.text, "source video 'Celeb-real/id2_0000' is in "));
}

TEST_CASE("official: where there is none, the message says what to do") {
  const TempFolder dir;
  make_celeb_df(dir.path());
  VideoSet set = load_video_set(dir.path());
  const std::string message = input_error([&] { assign_splits(set, {}); });
  CHECK(contains(message,
                 "Celeb-DF has no official split here (List_of_testing_videos.txt is missing"));
  CHECK(contains(message, "divide it by video or by identity"));
}

TEST_CASE("official: FaceForensics++ by its files, without what they do not list") {
  const TempFolder dir;
  make_faceforensics(dir.path());
  write_file(dir / "manipulated_sequences/Deepfakes/c23/videos/000_019.mp4", std::string_view());
  write_file(dir / "original_sequences/youtube/c23/videos/999.mp4", std::string_view());
  VideoSet set = load_video_set(dir.path());
  const SplitReport report = assign_splits(set, {});
  CHECK(report.videos == decltype(report.videos){{{12, 24, 0}, {4, 8, 0}, {4, 8, 0}}});
  CHECK(report.dropped == std::array<int64_t, 3>{1, 1, 0});
  REQUIRE(report.why_dropped.size() == 1);
  CHECK(report.why_dropped[0].first ==
        std::vector<std::string>{"Deepfakes/000_019", "youtube/999"});
  CHECK(report.leaks.text == "none");
}

TEST_CASE("by video: shares, sources together, the same for any order of files") {
  const TempFolder dir;
  const CelebDfSize size{.persons = 12, .clips = 10, .donors = 4, .youtube = 50};
  VideoSet set = celeb_df(dir, size);
  SplitOptions options{SplitRule::kVideo, {0.7, 0.1, 0.2}, 5};
  const SplitReport report = assign_splits(set, options);
  CHECK(total(report) == 12 * 10 * 5 + 50);
  CHECK(report.leaks.sources == 0);
  expect_no_source_in_two_splits(set);
  for (const int32_t label : {kReal, kFake}) {
    CHECK(std::abs(share(report, Split::kTrain, label) - 0.7) < 0.02);
    CHECK(std::abs(share(report, Split::kVal, label) - 0.1) < 0.02);
    CHECK(std::abs(share(report, Split::kTest, label) - 0.2) < 0.02);
  }

  VideoSet turned = celeb_df(dir, size);
  std::reverse(turned.videos.begin(), turned.videos.end());
  assign_splits(turned, options);
  CHECK(splits_of(turned) == splits_of(set));
  assign_splits(set, options);  // again: what was assigned does not matter
  CHECK(splits_of(turned) == splits_of(set));
  options.seed = 6;
  assign_splits(turned, options);
  CHECK(splits_of(turned) != splits_of(set));
}

TEST_CASE("by video: a fake whose video is missing stays with the other fakes of it") {
  const TempFolder dir;
  make_celeb_df(dir.path(), {.persons = 6, .clips = 6, .donors = 5, .youtube = 0});
  fs::remove_all(dir / "Celeb-real");
  VideoSet set = load_video_set(dir.path());
  const SplitReport report = assign_splits(set, {SplitRule::kVideo, {0.5, 0.2, 0.3}, 1});
  expect_no_source_in_two_splits(set);
  CHECK(report.leaks.sources == 0);
  for (const Split split : {Split::kTrain, Split::kVal, Split::kTest}) {
    CHECK(share(report, split, kFake) > 0.1);
  }
}

TEST_CASE("by video: FaceForensics++ keeps both originals of a fake together") {
  const TempFolder dir;
  make_faceforensics(dir.path(), {.pairs = 40});
  VideoSet set = load_video_set(dir.path());
  assign_splits(set, {SplitRule::kVideo, {0.8, 0.1, 0.1}, 1});
  expect_no_source_in_two_splits(set);
  for (int i = 0; i < 80; i += 2) {
    CHECK(splits_of(set).at(text::format("youtube/{:03}", i)) ==
          splits_of(set).at(text::format("youtube/{:03}", i + 1)));
  }
}

TEST_CASE("by video: small sets leave no split empty while there are videos") {
  VideoSet set;
  for (int i = 0; i < 10; ++i) {
    const std::string name = text::format("{}/{}", i < 5 ? "real" : "fake", i);
    set.videos.push_back({name, i < 5 ? kReal : kFake, name, "", std::nullopt, {}});
  }
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const SplitReport report = assign_splits(set, {SplitRule::kVideo, {0.8, 0.1, 0.1}, seed});
    for (const auto& split : report.videos) {
      CHECK(split[kReal] >= 1);
      CHECK(split[kFake] >= 1);
    }
    CHECK(report.videos[0][kReal] == 3);
  }
  const SplitReport none = assign_splits(set, {SplitRule::kVideo, {1, 0, 0}, 1});
  CHECK(none.videos[0] == std::array<int64_t, 3>{5, 5, 0});
  CHECK(contains(none.leaks.text, "the persons of 10 videos are unknown"));
}

TEST_CASE("by identity: no person in two splits, few videos lost") {
  const TempFolder dir;
  const CelebDfSize size{.persons = 20, .clips = 6, .donors = 4, .youtube = 30};
  VideoSet set = celeb_df(dir, size);
  const auto before = static_cast<int64_t>(set.videos.size());
  const SplitReport report = assign_splits(set, {SplitRule::kIdentity, {0.6, 0.2, 0.2}, 1});
  CHECK(report.leaks.identities == 0);
  CHECK(report.leaks.sources == 0);
  expect_no_person_in_two_splits(set);
  expect_no_source_in_two_splits(set);
  CHECK(report.dropped[kReal] == 0);
  CHECK(total(report) + report.dropped[kFake] == before);
  CHECK(static_cast<int64_t>(set.videos.size()) == total(report));
  CHECK(report.identities[0] + report.identities[1] + report.identities[2] == 20);
  // Persons stand in a ring, each joined with the four next ones: cut in three arcs it loses 3 * 10
  // of 80 pairs. Chance would lose 56 % (1 - 0.36 - 0.04 - 0.04).
  CHECK(report.dropped[kFake] <= 30 * 6);
  CHECK(report.why_dropped.at(0).count == report.dropped[kFake]);
  for (const int32_t label : {kReal, kFake}) {
    CHECK(std::abs(share(report, Split::kTrain, label) - 0.6) < 0.15);
    CHECK(std::abs(share(report, Split::kVal, label) - 0.2) < 0.1);
    CHECK(std::abs(share(report, Split::kTest, label) - 0.2) < 0.1);
  }
  // The dropped ones were the right ones: their persons are apart.
  std::map<std::string, Split> split_of;
  for (const VideoSample& sample : set.videos) {
    for (const std::string& person : persons(sample)) split_of[person] = *sample.split;
  }
  const auto kept = splits_of(set);
  for (const VideoSample& sample : celeb_df(dir, size).videos) {
    if (kept.contains(sample.name)) continue;
    const auto both = persons(sample);
    REQUIRE(both.size() == 2);
    CHECK(split_of.at(both[0]) != split_of.at(both[1]));
  }
}

TEST_CASE("by identity: circles of persons stay whole, and nothing is lost") {
  VideoSet many = circles_of_persons(30, 2, 3);  // as in FaceForensics++
  SplitReport report = assign_splits(many, {SplitRule::kIdentity, {0.8, 0.1, 0.1}, 3});
  CHECK(report.dropped == std::array<int64_t, 3>{});
  CHECK(report.identities == std::array<int64_t, 3>{48, 6, 6});
  CHECK(report.leaks.text == "none");
  // So many that they do not change places, but only move.
  many = circles_of_persons(1000, 2, 1);
  report = assign_splits(many, {SplitRule::kIdentity, {0.8, 0.1, 0.1}, 3});
  CHECK(report.dropped == std::array<int64_t, 3>{});
  // Circles are not torn where whole ones do.
  VideoSet few = circles_of_persons(10, 6, 2);
  report = assign_splits(few, {SplitRule::kIdentity, {0.8, 0.1, 0.1}, 3});
  expect_no_person_in_two_splits(few);
  CHECK(report.dropped[kFake] == 0);
  CHECK(report.identities == std::array<int64_t, 3>{48, 6, 6});
}

TEST_CASE("by identity: refused where nothing is known of persons") {
  VideoSet set;
  set.kind = "folders real and fake";
  set.videos.push_back({"a", kReal, "a", "", std::nullopt, {}});
  CHECK(contains(input_error([&] { assign_splits(set, {SplitRule::kIdentity}); }),
                 "nothing is known of the persons in folders real and fake; divide it by video"));
}

TEST_CASE("shares that are none are refused") {
  VideoSet set;
  set.videos.push_back({"a", kReal, "a", "", std::nullopt, {}});
  const auto refused = [&](std::array<double, 3> shares) {
    return input_error([&] { assign_splits(set, {SplitRule::kVideo, shares, 1}); });
  };
  CHECK(contains(refused({0.8, 0.1, 0.2}), "must add up to 1"));
  CHECK(contains(refused({1.2, -0.2, 0}), "must lie in [0, 1]"));
  CHECK(contains(refused({std::nan(""), 0.5, 0.5}), "must lie in [0, 1]"));
  const TempFolder dir;
  VideoSet celeb = celeb_df(dir, {});
  CHECK(contains(input_error([&] {
                   assign_splits(celeb, {SplitRule::kOfficial, {0, 0, 1}, 1});
                 }),
                 "train and val must not both be 0"));
}

TEST_CASE("planted leaks are seen") {
  VideoSet set = circles_of_persons(4, 2, 1);
  assign_splits(set, {SplitRule::kIdentity, {0.5, 0.25, 0.25}, 1});
  REQUIRE(check_leaks(set).text == "none");
  const auto find = [&](const std::string& name) -> VideoSample& {
    return *std::find_if(set.videos.begin(), set.videos.end(),
                         [&](const VideoSample& sample) { return sample.name == name; });
  };
  // A fake moves away from its source, which is of the same person.
  VideoSample& fake = find("fake/0_1_0");
  const Split home = *fake.split;
  const Split away = home == Split::kTest ? Split::kTrain : Split::kTest;
  fake.split = away;
  LeakReport report = check_leaks(set);
  CHECK(report.sources == 1);
  CHECK(report.identities == 2);
  CHECK(contains(report.text, "source video 'real/0_0' is in "));
  CHECK(contains(report.text, "identity 'p0' is in "));
  // The second name of an identity counts as much as the first.
  fake.sources.clear();
  fake.identity = "x+p1";
  report = check_leaks(set);
  CHECK(report.sources == 0);
  CHECK(report.identities == 1);
  CHECK(contains(report.text, "identity 'p1' is in "));
  // Two fakes of a video that is not here.
  fake.identity.clear();
  fake.sources = {"real/gone"};
  find("fake/1_0_0").sources = {"real/gone"};
  report = check_leaks(set);
  CHECK(report.identities == 0);
  CHECK(report.sources == 1);
  CHECK(report.unknown == 1);
  // Without splits there are no leaks.
  for (VideoSample& sample : set.videos) sample.split.reset();
  CHECK(check_leaks(set).text == "none");
}

TEST_CASE("identities are taken apart at plus signs") {
  const auto taken = [](std::string_view identity) {
    std::vector<std::string> names;
    each_identity(identity, [&](const std::string& name) { names.push_back(name); });
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(taken("") == Names{});
  CHECK(taken("a") == Names{"a"});
  CHECK(taken("id1+id0") == Names{"id1", "id0"});
  CHECK(taken("+a++b+") == Names{"a", "b"});
}

}  // namespace verace::data::testing::video_splits_test
