// Verdicts about videos: with a detector that finds white squares, on folders of frames and
// pictures; and annotated copies, looked at pixel by pixel.
#include "apps/lib/media_predictor.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/lib/annotate.h"
#include "tests/apps/temporary_pictures.h"
#include "tests/apps/training_support.h"
#include "tests/support/faults.h"

namespace verace::apps::media_predictor_test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int64_t kWidth = 96, kHeight = 64;

struct Square {
  int64_t x = 0, y = 0, side = 0;
  uint8_t white = 255;  // at least 200: the detector sees it
};

data::Image frame_with(const std::vector<Square>& squares) {
  data::Image image{kHeight, kWidth, std::vector<uint8_t>(kHeight * kWidth * 3, 40)};
  for (const Square& s : squares) {
    for (int64_t y = s.y; y < s.y + s.side; ++y) {
      for (int64_t x = s.x; x < s.x + s.side; ++x) {
        uint8_t* pixel = image.rgb.data() + (y * kWidth + x) * 3;
        pixel[0] = pixel[1] = s.white;
        pixel[2] = static_cast<uint8_t>(x * 5);  // something to judge
      }
    }
  }
  return image;
}

// Finds upright squares whose red is 200 or more.
class SquareFinder : public FaceFinder {
 public:
  std::vector<std::vector<data::DetectedFace>> find(
      std::span<const data::Image> pictures) override {
    std::vector<std::vector<data::DetectedFace>> all;
    for (const data::Image& picture : pictures) all.push_back(squares_of(picture));
    return all;
  }
  std::string description() const override { return "squares"; }

 private:
  static std::vector<data::DetectedFace> squares_of(const data::Image& picture) {
    const auto white = [&](int64_t x, int64_t y) {
      return x >= 0 && y >= 0 && x < picture.width && y < picture.height &&
             picture.rgb[static_cast<size_t>((y * picture.width + x) * 3)] >= 200;
    };
    std::vector<data::DetectedFace> faces;
    for (int64_t y = 0; y < picture.height; ++y) {
      for (int64_t x = 0; x < picture.width; ++x) {
        if (!white(x, y) || white(x - 1, y) || white(x, y - 1)) continue;
        int64_t side = 1;
        while (white(x + side, y)) ++side;
        data::DetectedFace face;
        const auto at = [](int64_t v) { return static_cast<float>(v); };
        face.box = {at(x), at(y), at(x + side), at(y + side)};
        const float s = at(side);
        face.landmarks = {{{at(x) + 0.3F * s, at(y) + 0.3F * s},
                           {at(x) + 0.7F * s, at(y) + 0.3F * s},
                           {at(x) + 0.5F * s, at(y) + 0.5F * s},
                           {at(x) + 0.35F * s, at(y) + 0.75F * s},
                           {at(x) + 0.65F * s, at(y) + 0.75F * s}}};
        face.score = 0.9F;
        faces.push_back(face);
      }
    }
    return faces;
  }
};

struct Setting {
  Setting()
      : exec(kernels::make_exec(kernels::DeviceKind::kCpu, 1)),
        model(make_model(test::narrow_network(), layers::Initialisation::kPyTorch, 3)),
        session(*model.classifier, exec, std::make_shared<engine::Arena>(), 4) {
    options.fit.size = options.search.crop.size = 32;
    options.search.frames = 5;
    options.search.sampling = data::Sampling::kLinspace;
  }

