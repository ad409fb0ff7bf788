// Data sets of pseudo-fakes as files: what is written, that nothing leaks, and what is refused.
#include "apps/lib/fakes.h"

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "apps/lib/crop_record.h"
#include "apps/lib/fakes_sheet.h"
#include "data/face_manifest.h"
#include "data/faces/dataset.h"
#include "data/pseudo_fakes/pseudo_fake.h"
#include "data/pseudo_fakes/samples.h"
#include "data/text.h"
#include "kernels/exec.h"
#include "kernels/format.h"
#include "tests/support/files.h"

namespace verace::apps::fakes_test {
namespace {

namespace fs = std::filesystem;
using data::Dataset;
using data::Sample;
using test::contains;
using test::input_error;
using test::read_text;
using test::TempFolder;

kernels::Exec threads(int count) { return kernels::make_exec(kernels::DeviceKind::kCpu, count); }

// Drawn faces with landmarks: 3, 2 and 2 persons with two real and two fake pictures each.
fs::path drawn_faces(const TempFolder& dir) {
  const fs::path folder = dir.path() / "drawn";
  data::faces::write_dataset(folder, {.seed = 3, .size = 64, .identities = {3, 2, 2}, .frames = 2},
                             threads(1));
  return folder / "faces.csv";
}

FakesOptions options(const fs::path& input, const fs::path& out) {
  FakesOptions o;
  o.input = input;
  o.out = out;
  return o;
}

std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[entry.path().lexically_relative(folder).string()] = read_text(entry.path());
  }
  return files;
}

// Says where the face is, or that there is none, by the picture's width.
class FakeFinder : public FaceFinder {
 public:
  std::vector<std::vector<data::DetectedFace>> find(
      std::span<const data::Image> pictures) override {
    std::vector<std::vector<data::DetectedFace>> all;
    for (const data::Image& picture : pictures) {
      all.emplace_back();
      if (picture.width < 64) continue;
      data::DetectedFace small{{0, 0, 4, 4}, {}, 0.99F};
      data::DetectedFace large{{16, 10, 48, 56}, data::faces::drawn_landmarks(3, 64, 0, 0), 0.9F};
      all.back() = {small, large};
    }
    asked += static_cast<int64_t>(pictures.size());
    return all;
  }
  std::string description() const override { return "by width"; }
  int64_t asked = 0;
};

}  // namespace

TEST_CASE("fakes of a manifest: pairs of pictures, in the splits and of the persons of the input") {
  const TempFolder dir;
  const fs::path input = drawn_faces(dir);
  const FakesResult result = write_fakes(options(input, dir.path() / "out"), nullptr, threads(2));
  CHECK(result.counts == data::ClassCounts{{{6, 6}, {4, 4}, {4, 4}}});
  CHECK(result.fakes_ignored == 14);
  CHECK(result.left_out.empty());

  const Dataset from = data::load_dataset(input);
  const Dataset dataset = data::load_dataset(dir.path() / "out/faces.csv");
  CHECK(dataset.leak_report.empty());
  CHECK(dataset.ignored_columns.empty());
  CHECK(data::count_classes(dataset) == result.counts);
  REQUIRE(dataset.samples.size() == 28);
  std::set<std::string> videos;
  for (size_t i = 0; i < dataset.samples.size(); i += 2) {
    const Sample& real = dataset.samples[i];
    const Sample& fake = dataset.samples[i + 1];
    const auto number = static_cast<size_t>(std::stoi(real.path.stem().string()));
    const Sample& source = from.samples[number];
    REQUIRE(source.label == data::kReal);
    CHECK(real.label == data::kReal);
    CHECK(fake.label == data::kFake);
    CHECK(real.video == source.video);
    CHECK(fake.video == data::pseudo_fake_video(source.video));
    for (const Sample* sample : {&real, &fake}) {
      CHECK(sample->identity == source.identity);
      CHECK(sample->split == source.split);
      REQUIRE(sample->landmarks);
      for (size_t k = 0; k < data::kFaceLandmarks; ++k) {
        CHECK((*sample->landmarks)[k].x == (*source.landmarks)[k].x);
        CHECK((*sample->landmarks)[k].y == (*source.landmarks)[k].y);
      }
    }
    // The real file's bytes, and the fake that number and seed say.
    CHECK(read_text(real.path) == read_text(source.path));
    const data::PseudoFake expected =
        data::draw_pseudo_fake(data::read_image(source.path), *source.landmarks, 1,
                               static_cast<int64_t>(number), 0, "face");
    CHECK(data::read_image(fake.path).rgb == expected.image.rgb);
    videos.insert(fake.video);
  }
  CHECK(videos.size() == 7);
  CHECK(data::read_image(dir.path() / "out/sheet.png").width == 3 * (3 * 144 + 4) + 4);
}

