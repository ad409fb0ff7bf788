// Videos without a verdict: read from accounts, counted by reason, in the report's totals.
#include "apps/lib/failed_videos.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "apps/lib/evaluation_report.h"
#include "tests/apps/temporary_pictures.h"
#include "tests/apps/training_support.h"

namespace verace::apps::failed_videos_test {
namespace {

using Json = nlohmann::json;

std::vector<FailedVideo> read(const std::string& text, data::Split split = data::Split::kTest) {
  const TempFolder folder;
  test::write_text(folder / "account.csv", text);
  return read_failed_videos(folder / "account.csv", split);
}

constexpr const char* kAccount =
    "path,label,frames,looked_at,faces,shortfall,damage\n"
    "a.mp4,real,300,32,32,,\n"
    "b.mp4,fake,300,32,0,no face found in 32 frames,\n"
    "c.mp4,real,0,0,0,,c.mp4: not a video\n"
    "d.mp4,,40,32,0,\"no face, in 32 frames\",frame 3 is damaged\n"
    "e.mp4,fake,300,32,1,1 of 32,\n";

TEST_CASE("accounts: who has no face, and why") {
  const auto failed = read(kAccount);
  REQUIRE(failed.size() == 3);
  CHECK(failed[0].video == "b.mp4");
  CHECK(failed[0].label == data::kFake);
  CHECK(failed[0].reason == "no face found");
  CHECK(failed[1].label == data::kReal);
  CHECK(failed[1].reason == "cannot be read");
  CHECK(failed[1].detail == "c.mp4: not a video");
  CHECK_FALSE(failed[2].label);
  CHECK(failed[2].detail == "no face, in 32 frames; frame 3 is damaged");
  CHECK(read("video,path,looked_at,faces,split\nb,x/b.mp4,9,0,val\nc,x/c.mp4,9,0,test\n"
             "d,x/d.mp4,9,0,\n")
            .size() == 2);  // of another split, of this one, of nobody knows which
  CHECK(read("video,path,looked_at,faces,split\nb,x/b.mp4,9,0,val\n", data::Split::kVal)[0].video ==
        "b");
  CHECK(read("path,looked_at,faces\n").empty());
}

TEST_CASE("what is no account is refused with its line") {
  const auto refused = [](const std::string& text) {
    const std::string message = input_error([&] { read(text); });
    CHECK(contains(message, "account.csv"));
    return message;
  };
  CHECK(contains(refused(""), "is empty"));
  CHECK(contains(refused("path,faces\na,1\n"), "no column looked_at"));
  CHECK(contains(refused("path,looked_at,faces\na,1\n"), "account.csv:2"));
  for (const char* bad : {"", "-1", "1.5", "x", "1 ", "99999999999999999999"}) {
    CHECK(contains(refused(std::string("path,looked_at,faces\na,3,1\nb,3,") + bad + "\n"),
                   "account.csv:3: faces"));
  }
  CHECK(contains(refused("path,label,looked_at,faces\na,Real,3,0\n"), "label 'Real'"));
  CHECK(contains(refused("path,split,looked_at,faces\na,dev,3,0\n"), "split 'dev'"));
  const TempFolder folder;
  CHECK(contains(input_error([&] { read_failed_videos(folder / "none.csv", data::Split::kTest); }),
                 "none.csv"));
}

TEST_CASE("figures with failed videos are those of wrong answers") {
  Metrics videos;
  videos.confusion = {{{8, 2}, {1, 9}}};
  FailedCounts counts;
  counts.by_label = {2, 5};
  const AccuracyWithFailed figures = with_failed(videos, counts);
  CHECK(*figures.accuracy == doctest::Approx(17.0 / 27));
  CHECK(*figures.balanced_accuracy == doctest::Approx((8.0 / 12 + 9.0 / 15) / 2));
  CHECK_FALSE(with_failed({}, {}).accuracy);
  CHECK(*with_failed(videos, {}).accuracy == doctest::Approx(0.85));
}

TEST_CASE("reports count them in the totals, by reason") {
  Evaluation evaluation;
  evaluation.samples.push_back({"x", "v", 0, 0.2, 0.1, -1});
  evaluation.samples.push_back({"x", "w", 1, 0.9, 0.1, 2});
  evaluation.failed = read(kAccount);
  set_decision(evaluation, {});
  const std::string text = evaluation_text(evaluation);
  CHECK(contains(text, "without a verdict: 3 of 5 videos (1 real, 1 fake, 1 of unknown label)"));
  CHECK(contains(text, "  no face found              2\n"));
  CHECK(contains(text, "  cannot be read             1\n"));
  CHECK(contains(text, "counts as wrong: accuracy 50.00 %, balanced 50.00 %"));
  const Json json = Json::parse(evaluation_json(evaluation, "m", "test"))["failed_videos"];
  CHECK(json["count"] == 3);
  CHECK(json["reasons"]["no face found"] == 2);
  CHECK(json["accuracy_if_wrong"] == 0.5);
  CHECK(json["videos"][2]["label"].is_null());
  evaluation.failed.clear();
  CHECK_FALSE(contains(evaluation_text(evaluation), "without a verdict"));
}

TEST_CASE("a video of which every picture is broken has failed") {
  const TempFolder folder;
  test::write_pictures(folder / "data", 0, 3);
  data::Dataset dataset = data::load_dataset(folder / "data");
  REQUIRE(dataset.samples.size() == 6);
  for (size_t i = 0; i < 6; ++i) dataset.samples[i].video = "v" + std::to_string(i / 2);
  for (data::Sample& sample : dataset.samples) sample.label = sample.video == "v2" ? 1 : 0;
  for (const size_t i : {size_t{0}, size_t{2}, size_t{3}}) {
    test::write_text(dataset.samples[i].path, "no picture");
  }
  data::LoaderOptions loading;
  loading.fit.size = 32;
  data::Loader loader(dataset.samples, loading);
  const LoadedModel model = make_model(test::narrow_network(), layers::Initialisation::kPyTorch, 3);
  InferenceSession session(*model.classifier, kernels::make_exec(kernels::DeviceKind::kCpu, 1),
                           std::make_shared<engine::Arena>(), 4);
  const Evaluation evaluation = evaluate(session, loader, "model");
  REQUIRE(evaluation.failed.size() == 1);
  CHECK(evaluation.failed[0].video == "v1");
  CHECK(evaluation.failed[0].label == 0);
  CHECK(evaluation.failed[0].reason == "all its pictures are broken");
  CHECK(evaluation.video_scores.size() == 2);
  CHECK(evaluation.samples.size() == 3);
}

}  // namespace
}  // namespace verace::apps::failed_videos_test
