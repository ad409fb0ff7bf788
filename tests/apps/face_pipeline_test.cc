// From folders of frames to crops, manifest and account: complete, the same in pieces, and nothing
// lost.
#include "apps/lib/face_pipeline.h"

#include <sys/stat.h>

#include <atomic>
#include <chrono>

#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/lib/faces/finder_service.h"
#include "apps/lib/signals.h"
#include "data/csv.h"
#include "tests/apps/face_frames.h"

namespace verace::apps::face_pipeline_test {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::input_error;
using test::PlantedFinder;
using test::read_text;
using test::TempFolder;
using test::write_frames;
using Json = nlohmann::json;

// Ten videos of two classes: some with few faces, one without, one that is none.
void write_videos(const fs::path& root) {
  for (int i = 0; i < 5; ++i) {
    write_frames(root / "real" / text::format("r{}", i),
                 std::vector<int>(6 + static_cast<size_t>(i), 1));
  }
  write_frames(root / "fake" / "f0", {2, 0, 2, 2, 0, 2});
  write_frames(root / "fake" / "f1", {1});
  write_frames(root / "fake" / "f2", std::vector<int>(8, 0));
  write_frames(root / "fake" / "deeper" / "f3", {1, 1, 1, 1});
  test::write_text(root / "fake" / "broken.mp4", "no video");
}

FacePipelineOptions options_for(const fs::path& input, const fs::path& out) {
  FacePipelineOptions options;
  options.inputs = {input.string()};
  options.out = out;
  options.count = {4, 3, true};
  options.search.crop.size = 24;
  options.detector = {{"--detector", "planted"}};
  options.workers = 1;
  return options;
}

// Every file's bytes by its path.
std::map<std::string, std::string> contents(const fs::path& root) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string name = entry.path().lexically_relative(root).generic_string();
    files[name] = entry.is_regular_file() ? read_text(entry.path()) : "folder";
  }
  return files;
}

std::string first_difference(const std::map<std::string, std::string>& a,
                             const std::map<std::string, std::string>& b) {
  for (const auto* both : {&a, &b}) {
    for (const auto& [name, bytes] : *both) {
      const auto& other = both == &a ? b : a;
      const auto found = other.find(name);
      if (found == other.end()) return name + " is in one alone";
      if (found->second != bytes) return name + " differs";
    }
  }
  return "";
}

std::vector<std::map<std::string, std::string>> table(const fs::path& file) {
  const std::vector<data::CsvRecord> records = data::parse_csv(read_text(file), file.string());
  std::vector<std::map<std::string, std::string>> rows;
  for (size_t i = 1; i < records.size(); ++i) {
    rows.emplace_back();
    for (size_t k = 0; k < records[i].fields.size(); ++k) {
      rows.back()[records[0].fields[k]] = records[i].fields[k];
    }
  }
  return rows;
}

// Undisturbed, once for all cases.
struct Undisturbed {
  TempFolder folder;
  FacePipelineResult result;
  std::vector<int> marks;

  Undisturbed() {
    write_videos(folder / "set");
    PlantedFinder finder;
    result = run_face_pipeline(options_for(folder / "set", folder / "out"), finder);
    marks = finder.marks;
  }
  static const Undisturbed& get() {
    static const Undisturbed undisturbed;
    return undisturbed;
  }
};

TEST_CASE("the account: every video, in order, with why there are fewer faces") {
  const Undisturbed& all = Undisturbed::get();
  CHECK_FALSE(all.result.stopped);
  CHECK(all.result.resumed == 0);
  std::vector<std::string> lines;
  for (auto& row : table(all.folder / "out/account.csv")) {
    CHECK(fs::exists(row["path"]));
    lines.push_back(text::format("{}|{}|{}|{}|{}|{}|{}", row["video"], row["label"], row["frames"],
                                 row["looked_at"], row["with_faces"], row["faces"],
                                 row["video"] == "fake/broken" ? "" : row["shortfall"]));
    if (row["video"] == "fake/broken") CHECK(contains(row["shortfall"], "broken.mp4"));
  }
  CHECK(lines == std::vector<std::string>{"real/r0|real|6|4|4|4|", "real/r1|real|7|4|4|4|",
                                          "real/r2|real|8|4|4|4|", "real/r3|real|9|4|4|4|",
                                          "real/r4|real|10|4|4|4|", "fake/broken|fake|0|0|0|0|",
                                          "fake/deeper/f3|fake|4|3|3|3|",
                                          "fake/f0|fake|6|3|2|2|no face in 1 of 3 frames",
                                          "fake/f1|fake|1|1|1|1|the video has 1 of 3 frames",
                                          "fake/f2|fake|8|3|0|0|no face found in 3 frames"});
  const Json json = Json::parse(read_text(all.folder / "out/account.json"));
  CHECK(json["settings"]["--faces-per-video"] == "real=4,fake=3");
  REQUIRE(json["videos"].size() == 10);
  const Json& f0 = json["videos"][7];
  CHECK(f0["without_face"] == Json{4});
  CHECK(f0["faces"][1]["frame"] == 2);
  // In pixels of the frame: the larger of the two planted faces.
  CHECK(f0["faces"][1]["box"] == Json{3.5, 3, 16.5, 16});
}