TEST_CASE("how the input's faces were cut out is known of the fakes, too") {
  const TempFolder dir;
  const fs::path faces = drawn_faces(dir);
  write_fakes(options(faces, dir.path() / "unknown"), nullptr, threads(1));
  CHECK(!crop_of_data(dir.path() / "unknown/faces.csv"));
  const CropRecord crop{data::CropKind::kSquare, 0.3125};
  write_crop_of_data(faces, crop);
  write_fakes(options(faces, dir.path() / "known"), nullptr, threads(1));
  CHECK(crop_of_data(dir.path() / "known/faces.csv") == crop);
}

TEST_CASE("equal bytes with any number of threads; other fakes with another seed") {
  const TempFolder dir;
  const fs::path input = drawn_faces(dir);
  write_fakes(options(input, dir.path() / "one"), nullptr, threads(1));
  write_fakes(options(input, dir.path() / "three"), nullptr, threads(3));
  const auto one = files_of(dir.path() / "one");
  CHECK(one.size() == 28 + 2);
  CHECK(one == files_of(dir.path() / "three"));
  FakesOptions other = options(input, dir.path() / "other");
  other.seed = 2;
  write_fakes(other, nullptr, threads(2));
  for (const auto& [name, bytes] : files_of(dir.path() / "other")) {
    const bool fake = name.starts_with("fake/") || name == "sheet.png";
    CHECK((bytes == one.at(name)) == !fake);
  }
}

TEST_CASE("with a JPEG quality both classes are compressed in the same way") {
  const TempFolder dir;
  FakesOptions o = options(drawn_faces(dir), dir.path() / "out");
  o.jpeg_quality = 70;
  o.per_face = 2;
  const FakesResult result = write_fakes(o, nullptr, threads(2));
  CHECK(result.counts == data::ClassCounts{{{6, 12}, {4, 8}, {4, 8}}});
  const Dataset dataset = data::load_dataset(dir.path() / "out/faces.csv");
  std::set<std::string> bytes;
  for (size_t i = 0; i < dataset.samples.size(); i += 3) {
    const Sample& real = dataset.samples[i];
    const auto number = static_cast<size_t>(std::stoi(real.path.stem().string()));
    const data::Image source = data::read_image(data::load_dataset(o.input).samples[number].path);
    const auto expected = data::encode_jpeg(source, 70);
    CHECK(read_text(real.path) ==
          std::string(reinterpret_cast<const char*>(expected.data()), expected.size()));
    CHECK(dataset.samples[i + 1].video == dataset.samples[i + 2].video);
    CHECK(dataset.samples[i + 1].path.extension() == ".jpg");
    for (size_t k = 0; k < 3; ++k)
      CHECK(bytes.insert(read_text(dataset.samples[i + k].path)).second);
  }
}

TEST_CASE("where persons are unknown, the video stands for the person, so that leaks are found") {
  const TempFolder dir;
  const data::Dataset from = data::load_dataset(drawn_faces(dir));
  std::string manifest = data::face_manifest_header();
  for (const Sample& sample : from.samples) {
    manifest += data::face_manifest_line({sample.path.string(),
                                          sample.label,
                                          sample.video,
                                          "",
                                          sample.split,
                                          {},
                                          {},
                                          {},
                                          {},
                                          sample.landmarks});
  }
  test::write_text(dir.path() / "anonymous.csv", manifest);
  write_fakes(options(dir.path() / "anonymous.csv", dir.path() / "out"), nullptr, threads(2));
  const fs::path written = dir.path() / "out/faces.csv";
  for (const Sample& sample : data::load_dataset(written).samples) {
    CHECK(contains(sample.video, sample.identity));
    CHECK(contains(sample.identity, "/real/"));
  }
  // A fake that is put into another split than its real face.
  std::string moved = read_text(written);
  const size_t fake = moved.find("~pseudo-fake");
  moved.replace(moved.find(",train,", fake), 7, ",test,");
  test::write_text(written, moved);
  CHECK(contains(input_error([&] { data::load_dataset(written); }), "is in train and in test"));
}