  // A folder of frames.
  fs::path video(const std::string& name, const std::vector<std::vector<Square>>& frames) {
    const fs::path path = folder / name;
    fs::create_directories(path);
    for (size_t i = 0; i < frames.size(); ++i) {
      data::write_png(path / (std::to_string(i) + ".png"), frame_with(frames[i]));
    }
    return path;
  }
  MediaVerdict judge(const fs::path& path) { return judge_media(path, finder, session, options); }
  // What the network says of a square of this frame, without calibration.
  double margin_of(const std::vector<Square>& squares, const Square& s) {
    data::DetectedFace face;
    face.box = {static_cast<float>(s.x), static_cast<float>(s.y), static_cast<float>(s.x + s.side),
                static_cast<float>(s.y + s.side)};
    const data::FaceCrop crop = data::crop_face(frame_with(squares), face, options.search.crop);
    const Answers answers = session.run(crop.image.rgb);
    return static_cast<double>(answers.logits[1]) - answers.logits[0];
  }

  test::TempFolder folder;
  kernels::Exec exec;
  LoadedModel model;
  InferenceSession session;
  SquareFinder finder;
  MediaOptions options;
};

// A square that wanders and grows through nine frames.
std::vector<std::vector<Square>> walk() {
  std::vector<std::vector<Square>> frames;
  for (int64_t i = 0; i < 9; ++i) frames.push_back({{2 + 5 * i, 20, 20 + i}});
  return frames;
}

TEST_CASE("a video's verdict is that of the crops of the chosen frames") {
  Setting s;
  const auto frames = walk();
  const MediaVerdict v = s.judge(s.video("walk", frames));
  CHECK(v.readable);
  CHECK_FALSE(v.is_picture);
  CHECK(v.why_not.empty());
  CHECK(v.frames_in_video == 9);
  CHECK(v.frames_looked_at == 5);
  CHECK(v.frames_with_faces == 5);
  REQUIRE(v.faces.size() == 5);
  double sum = 0;
  for (size_t i = 0; i < 5; ++i) {
    CHECK(v.faces[i].frame == static_cast<int64_t>(2 * i));  // 0, 2, 4, 6, 8
    CHECK(v.faces[i].in_frame.box.x1 == static_cast<float>(2 + 10 * i));
    const double p = calibrated_probability(s.margin_of(frames[2 * i], frames[2 * i][0]), 1);
    CHECK(v.faces[i].probability == doctest::Approx(p).epsilon(1e-5));
    sum += p;
  }
  CHECK(*v.fake_probability == doctest::Approx(sum / 5).epsilon(1e-5));
  // With a temperature, and another policy.
  s.options.decision.calibration.emplace().temperature = 7;
  s.options.decision.policy.policy = Policy::kMedian;
  const MediaVerdict other = s.judge(s.folder / "walk");
  std::vector<double> all;
  for (size_t i = 0; i < 5; ++i) {
    all.push_back(calibrated_probability(s.margin_of(frames[2 * i], frames[2 * i][0]), 7));
  }
  std::ranges::sort(all);
  CHECK(*other.fake_probability == doctest::Approx(all[2]).epsilon(1e-5));
  test::expect_caught("no temperature",
                      std::abs(*other.fake_probability - *v.fake_probability) < 1e-5);
}

TEST_CASE("no face, no verdict: not 0.5, and said why") {
  Setting s;
  MediaVerdicts all;
  all.items.push_back(s.judge(s.video("dark", {{}, {}, {}, {}, {}, {}})));
  const MediaVerdict& none = all.items[0];
  CHECK_FALSE(none.fake_probability.has_value());
  CHECK(none.readable);
  CHECK(none.why_not == "no face found in 5 frames");
  all.items.push_back(s.judge(s.folder / "missing.mp4"));
  CHECK_FALSE(all.items[1].readable);
  CHECK(contains(all.items[1].why_not, "missing.mp4"));
  all.items.push_back(s.judge(s.video("walk", walk())));
  all.detector = s.finder.description();
  const std::string text = media_text(all);
  CHECK(text.starts_with("cannot judge: no face found in 5 frames  "));
  CHECK_FALSE(contains(text, "missing.mp4"));  // an error, not a verdict
  CHECK(contains(text, "5 faces in 5 of 5 frames"));
  const Json json = Json::parse(media_json(all));
  CHECK(json["without_verdict"] == 2);
  CHECK(json["items"][0]["verdict"].is_null());
  CHECK(json["items"][0]["fake_probability"].is_null());
  CHECK(json["items"][0]["why_not"] == "no face found in 5 frames");
  CHECK(json["items"][1]["readable"] == false);
  CHECK(json["items"][2]["why_not"].is_null());
  CHECK(json["items"][2]["faces"][1]["frame"] == 2);
  CHECK(json["items"][2]["faces"][1]["box"][2] == 12 + 22);
  CHECK(json["items"][2]["faces"][1]["landmarks"].size() == 5);
}