TEST_CASE("the manifest: what load_dataset() reads, and crops that fit it") {
  const Undisturbed& all = Undisturbed::get();
  const fs::path out = all.folder / "out";
  CHECK(
      read_text(out / "manifest.csv")
          .starts_with("path,label,video,identity,split,frame,seconds,score,x1,y1,x2,y2,left_eye_x,"
                       "left_eye_y,right_eye_x,right_eye_y,nose_x,nose_y,left_mouth_x,left_mouth_y,"
                       "right_mouth_x,right_mouth_y\n"));
  const data::Dataset dataset = data::load_dataset(out / "manifest.csv");
  CHECK(dataset.samples.size() == 26);
  const data::ClassCounts counts = data::count_classes(dataset);
  CHECK(counts[0][data::kReal] == 20);
  CHECK(counts[0][data::kFake] == 6);
  auto rows = table(out / "manifest.csv");
  REQUIRE(rows.size() == 26);
  auto& row = rows[24];  // frame 2 of f0
  CHECK(row["path"] == "faces/fake/f0/000002_0.jpg");
  CHECK(row["video"] == "fake/f0");
  CHECK(row["frame"] == "2");
  data::CropOptions crop;
  crop.size = 24;
  const data::FaceCrop expected =
      data::crop_face(test::frame_with_faces(2, 2), test::planted_face(1), crop);
  CHECK(std::stod(row["x2"]) == doctest::Approx(expected.face.box.x2).epsilon(1e-3));
  CHECK(std::stod(row["nose_y"]) ==
        doctest::Approx(expected.face.landmarks[data::kNose].y).epsilon(1e-3));
  CHECK(std::stod(row["score"]) == doctest::Approx(test::planted_face(1).score).epsilon(1e-4));
  const std::vector<std::byte> bytes = data::encode_jpeg(expected.image, 95);
  CHECK(read_text(out / row["path"]) ==
        std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

TEST_CASE("the same bytes with more workers, and with whatever was there before") {
  const Undisturbed& all = Undisturbed::get();
  const auto expected = contents(all.folder / "out");
  for (const int64_t workers : {2, 5, 40}) {
    PlantedFinder finder;
    FacePipelineOptions options =
        options_for(all.folder / "set", all.folder / text::format("w{}", workers));
    options.workers = workers;
    run_face_pipeline(options, finder);
    CHECK(first_difference(expected, contents(options.out)) == "");
    CHECK(finder.marks.size() == all.marks.size());
  }
}

TEST_CASE(
    "a second call does nothing anew; what is missing or changed is done again, and only that") {
  const Undisturbed& all = Undisturbed::get();
  const TempFolder folder;
  fs::copy(all.folder / "set", folder / "set", fs::copy_options::recursive);
  const FacePipelineOptions options = options_for(folder / "set", folder / "out");
  const auto run = [&] {
    PlantedFinder finder;
    run_face_pipeline(options, finder);
    return finder.marks.size();
  };
  run();
  const auto expected = contents(folder / "out");
  CHECK(run() == 0);
  CHECK(first_difference(expected, contents(folder / "out")) == "");
  const auto spoilt = [&](const fs::path& file, const std::string& bytes) {
    test::write_text(folder / "out" / file, bytes);
  };
  fs::remove(folder / "out/faces/real/r1/000002_0.jpg");
  CHECK(run() == 4);
  std::string damaged = read_text(folder / "out/faces/real/r2/000000_0.jpg");
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
  spoilt("faces/real/r2/000000_0.jpg", damaged);
  CHECK(run() == 4);
  fs::remove(folder / "out/videos/fake/f1.json");
  CHECK(run() == 1);
  for (const char* record : {"", "{", "[]", "{\"version\": 1}", "{\"version\": 2}"}) {
    spoilt("videos/fake/f1.json", record);
    CHECK(run() == 1);
  }
  // A record that names files of others.
  std::string escaping = read_text(folder / "out/videos/fake/f1.json");
  escaping.replace(escaping.find("000000_0.jpg"), 12, "../x/../../a");
  spoilt("videos/fake/f1.json", escaping);
  CHECK(run() == 1);
  CHECK(first_difference(expected, contents(folder / "out")) == "");
  // Half of an attempt: crops without a record, among them one of a frame that is not chosen.
  fs::remove(folder / "out/videos/fake/f0.json");
  spoilt("faces/fake/f0/000001_0.jpg", "left over");
  spoilt("faces/fake/f0/.verace-tmp-1-data-1", "left over");
  spoilt("faces/fake/f0/notes.txt", "of the user");
  CHECK(run() == 3);
  CHECK(read_text(folder / "out/faces/fake/f0/notes.txt") == "of the user");
  fs::remove(folder / "out/faces/fake/f0/notes.txt");
  CHECK(first_difference(expected, contents(folder / "out")) == "");
  // Another video under the same name.
  fs::remove(folder / "set/real/r3/8.png");
  CHECK(run() == 4);
}

TEST_CASE("stopped: finished videos stay, and the rest is done by the next call") {
  const Undisturbed& all = Undisturbed::get();
  const auto expected = contents(all.folder / "out");
  // A detector that lets a signal come after so many pictures.
  class Stopping : public PlantedFinder {
   public:
    explicit Stopping(int64_t after) : after_(after) {}
    std::vector<std::vector<data::DetectedFace>> find(
        std::span<const data::Image> pictures) override {
      after_ -= static_cast<int64_t>(pictures.size());
      if (after_ <= 0) set_stop_signal(15);
      return PlantedFinder::find(pictures);
    }

   private:
    int64_t after_;
  };
  int64_t stopped = 0;
  for (const int64_t after : {1, 9, 13, 20}) {
    for (const int64_t workers : {1, 3}) {
      FacePipelineOptions options =
          options_for(all.folder / "set", all.folder / text::format("stop{}_{}", after, workers));
      options.workers = workers;
      {
        const SignalGuard guard;
        Stopping finder(after);
        const FacePipelineResult result = run_face_pipeline(options, finder);
        set_stop_signal(0);
        stopped += result.stopped ? 1 : 0;
        CHECK(fs::exists(options.out / "manifest.csv") != result.stopped);
      }
      PlantedFinder finder;
      CHECK_FALSE(run_face_pipeline(options, finder).stopped);
      CHECK(first_difference(expected, contents(options.out)) == "");
    }
  }
  CHECK(stopped >= 6);
}

TEST_CASE("other settings are refused, and name what differs") {
  const Undisturbed& all = Undisturbed::get();
  const auto before = contents(all.folder / "out");
  const auto refusal = [&](auto change) {
    FacePipelineOptions options = options_for(all.folder / "set", all.folder / "out");
    change(options);
    PlantedFinder finder;
    const std::string message = input_error([&] { run_face_pipeline(options, finder); });
    CHECK(finder.marks.empty());
    return message;
  };
  CHECK(contains(refusal([](auto& o) { o.search.crop.kind = data::CropKind::kSquare; }),
                 "--crop tight, and now it is square"));
  CHECK(contains(refusal([](auto& o) {
                   o.count = {4, 4, true};
                 }),
                 "--faces-per-video real=4,fake=3"));
  CHECK(contains(refusal([](auto& o) { o.detector[0].second = "other"; }), "--detector planted"));
  CHECK(contains(refusal([](auto& o) { o.jpeg_quality = 0; }), "--png"));
  CHECK(contains(refusal([](auto& o) { o.jpeg_quality = 90; }),
                 "--jpeg-quality 95, and now it is 90"));
  CHECK(contains(refusal([](auto& o) { o.search.fill = true; }), "--fill no, and now it is yes"));
  CHECK(contains(refusal([](auto& o) { o.search.all_faces = true; }), "--all-faces"));
  CHECK(contains(refusal([](auto& o) { o.search.sampling = data::Sampling::kLinspace; }),
                 "--sampling"));
  CHECK(contains(refusal([](auto& o) { o.search.crop.size = 25; }), "--size"));
  CHECK(first_difference(before, contents(all.folder / "out")) == "");
}

TEST_CASE("inputs: refused before any work") {
  const TempFolder folder;
  write_frames(folder / "a", {1, 1});
  write_frames(folder / "b", {1});
  const auto refusal = [&](const std::vector<fs::path>& inputs, auto change) {
    FacePipelineOptions options = options_for(folder / "a", folder / "out");
    options.count = {2, 2, false};
    options.inputs.clear();
    for (const fs::path& input : inputs) options.inputs.push_back(input.string());
    change(options);
    PlantedFinder finder;
    const std::string message = input_error([&] { run_face_pipeline(options, finder); });
    CHECK_FALSE(fs::exists(folder / "out"));
    return message;
  };
  const auto nothing = [](auto&) {};
  CHECK(contains(refusal({folder / "a", folder / "absent"}, nothing), "absent"));
  CHECK(contains(refusal({folder / "a", folder / "b/../a"}, nothing), "stands twice"));
  CHECK(contains(refusal({folder / "a"}, [](auto& o) { o.count.by_class = true; }), "--label"));
  CHECK(contains(
      refusal({folder / "a", folder / "b"}, [](auto& o) { o.splits = data::SplitOptions{}; }),
      "--splits"));
  CHECK(
      contains(refusal({folder / "a"}, [](auto& o) { o.splits = data::SplitOptions{}; }), "split"));
}

TEST_CASE("inputs of one name are told apart, and crops stay below OUT") {
  const TempFolder folder;
  for (const char* name : {"x/clip", "y/clip"}) write_frames(folder / "one" / name, {1});
  write_frames(folder / "two" / "x" / "clip", {1, 1});
  FacePipelineOptions options = options_for(folder / "one", folder / "out");
  options.inputs.push_back((folder / "two").string());
  options.inputs.push_back((folder / "one/../one/./../two/x/../../two").string());
  options.count = {1, 1, false};
  PlantedFinder finder;
  CHECK(contains(input_error([&] { run_face_pipeline(options, finder); }), "stands twice"));
  options.inputs.pop_back();
  options.label = data::kFake;
  run_face_pipeline(options, finder);
  auto rows = table(folder / "out/manifest.csv");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0]["video"] == "x/clip");
  CHECK(rows[1]["video"] == "y/clip");
  CHECK(rows[2]["video"] == (folder / "two/x/clip").generic_string());
  for (auto& row : rows) {
    CHECK(row["label"] == "fake");
    CHECK(row["path"].starts_with("faces/"));
    CHECK(row["path"].find("..") == std::string::npos);
    CHECK(fs::exists(folder / "out" / row["path"]));
  }
}

