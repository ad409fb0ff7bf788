// verace predict of videos and manifests through the real program, with a narrow detector: the same
// verdicts both ways, no verdict without a face, annotated copies, and what is refused.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/cli/faces_support.h"
#include "tests/cli/world.h"

namespace verace::predict_videos_test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using test::expect_refusal;
using test::Finished;
using test::narrow_detector;
using test::Words;
using test::World;

// Four videos as folders of five frames; made once.
std::string videos() {
  const World& world = World::get();
  if (!fs::exists(world / "videos")) test::write_coarse_set(world / "videos", 2, 5);
  return world / "videos";
}

Finished predict(const Words& more) {
  Words words = {"predict", "--model", World::get() / "run"};
  words.insert(words.end(), more.begin(), more.end());
  return World::get().run(words);
}
Words with_detector(const std::string& video, const Words& more = {}) {
  Words words = {"--detector", narrow_detector(), "--video",    video,    "--frames",
                 "3",          "--sampling",      "max-stride", "--crop", "square"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST_CASE("a video is judged as the faces that verace faces takes from it") {
  const World& world = World::get();
  const std::string video = videos() + "/real/v00", out = world / "crops";
  const Finished faces =
      world.run({"faces", videos(), "--detector", narrow_detector(), "--faces-per-video", "3",
                 "--crop", "square", "--size", "32", "--png", "--out", out, "--quiet"});
  INFO(faces.err);
  REQUIRE(faces.code == 0);
  const Finished manifest = predict({out + "/manifest.csv", "--json"});
  const Json stored = Json::parse(manifest.out);
  int judged = 0;
  for (const Json& item : stored["items"]) {
    const std::string name = item["path"].get<std::string>();
    const Finished finished = predict(with_detector(videos() + "/" + name, {"--json"}));
    const Json found = Json::parse(finished.out)["items"][0];
    INFO(name, " ", finished.err);
    CHECK(found["kind"] == "video");
    CHECK(found["frames_in_video"] == 5);
    REQUIRE(found["faces"].size() == item["faces"].size());
    CHECK(found["verdict"] == item["verdict"]);
    if (item["verdict"].is_null()) continue;
    ++judged;
    CHECK(found["fake_probability"].get<double>() ==
          doctest::Approx(item["fake_probability"].get<double>()).epsilon(1e-5));
    for (size_t i = 0; i < found["faces"].size(); ++i) {
      CHECK(found["faces"][i]["frame"] == item["faces"][i]["frame"]);
    }
  }
  CHECK(judged >= 3);
  // Other crops, other answers: why the model says which it was trained on.
  Words tight = with_detector(video, {"--json"});
  tight[9] = "tight";
  const Json other = Json::parse(predict(tight).out)["items"][0];
  const Json square = Json::parse(predict(with_detector(video, {"--json"})).out)["items"][0];
  REQUIRE_FALSE(square["fake_probability"].is_null());
  CHECK(std::abs(other["fake_probability"].get<double>() -
                 square["fake_probability"].get<double>()) > 1e-6);
}

TEST_CASE("without a face there is no verdict, and the exit code says so") {
  const Finished none = predict(with_detector(videos() + "/real/v00", {"--min-score", "1"}));
  CHECK(none.code == 2);
  CHECK(none.out.starts_with("cannot judge: no face found in 3 frames  "));
  CHECK(none.err.find("verace: ") == std::string::npos);  // not an error of the file
  const Finished json =
      predict(with_detector(videos() + "/real/v00", {"--min-score", "1", "--json"}));
  CHECK(Json::parse(json.out)["items"][0]["fake_probability"].is_null());
  const Finished missing = predict(with_detector(World::get() / "missing.mp4"));
  CHECK(missing.code == 2);
  CHECK(missing.out.empty());
  CHECK(missing.err.find("missing.mp4") != std::string::npos);
}

TEST_CASE("an annotated copy has all frames, and replaces nothing") {
  const World& world = World::get();
  const std::string video = videos() + "/real/v00", out = world / "annotated";
  const Finished finished = predict(with_detector(video, {"--annotate", out}));
  INFO(finished.err);
  REQUIRE(finished.code == 0);
  CHECK(finished.err.find("annotated: ") != std::string::npos);
  int frames = 0;
  for (const auto& entry : fs::directory_iterator(out)) {
    const data::Image frame = data::read_image(entry.path());
    CHECK(frame.width == 83);
    CHECK(frame.height == 61);
    ++frames;
  }
  CHECK(frames == 5);
  const Finished again = predict(with_detector(video, {"--annotate", out}));
  CHECK(again.code == 2);
  CHECK(again.err.find("annotated") != std::string::npos);
}

TEST_CASE("flags that have no place, and files that need a detector, are refused") {
  const World& world = World::get();
  const Words model = {"predict", "--model", world / "run", "--quiet"};
  const auto refused = [&](const Words& more, const test::Parts& parts) {
    Words words = model;
    words.insert(words.end(), more.begin(), more.end());
    expect_refusal(words, parts);
  };
  const std::string video = videos() + "/real/v00";
  refused({world / "clip.MP4"}, {"clip.MP4", "--detector"});
  for (const Words& flag :
       {Words{"--frames", "3"}, Words{"--sampling", "linspace"}, Words{"--annotate", "x.mp4"},
        Words{"--crop", "tight"}, Words{"--min-score", "0.5"}, Words{"--video"}}) {
    Words words = flag;
    words.push_back("face.png");
    refused(words, {flag[0], "needs --detector"});
  }
  refused(with_detector(video, {"--top", "3"}), {"--top", "no meaning with --detector"});
  refused(with_detector(video, {"face.png", "--annotate", "x"}), {"--annotate", "one file"});
  refused(with_detector(video, {"--annotate", "none/x.mp4"}),
          {"--annotate none/x.mp4", "no folder"});
  refused({"a.csv", "b.png"}, {"a.csv", "judged alone"});
  refused({world / "none.csv"}, "none.csv");
  fs::create_directory(world / "nothing");
  refused({"--detector", narrow_detector(), world / "nothing"}, "no picture and no video");
}

}  // namespace
}  // namespace verace::predict_videos_test