TEST_CASE("some frames without a face: those with one are judged, the account says the rest") {
  Setting s;
  auto frames = walk();
  frames[2].clear();
  frames[8].clear();
  const MediaVerdict v = s.judge(s.video("holes", frames));
  CHECK(v.frames_looked_at == 5);
  CHECK(v.frames_with_faces == 3);
  CHECK(v.without_face == std::vector<int64_t>{2, 8});
  CHECK(v.faces.size() == 3);
  CHECK(v.fake_probability.has_value());
  CHECK(contains(v.shortfall, "no face in 2 of 5 frames"));
}

TEST_CASE("several faces: the largest, or all, or each frame's most suspicious") {
  Setting s;
  const std::vector<Square> crowd = {{4, 10, 30}, {44, 10, 24}, {80, 40, 9}};
  std::vector<double> p;
  for (const Square& square : crowd) {
    p.push_back(calibrated_probability(s.margin_of(crowd, square), 1));
  }
  // The small one shall be the most suspicious, so that leaving it out makes a difference: to this
  // network it is the least, and so the outputs change their meaning.
  s.options.classes = {1, 0};
  for (double& probability : p) probability = 1 - probability;
  REQUIRE(p[2] > std::max(p[0], p[1]) + 1e-3);
  const fs::path path = s.video("crowd", {crowd, crowd, crowd, crowd, crowd});
  CHECK(s.judge(path).faces.size() == 5);
  s.options.search.all_faces = true;
  const MediaVerdict each = s.judge(path);
  CHECK(each.faces.size() == 15);
  CHECK(*each.fake_probability == doctest::Approx((p[0] + p[1] + p[2]) / 3).epsilon(1e-5));
  s.options.decision.policy.per_frame = PerFrame::kMaximum;
  // The third one has less than half of the largest one's area.
  CHECK(*s.judge(path).fake_probability == doctest::Approx(std::max(p[0], p[1])).epsilon(1e-5));
  test::expect_caught("small faces count", std::abs(std::max(p[0], p[1]) - p[2]) < 1e-5);
}

TEST_CASE("a picture is judged like one frame; one face is itself by every policy") {
  Setting s;
  const fs::path picture = s.folder / "face.png";
  data::write_png(picture, frame_with({{10, 8, 40}}));
  for (size_t i = 0; i < kPolicyNames.size(); ++i) {
    s.options.decision.policy.policy = static_cast<Policy>(i);
    const MediaVerdict v = s.judge(picture);
    CHECK(v.is_picture);
    REQUIRE(v.faces.size() == 1);
    CHECK(*v.fake_probability == v.faces[0].probability);
    Decision decision;
    decision.faces = *v.fake_probability - 1e-3;
    decision.videos = 1;
    CHECK(verdict_word(v, decision) == std::string("fake"));  // by the threshold of faces
  }
  data::write_png(picture, frame_with({}));
  CHECK(s.judge(picture).why_not == "no face found in 1 frame");
}