TEST_CASE("pictures: each of a folder for itself") {
  const TempFolder folder;
  write_frames(folder / "portraits", {1, 2, 0, 1});
  FacePipelineOptions options = options_for(folder / "portraits", folder / "out");
  options.count = {1, 1, false};
  options.pictures = true;
  options.label = data::kReal;
  PlantedFinder finder;
  const FacePipelineResult result = run_face_pipeline(options, finder);
  CHECK(result.videos.size() == 4);
  CHECK(data::load_dataset(folder / "out/manifest.csv").samples.size() == 3);
}

TEST_CASE("splits: divided, checked, and stored") {
  const Undisturbed& all = Undisturbed::get();
  FacePipelineOptions options = options_for(all.folder / "set", all.folder / "split");
  options.splits = data::SplitOptions{data::SplitRule::kVideo, {0.5, 0.25, 0.25}, 3};
  PlantedFinder finder;
  const FacePipelineResult result = run_face_pipeline(options, finder);
  CHECK(contains(result.splits, "in two splits: none"));
  CHECK(read_text(options.out / "splits.txt") == result.splits);
  const data::Dataset dataset = data::load_dataset(options.out / "manifest.csv");
  const data::ClassCounts counts = data::count_classes(dataset);
  CHECK(counts[0][data::kReal] > 0);
  CHECK(counts[2][data::kReal] > 0);
  // Another division needs no new crops.
  options.splits->seed = 4;
  PlantedFinder second;
  run_face_pipeline(options, second);
  CHECK(second.marks.empty());
}

