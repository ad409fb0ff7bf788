// Verdicts about the videos of a manifest of faces: grouped, judged as they are, with those that
// have no face.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "apps/lib/media_predictor.h"
#include "tests/apps/temporary_pictures.h"
#include "tests/apps/training_support.h"

namespace verace::apps::manifest_predictor_test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Setting {
  Setting()
      : model(make_model(test::narrow_network(), layers::Initialisation::kPyTorch, 3)),
        session(*model.classifier, kernels::make_exec(kernels::DeviceKind::kCpu, 1),
                std::make_shared<engine::Arena>(), 4) {
    options.fit.size = 32;
    for (int i = 0; i < 5; ++i) {
      data::Image image{32, 32, std::vector<uint8_t>(32 * 32 * 3)};
      for (size_t at = 0; at < image.rgb.size(); ++at) {
        image.rgb[at] = static_cast<uint8_t>(at * static_cast<size_t>(37 * i + 5));
      }
      data::write_png(folder / ("f" + std::to_string(i) + ".png"), image);
      const Answers answers = session.run(image.rgb);
      expected.push_back(
          calibrated_probability(static_cast<double>(answers.logits[1]) - answers.logits[0], 1));
    }
  }
  std::vector<MediaVerdict> judge(const std::string& text) {
    test::write_text(folder / "manifest.csv", text);
    return judge_manifest(folder / "manifest.csv", session, options);
  }

  test::TempFolder folder;
  LoadedModel model;
  InferenceSession session;
  MediaOptions options;
  std::vector<double> expected;  // of each picture
};

constexpr const char* kManifest =
    "path,label,video,frame,seconds\n"
    "f0.png,,b,7,0.5\nf1.png,real,a,0,0\nf2.png,,b,7,0.5\nf3.png,,b,9,0.75\nf4.png,,a,,\n";

TEST_CASE("faces are grouped by video, without labels") {
  Setting s;
  const auto verdicts = s.judge(kManifest);
  REQUIRE(verdicts.size() == 2);
  CHECK(verdicts[0].path == "b");
  CHECK(verdicts[0].faces.size() == 3);
  CHECK(verdicts[0].frames_with_faces == 2);
  CHECK(verdicts[0].faces[1].frame == 7);
  CHECK(verdicts[0].faces[2].seconds == 0.75);
  const std::vector<double>& p = s.expected;
  CHECK(*verdicts[0].fake_probability == doctest::Approx((p[0] + p[2] + p[3]) / 3).epsilon(1e-5));
  CHECK(*verdicts[1].fake_probability == doctest::Approx((p[1] + p[4]) / 2).epsilon(1e-5));
  CHECK(verdicts[1].frames_with_faces == 2);  // an unknown frame is one of its own
  s.options.decision.policy.per_frame = PerFrame::kMaximum;
  CHECK(*s.judge(kManifest)[0].fake_probability ==
        doctest::Approx((std::max(p[0], p[2]) + p[3]) / 2).epsilon(1e-5));
  MediaVerdicts all;
  all.items = verdicts;
  const Json json = Json::parse(media_json(all));
  CHECK(json["items"][0]["faces"][1]["picture"] == (s.folder / "f2.png").string());
  CHECK_FALSE(json["items"][0]["faces"][1].contains("box"));
  CHECK_FALSE(json.contains("detector"));
  CHECK(contains(media_text(all), "3 faces in 2 of 2 frames"));
}

TEST_CASE("videos without a face come from the account, broken crops are left out") {
  Setting s;
  test::write_text(s.folder / "account.csv",
                   "path,video,looked_at,faces,shortfall\nx.mp4,c,32,0,no face found in 32 frames\n"
                   "y.mp4,d,0,0,y.mp4: not a video\nb.mp4,b,9,3,\n");
  test::write_text(s.folder / "f1.png", "no picture");
  test::write_text(s.folder / "f2.png", "no picture");
  test::write_text(s.folder / "f4.png", "no picture");
  const auto verdicts = s.judge(kManifest);
  REQUIRE(verdicts.size() == 4);
  CHECK(verdicts[0].faces.size() == 2);
  CHECK(contains(verdicts[0].damage, "f2.png"));
  CHECK(*verdicts[0].fake_probability ==
        doctest::Approx((s.expected[0] + s.expected[3]) / 2).epsilon(1e-5));
  CHECK_FALSE(verdicts[1].fake_probability);
  CHECK_FALSE(verdicts[1].readable);
  CHECK(contains(verdicts[1].why_not, "f1.png"));
  CHECK(verdicts[2].readable);
  CHECK(verdicts[2].why_not == "no face found in 32 frames");
  CHECK_FALSE(verdicts[3].readable);
  CHECK(verdicts[3].why_not == "y.mp4: not a video");
}

TEST_CASE("what is no manifest of faces is refused with its line") {
  Setting s;
  const auto refused = [&](const std::string& text) {
    const std::string message = input_error([&] { s.judge(text); });
    CHECK(contains(message, "manifest.csv"));
    return message;
  };
  CHECK(contains(refused(""), "no manifest of faces"));
  CHECK(contains(refused("path,label\nf0.png,real\n"), "the columns path and video"));
  CHECK(contains(refused("path,video\n"), "names no face"));
  CHECK(contains(refused("path,video\nf0.png,a\n,b\n"), "manifest.csv:3"));
  CHECK(contains(refused("path,video\nf0.png,\n"), "manifest.csv:2"));
  for (const char* bad : {"-1", "x", "1.5", "1e30", "nan"}) {
    CHECK(contains(refused(std::string("path,video,frame\nf0.png,a,") + bad + "\n"),
                   "manifest.csv:2"));
  }
  for (const char* bad : {"-1", "x", "inf", "nan", "1e30"}) {
    CHECK(contains(refused(std::string("path,video,seconds\nf0.png,a,") + bad + "\n"),
                   "manifest.csv:2"));
  }
}

}  // namespace
}  // namespace verace::apps::manifest_predictor_test