TEST_CASE("arguments: folders hold many files, or are one video") {
  Setting s;
  s.video("set/a", {{}, {}});
  test::write_text(s.folder / "set" / "clip.MP4", "x");
  test::write_text(s.folder / "set" / "notes.txt", "x");
  const std::string set = (s.folder / "set").string();
  const auto found = expand_media({set, "other.xyz"}, false);
  REQUIRE(found.size() == 4);
  CHECK(found[0] == s.folder / "set/a/0.png");
  CHECK(found[2] == s.folder / "set/clip.MP4");
  CHECK(found[3] == "other.xyz");
  CHECK(expand_media({set + "/a"}, true) == std::vector<fs::path>{s.folder / "set/a"});
  fs::create_directory(s.folder / "empty");
  CHECK(contains(input_error([&] { expand_media({(s.folder / "empty").string()}, false); }),
                 "no picture and no video"));
}

// Share of the pixels on the edge of the box whose colour is that of the verdict.
double edge_share(const data::Image& image, const data::FaceBox& box, bool fake) {
  int64_t right = 0, all = 0;
  for (auto x = static_cast<int64_t>(box.x1); x < static_cast<int64_t>(box.x2); ++x) {
    const int64_t y = static_cast<int64_t>(box.y2) - 1;
    const uint8_t* p = image.rgb.data() + (y * image.width + x) * 3;
    ++all;
    if (fake ? p[0] > p[1] + 30 : p[1] > p[0] + 30) ++right;  // JPEG blurs colours
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

TEST_CASE("annotated frames: verdicts framed where they were made, held between") {
  Setting s;
  auto frames = walk();
  frames[4].clear();
  const MediaVerdict v = s.judge(s.video("walk", frames));
  REQUIRE(v.faces.size() == 4);
  const fs::path out = s.folder / "out";
  Decision decision;
  decision.faces = v.faces[0].probability - 1e-6;  // the first is fake
  annotate(v, decision, out);
  std::vector<data::Image> shown;
  for (int i = 0; i < 9; ++i) {
    const std::string number = "00000" + std::to_string(i);
    shown.push_back(data::read_image(out / (number + ".jpg")));
    CHECK(shown.back().width == kWidth);
    CHECK(shown.back().height == kHeight);
  }
  CHECK(edge_share(shown[0], v.faces[0].in_frame.box, true) > 0.9);
  CHECK(edge_share(shown[1], v.faces[0].in_frame.box, true) > 0.9);  // held
  const bool fake = is_fake(v.faces[1].probability, decision.faces);
  CHECK(edge_share(shown[2], v.faces[1].in_frame.box, fake) > 0.9);
  test::expect_caught("first box kept", edge_share(shown[2], v.faces[0].in_frame.box, true) > 0.9);
  // Looked at, no face: nothing is held there or after it.
  for (const int i : {4, 5}) {
    CHECK(edge_share(shown[static_cast<size_t>(i)], v.faces[1].in_frame.box, fake) < 0.1);
  }
}

TEST_CASE("annotated pictures, and targets that are refused before any work") {
  Setting s;
  const fs::path picture = s.folder / "face.png";
  data::write_png(picture, frame_with({{10, 14, 40}}));
  const MediaVerdict v = s.judge(picture);
  Decision decision;
  decision.faces = 0;
  check_annotation(picture, s.folder / "out.png", "--annotate");
  annotate(v, decision, s.folder / "out.png");
  const data::Image shown = data::read_image(s.folder / "out.png");
  CHECK(edge_share(shown, v.faces[0].in_frame.box, true) == 1);
  CHECK(shown.rgb[1] < 100);  // the caption's background is red, not the grey of the picture
  CHECK(shown.rgb[0] > 100);
  annotate(v, decision, s.folder / "out.jpg");
  CHECK(data::read_image(s.folder / "out.jpg").width == kWidth);
  const auto refused = [&](const fs::path& out) {
    return input_error([&] { check_annotation(picture, out, "--annotate"); });
  };
  CHECK(contains(refused(picture), "is what is judged"));
  CHECK(contains(refused(s.folder / "none" / "out.png"), "there is no folder"));
  CHECK(contains(refused(s.folder / "out.mp4"), "is written as .png or .jpg"));
}

}  // namespace
}  // namespace verace::apps::media_predictor_test