TEST_CASE("PNG crops are without loss") {
  const TempFolder folder;
  write_frames(folder / "v", {1});
  FacePipelineOptions options = options_for(folder / "v", folder / "out");
  options.count = {1, 1, false};
  options.jpeg_quality = 0;
  PlantedFinder finder;
  run_face_pipeline(options, finder);
  auto rows = table(folder / "out/manifest.csv");
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]["path"].ends_with(".png"));
  data::CropOptions crop;
  crop.size = 24;
  CHECK(data::read_image(folder / "out" / rows[0]["path"]).rgb ==
        data::crop_face(test::frame_with_faces(1, 0), test::planted_face(0), crop).image.rgb);
}

TEST_CASE("the contact sheet: framed by the label") {
  const Undisturbed& all = Undisturbed::get();
  const data::Image sheet = data::read_image(all.folder / "out/contact_sheet.png");
  // 8 videos with faces, of which 20 each would fit: 26 tiles in rows of 16.
  CHECK(sheet.width == 16 * 104 + 2);
  CHECK(sheet.height == 2 * 104 + 2);
  const auto pixel = [&](int64_t tile) {
    const int64_t x = 3 + tile % 16 * 104, y = 3 + tile / 16 * 104;
    const auto* at = sheet.rgb.data() + (y * sheet.width + x) * 3;
    return std::array<int, 3>{at[0], at[1], at[2]};
  };
  CHECK(pixel(0) == std::array<int, 3>{60, 170, 80});
  CHECK(pixel(19) == std::array<int, 3>{60, 170, 80});
  CHECK(pixel(20) == std::array<int, 3>{210, 60, 50});
  CHECK(pixel(25) == std::array<int, 3>{210, 60, 50});
  CHECK(pixel(26) == std::array<int, 3>{24, 24, 24});
}