TEST_CASE("a folder of pictures: all real, landmarks by a detector, the largest face") {
  const TempFolder dir;
  const fs::path folder = dir.path() / "pictures";
  fs::create_directories(folder / "more");
  const auto write = [&](const std::string& name, int64_t size) {
    data::write_png(folder / name, data::faces::draw_face(3, size, 0, 0, 0).image);
  };
  write("a.png", 64);
  write("more/b.png", 64);
  write("none.png", 48);
  test::write_text(folder / "broken.jpg", "no picture");
  FakeFinder finder;
  const FakesResult result = write_fakes(options(folder, dir.path() / "out"), &finder, threads(2));
  CHECK(result.counts == data::ClassCounts{{{2, 2}, {0, 0}, {0, 0}}});
  CHECK(finder.asked == 3);
  REQUIRE(result.left_out.size() == 2);
  CHECK(contains(result.left_out[0], "broken.jpg"));
  CHECK(contains(result.left_out[1], "none.png: no face found"));
  const Dataset dataset = data::load_dataset(dir.path() / "out/faces.csv");
  REQUIRE(dataset.samples.size() == 4);
  CHECK(dataset.samples[0].video == "a");
  CHECK(dataset.samples[2].video == "more/b");
  CHECK(dataset.samples[2].box->x2 == 48);
  CHECK(dataset.samples[3].landmarks->at(0).x > 0);

  CHECK(contains(
      input_error([&] { write_fakes(options(folder, dir.path() / "blind"), nullptr, threads(1)); }),
      "landmarks are not known: find them with --detector"));
  CHECK(!fs::exists(dir.path() / "blind/faces.csv"));
}

TEST_CASE("fakes: what is refused, before anything is written") {
  const TempFolder dir;
  const fs::path input = drawn_faces(dir);
  const auto refusal = [&](const fs::path& from, const fs::path& to) {
    return input_error([&] { write_fakes(options(from, to), nullptr, threads(1)); });
  };
  CHECK(contains(refusal(dir.path() / "nothing", dir.path() / "out"), "nothing"));
  test::write_text(dir.path() / "only_fakes.csv", "path,label\ndrawn/faces.csv,fake\n");
  CHECK(contains(refusal(dir.path() / "only_fakes.csv", dir.path() / "out"), "no real faces"));
  CHECK(!fs::exists(dir.path() / "out"));
  CHECK(contains(refusal(input, dir.path() / "drawn"), "not empty"));
}

TEST_CASE("names with commas and quotes, and bytes that are no UTF-8, come back from a manifest") {
  const TempFolder dir;
  const std::string name = "a, \"b\"\xe9.png";
  data::write_png(dir.path() / name, data::faces::draw_face(3, 32, 0, 0, 0).image);
  data::FaceRecord face{name, data::kReal, "v,1", "p\"1", data::Split::kVal, 7, 0.28, 0.5, {}, {}};
  face.box = data::FaceBox{-1.5F, 2, 30.25F, 31};
  test::write_text(dir.path() / "m.csv",
                   data::face_manifest_header() + data::face_manifest_line(face));
  const Dataset dataset = data::load_dataset(dir.path() / "m.csv");
  REQUIRE(dataset.samples.size() == 1);
  const Sample& sample = dataset.samples[0];
  CHECK(sample.path.filename() == name);
  CHECK(sample.video == "v,1");
  CHECK(sample.identity == "p\"1");
  CHECK(sample.split == data::Split::kVal);
  CHECK(sample.box->x1 == -1.5F);
  CHECK(sample.box->x2 == 30.25F);
  CHECK(!sample.landmarks);
}

}  // namespace verace::apps::fakes_test