TEST_CASE("what cannot be written is an error, not a missing face") {
  if (::geteuid() == 0) {
    // root may write everywhere: a file in the way of the folder does the same.
    const TempFolder folder;
    write_frames(folder / "v", {1});
    FacePipelineOptions options = options_for(folder / "v", folder / "out");
    options.count = {1, 1, false};
    test::write_text(folder / "out/faces", "in the way");
    PlantedFinder finder;
    CHECK(contains(input_error([&] { run_face_pipeline(options, finder); }), "out/faces"));
    CHECK_FALSE(fs::exists(folder / "out/manifest.csv"));
    test::write_text(folder / "file", "");
    options.out = folder / "file";
    CHECK(contains(input_error([&] { run_face_pipeline(options, finder); }), "--out"));
    return;
  }
  const TempFolder folder;
  write_frames(folder / "v", {1});
  fs::create_directories(folder / "out");
  ::chmod((folder / "out").c_str(), 0500);
  FacePipelineOptions options = options_for(folder / "v", folder / "out");
  options.count = {1, 1, false};
  PlantedFinder finder;
  CHECK(contains(input_error([&] { run_face_pipeline(options, finder); }), "out"));
  ::chmod((folder / "out").c_str(), 0700);
}

TEST_CASE("a folder is one process's at a time") {
  const TempFolder folder;
  write_frames(folder / "v", {1});
  FacePipelineOptions options = options_for(folder / "v", folder / "out");
  options.count = {1, 1, false};
  fs::create_directories(options.out);
  PlantedFinder finder;
  {
    const FolderLock lock(options.out);
    CHECK(contains(input_error([&] { run_face_pipeline(options, finder); }), "another verace"));
  }
  run_face_pipeline(options, finder);
}

TEST_CASE("the service: answers go to who asked, errors too, and none waits for ever") {
  class Odd : public PlantedFinder {
   public:
    std::vector<std::vector<data::DetectedFace>> find(
        std::span<const data::Image> pictures) override {
      if (pictures[0].rgb[1] == 13) fail_input("thirteen");
      return PlantedFinder::find(pictures);
    }
  };
  Odd finder;
  FinderService service(finder);
  std::atomic<int> working = 8, right = 0, failed = 0, stopped = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      const std::unique_ptr<FaceFinder> client = service.client();
      for (int round = 0; round < 20; ++round) {
        const int faces = (i * 7 + round) % 5;
        const std::vector<data::Image> picture = {test::frame_with_faces(faces, i == 3 ? 13 : 1)};
        try {
          right += static_cast<int>(client->find(picture)[0].size()) == faces ? 1 : 0;
        } catch (const Error&) {
          ++failed;
        }
      }
      --working;
    });
  }
  while (working > 0) service.serve(std::chrono::milliseconds(5));
  threads.clear();
  CHECK(right == 140);
  CHECK(failed == 20);
  CHECK(service.pictures() == 160);
  std::jthread late([&] {
    try {
      const std::vector<data::Image> picture = {test::frame_with_faces(1)};
      service.client()->find(picture);
    } catch (const WorkStopped&) {
      ++stopped;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  service.stop();
  late.join();
  CHECK(stopped == 1);
}

}  // namespace
}  // namespace verace::apps::face_pipeline_test
