// Data sets of videos: which kind a folder is, what names mean, lists and their traps.
#include "data/video_set.h"

#include <map>
#include <set>

#include "data/video_sets/lists.h"
#include "tests/data/data_support.h"
#include "tests/data/video_trees.h"

namespace verace::data::testing::video_set_test {
using namespace test;
namespace {

constexpr const char* kList = "List_of_testing_videos.txt";

std::map<std::string, VideoSample> by_name(const VideoSet& set) {
  std::map<std::string, VideoSample> result;
  for (const VideoSample& sample : set.videos) result.emplace(sample.name, sample);
  CHECK(result.size() == set.videos.size());
  return result;
}

const Tally* note(const VideoSet& set, std::string_view what) {
  for (const Tally& tally : set.notes) {
    if (tally.what.find(what) != std::string::npos) return &tally;
  }
  return nullptr;
}

// The first names of such a note; none where there is no such note.
std::vector<std::string> first_of(const VideoSet& set, std::string_view what) {
  const Tally* tally = note(set, what);
  return tally == nullptr ? std::vector<std::string>() : tally->first;
}

int64_t count_of(const VideoSet& set, std::string_view what) {
  const Tally* tally = note(set, what);
  return tally == nullptr ? 0 : tally->count;
}

std::string error_of(const fs::path& root, const VideoSetOptions& options = {}) {
  return input_error([&] { load_video_set(root, options); });
}

std::set<std::string> test_names(const VideoSet& set) {
  std::set<std::string> names;
  for (const VideoSample& sample : set.videos) {
    if (sample.split == Split::kTest) names.insert(sample.name);
  }
  return names;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("Celeb-DF: classes, persons, sources and test videos") {
  const TempFolder dir;
  make_celeb_df_with_list(dir.path());
  const VideoSet set = load_video_set(dir.path());
  CHECK(set.kind == "Celeb-DF");
  CHECK(set.root == dir.path());
  REQUIRE(set.folders.size() == 3);
  CHECK(set.folders[0].name == "Celeb-real");
  CHECK(set.folders[0].videos == 12);
  CHECK(set.folders[1].videos == 5);
  CHECK(set.folders[2].videos == 24);
  CHECK(set.folders[2].label == kFake);
  const auto videos = by_name(set);
  REQUIRE(videos.size() == 41);

  const VideoSample& fake = videos.at("Celeb-synthesis/id1_id3_0002");
  CHECK(fake.path == dir.path() / "Celeb-synthesis" / "id1_id3_0002.mp4");
  CHECK(fake.label == kFake);
  CHECK(fake.identity == "id1+id3");
  CHECK(fake.sources == Names{"Celeb-real/id1_0002"});
  CHECK_FALSE(fake.split.has_value());
  const VideoSample& real = videos.at("Celeb-real/id3_0000");
  CHECK(real.label == kReal);
  CHECK(real.identity == "id3");
  CHECK(real.sources.empty());
  CHECK(real.split == Split::kTest);
  const VideoSample& other = videos.at("YouTube-real/00002");
  CHECK(other.label == kReal);
  CHECK(other.identity.empty());
  CHECK_FALSE(other.split.has_value());
  CHECK(set.has_official);
  CHECK(contains(set.official, "14 videos"));
  for (const auto& [name, sample] : videos) {
    const bool listed =
        name.ends_with("_0000") || name == "YouTube-real/00000" || name == "YouTube-real/00001";
    CHECK_MESSAGE((sample.split == Split::kTest) == listed, name);
  }
}

TEST_CASE("Celeb-DF: the version is told by the list, or by numbers that only version 2 has") {
  const TempFolder dir;
  const fs::path list = dir / kList;
  make_celeb_df(dir.path());
  Names lines;
  for (int i = 0; i < 100; ++i) lines.push_back(text::format("1 YouTube-real/{:05}.mp4", i));
  write_lines(list, lines);
  VideoSet set = load_video_set(dir.path());
  CHECK(set.kind == "Celeb-DF v1");
  CHECK(set.folders[0].published == 158);
  CHECK(set.folders[2].published == 795);
  CHECK(note(set, "version 1 lists") == nullptr);
  CHECK(count_of(set, "listed for testing, but not here") == 95);
  CHECK(first_of(set, "listed for testing, but not here") ==
        Names{"YouTube-real/00005", "YouTube-real/00006", "YouTube-real/00007"});

  for (int i = 100; i < 518; ++i)
    lines.push_back(text::format("0 Celeb-synthesis/id0_id1_{:04}.mp4", i));
  write_lines(list, lines);
  set = load_video_set(dir.path());
  CHECK(set.kind == "Celeb-DF v2");
  CHECK(set.folders[0].published == 590);
  CHECK(set.folders[1].published == 300);
  CHECK(set.folders[2].published == 5639);

  // A list that lost its first line, as readers lose it that take it for a header.
  lines.erase(lines.begin());
  write_lines(list, lines);
  set = load_video_set(dir.path());
  CHECK(set.kind == "Celeb-DF");
  CHECK(note(set, "517 videos where version 1 lists 100 and version 2 lists 518"));

  fs::remove(list);
  set = load_video_set(dir.path());
  CHECK(set.kind == "Celeb-DF");
  CHECK_FALSE(set.has_official);
  CHECK(contains(set.official, "List_of_testing_videos.txt is missing"));
  for (int i = 0; i < 251; ++i) empty_video(dir / text::format("YouTube-real/{:05}", i));
  CHECK(load_video_set(dir.path()).kind == "Celeb-DF v2");

  write_lines(list, Names(lines.begin(), lines.begin() + 100));
  set = load_video_set(dir.path());
  CHECK(set.kind == "Celeb-DF v2");
  CHECK(note(set, "whose list this is"));
}

TEST_CASE("Celeb-DF: the list's first line counts, in all its spellings") {
  for (const bool marked : {false, true}) {
    for (const char* end : {"\n", "\r\n", "  \n\n"}) {
      const TempFolder dir;
      Names lines = make_celeb_df(dir.path());
      REQUIRE(lines.front() == "1 YouTube-real/00000.mp4");
      const std::set<std::string> expected = [&] {
        std::set<std::string> names;
        for (const std::string& line : lines) names.insert(line.substr(2, line.size() - 6));
        return names;
      }();
      if (marked) lines.front().insert(0, "\xef\xbb\xbf");
      write_lines(dir / kList, lines, end);
      CHECK(test_names(load_video_set(dir.path())) == expected);
    }
  }
  // No line end after the last one; extensions in capitals, or other ones.
  const TempFolder dir;
  make_celeb_df(dir.path());
  write_file(dir / kList,
             std::string_view("1\tCeleb-real/id0_0001.MP4\n0  Celeb-synthesis/id0_id1_0001.avi"));
  CHECK(test_names(load_video_set(dir.path())) ==
        std::set<std::string>{"Celeb-real/id0_0001", "Celeb-synthesis/id0_id1_0001"});
}

TEST_CASE("Celeb-DF: labels that contradict the folders are refused with their line") {
  const TempFolder dir;
  Names lines = make_celeb_df(dir.path());
  Names inverted = lines;
  for (std::string& line : inverted) line[0] = line[0] == '1' ? '0' : '1';
  write_lines(dir / kList, inverted);
  const std::string all = error_of(dir.path());
  CHECK(contains(all,
                 "List_of_testing_videos.txt:1: label 0 calls YouTube-real/00000.mp4 fake, its "
                 "folder holds real videos"));
  CHECK(contains(all, "14 of 14 lines"));
  CHECK(contains(all, "inverted"));

  REQUIRE(lines[4] == "0 Celeb-synthesis/id0_id2_0000.mp4");
  lines[4][0] = '1';
  write_lines(dir / kList, lines, "\r\n");
  const std::string one = error_of(dir.path());
  CHECK(contains(one, ":5: label 1 calls Celeb-synthesis/id0_id2_0000.mp4 real"));
  CHECK(contains(one, "1 of 14 lines"));
  CHECK(one.find("inverted") == std::string::npos);
}

TEST_CASE("Celeb-DF: lists of another form are refused with their line") {
  const TempFolder dir;
  const Names lines = make_celeb_df(dir.path());
  const auto refused = [&](const std::string& text) {
    write_file(dir / kList, std::string_view(text));
    return error_of(dir.path());
  };
  CHECK(contains(refused(""), "holds no videos"));
  CHECK(contains(refused("\n \r\n"), "holds no videos"));
  CHECK(contains(refused(lines[0] + "\nlabel path\n"), ":2: 'label path' is not"));
  CHECK(contains(refused("2 Celeb-real/id0_0000.mp4"), ":1: '2 Celeb-real/id0_0000.mp4' is not"));
  CHECK(contains(refused("1"), ":1: '1' is not"));
  CHECK(contains(refused("1 "), ":1: '1' is not"));
  CHECK(contains(refused("1 id0_0000.mp4"), "is not"));
  CHECK(contains(refused("1 Celeb-real/"), "is not"));
  CHECK(contains(refused("1Celeb-real/id0_0000.mp4"), "is not"));
  CHECK(contains(refused("Celeb-real/id0_0000.mp4,REAL"), "is not"));
  CHECK(contains(refused("\n\n1 Celeb-fake/id0_0000.mp4"),
                 ":3: 'Celeb-fake' is no folder of Celeb-DF"));
  CHECK(contains(refused(std::string("1 Celeb-real/\0.mp4", 17)), "is not"));
  // A picture, or the archive itself, under the list's name.
  CHECK(contains(refused("\x89PNG\r\n\x1a\n"), ":1: '"));
  fs::remove(dir / kList);
  fs::create_directory(dir / kList);
  CHECK(contains(error_of(dir.path()), "is a directory"));
}

TEST_CASE("Celeb-DF: duplicates in the list are one video, and said") {
  const TempFolder dir;
  Names lines = make_celeb_df(dir.path());
  lines.push_back(lines.front());
  write_lines(dir / kList, lines);
  const VideoSet set = load_video_set(dir.path());
  CHECK(contains(set.official, "14 videos"));
  CHECK(first_of(set, "more than once") == Names{"YouTube-real/00000"});
}

TEST_CASE("files that fit no rule are counted with the reason") {
  const TempFolder dir;
  make_celeb_df_with_list(dir.path());
  for (const char* name :
       {"Celeb-real/id0_id1_0000.mp4", "Celeb-real/1_0000.mp4", "Celeb-real/id_0000.mp4",
        "Celeb-real/id0_.mp4", "Celeb-synthesis/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000_2.mp4",
        "YouTube-real/id0_0000.mp4", "Celeb-real/notes.txt", "Celeb-real/._id0_0000.mp4",
        "Celeb-real/frame.png"}) {
    write_file(dir / name, std::string_view());
  }
  const VideoSet set = load_video_set(dir.path());
  CHECK(set.videos.size() == 41);
  CHECK(count_of(set, "not of the form idA_NNNN") == 4);
  CHECK(first_of(set, "not of the form idA_NNNN") ==
        Names{"Celeb-real/1_0000.mp4", "Celeb-real/id0_.mp4", "Celeb-real/id0_id1_0000.mp4"});
  CHECK(count_of(set, "not of the form idA_idB_NNNN") == 2);
  CHECK(count_of(set, "not of the form NNNNN") == 1);
  CHECK(count_of(set, "neither a video nor a picture") == 1);
  CHECK(count_of(set, "hidden") == 1);
  CHECK(count_of(set, "a picture outside") == 1);
}

TEST_CASE("folders of frames, deeper folders and extensions in any case are videos") {
  const TempFolder dir;
  const Names lines = make_celeb_df(dir.path(), {}, [](const fs::path& path) {
    const fs::path folder = path.parent_path() / "frames" / path.filename();
    write_file(folder / "000.PNG", std::string_view());
    write_file(folder / "faces.npy", std::string_view());
  });
  write_lines(dir / kList, lines);
  write_file(dir / "Celeb-real/id9_0000/images/1.jpg", std::string_view());
  write_file(dir / "Celeb-real/id9_0001.MP4", std::string_view());
  write_file(dir / "Celeb-real/videos/id0_0000.Mkv", std::string_view());  // also as frames
  const VideoSet set = load_video_set(dir.path());
  const auto videos = by_name(set);
  CHECK(videos.size() == 43);
  CHECK(test_names(set).size() == 14);
  CHECK(videos.at("Celeb-synthesis/id1_id3_0002").path ==
        dir / "Celeb-synthesis/frames/id1_id3_0002");
  CHECK(videos.at("Celeb-real/id9_0000").path == dir / "Celeb-real/id9_0000/images");
  CHECK(videos.at("Celeb-real/id9_0001").path == dir / "Celeb-real/id9_0001.MP4");
  CHECK(videos.at("Celeb-real/id0_0000").path == dir / "Celeb-real/videos/id0_0000.Mkv");
  CHECK(videos.at("Celeb-real/id0_0000").split == Split::kTest);
  CHECK(first_of(set, "a second time") == Names{"Celeb-real/frames/id0_0000"});
  CHECK(count_of(set, "neither a video") == 41);
}

TEST_CASE("Celeb-DF: folders in another case are the same") {
  const TempFolder dir;
  const Names lines = make_celeb_df(dir.path());
  fs::rename(dir / "YouTube-real", dir / "Youtube-real");
  write_lines(dir / kList, lines);
  VideoSet set = load_video_set(dir.path());
  CHECK(test_names(set).size() == 14);
  CHECK(by_name(set).at("YouTube-real/00001").path == dir / "Youtube-real/00001.mp4");
  write_file(dir / kList, std::string_view("1 Youtube-Real/00003.mp4"));
  CHECK(test_names(load_video_set(dir.path())) == std::set<std::string>{"YouTube-real/00003"});
  // An inverted label is seen all the same.
  write_file(dir / kList, std::string_view("0 youtube-real/00003.mp4"));
  CHECK(contains(error_of(dir.path()), ":1: label 0 calls youtube-real/00003.mp4 fake"));
}

TEST_CASE("parts of Celeb-DF are normal, empty ones are not") {
  const TempFolder dir;
  write_file(dir / "Celeb-synthesis/id0_id1_0000.mp4", std::string_view());
  CHECK(load_video_set(dir.path()).videos.size() == 1);
  const TempFolder empty;
  fs::create_directories(empty / "Celeb-real");
  CHECK(contains(error_of(empty.path()),
                 "looks like Celeb-DF, but there are no videos in Celeb-real"));
  const TempFolder outer;
  fs::create_directories(outer / "Celeb-DF-v2/Celeb-real");
  write_file(outer / "Celeb-DF-v2/Celeb-real/id0_0000.mp4", std::string_view());
  CHECK(contains(error_of(outer.path()), "did you mean " + (outer / "Celeb-DF-v2").string()));
}

TEST_CASE("FaceForensics++: names, sources, splits") {
  const TempFolder dir;
  make_faceforensics(dir.path());
  write_file(dir / "manipulated_sequences/Deepfakes/masks/videos/000_001.mp4", std::string_view());
  write_file(dir / "manipulated_sequences/FaceX/c23/videos/000_001.mp4", std::string_view());
  write_file(dir / "manipulated_sequences/Deepfakes/c23/videos/000.mp4", std::string_view());
  write_file(dir / "manipulated_sequences/Deepfakes/c23/masks/000_001/0.png", std::string_view());
  write_file(dir / "original_sequences/youtube/c23/videos/999.MP4", std::string_view());
  const VideoSet set = load_video_set(dir.path());
  CHECK(set.kind == "FaceForensics++, c23");
  const auto videos = by_name(set);
  CHECK(videos.size() == 20 + 2 * 20 + 1);
  REQUIRE(set.folders.size() == 3);
  CHECK(set.folders[0].name == "original_sequences/youtube/c23");
  CHECK(set.folders[0].videos == 21);
  CHECK(set.folders[0].published == 1000);
  const VideoSample& fake = videos.at("NeuralTextures/005_004");
  CHECK(fake.path == dir / "manipulated_sequences/NeuralTextures/c23/videos/005_004.mp4");
  CHECK(fake.label == kFake);
  CHECK(fake.identity == "005+004");
  CHECK(fake.sources == Names{"youtube/005", "youtube/004"});
  CHECK(fake.split == Split::kVal);
  CHECK(videos.at("Deepfakes/000_001").split == Split::kTest);
  CHECK(videos.at("youtube/019").split == Split::kTrain);
  CHECK(videos.at("youtube/019").identity == "019");
  CHECK_FALSE(videos.at("youtube/999").split.has_value());
  CHECK(first_of(set, "masks") == Names{"manipulated_sequences/Deepfakes/c23/masks/000_001"});
  CHECK(count_of(set, "none of raw, c0, c23, c40") == 1);
  CHECK(count_of(set, "no folder of FaceForensics++") == 1);
  CHECK(count_of(set, "not of the form NNN or") == 1);
  CHECK(note(set, "but not here") == nullptr);

  // Splits that join videos across: the fake has no place.
  write_file(dir / "manipulated_sequences/Deepfakes/c23/videos/000_019.mp4", std::string_view());
  CHECK_FALSE(by_name(load_video_set(dir.path())).at("Deepfakes/000_019").split.has_value());
  fs::remove(dir / "original_sequences/youtube/c23/videos/003.mp4");
  CHECK(first_of(load_video_set(dir.path()), "but not here") == Names{"youtube/003"});
  fs::remove(dir / "splits/val.json");
  const VideoSet without = load_video_set(dir.path());
  CHECK_FALSE(without.has_official);
  CHECK(contains(without.official, "val.json missing"));
}

TEST_CASE("FaceForensics++: videos of actors") {
  const TempFolder dir;
  make_faceforensics(dir.path());
  for (const char* name : {"original_sequences/actors/c23/videos/01__exit_phone_room.mp4",
                           "manipulated_sequences/DeepFakeDetection/c23/videos/"
                           "01_02__exit_phone_room__YVGY8LOK.mp4",
                           "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__exit.mp4",
                           "original_sequences/actors/c23/videos/01_exit.mp4"}) {
    write_file(dir / name, std::string_view());
  }
  const auto videos = by_name(load_video_set(dir.path()));
  const VideoSample& fake = videos.at("DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK");
  CHECK(fake.identity == "actor01+actor02");
  CHECK(fake.sources == Names{"actors/01__exit_phone_room"});
  CHECK_FALSE(fake.split.has_value());
  CHECK(videos.at("actors/01__exit_phone_room").identity == "actor01");
  CHECK_FALSE(videos.contains("actors/01_exit"));
  CHECK_FALSE(videos.contains("DeepFakeDetection/01_02__exit"));

  const VideoSet chosen = load_video_set(dir.path(), {"", {"DeepFakeDetection"}});
  CHECK(chosen.videos.size() == 2);
  CHECK(load_video_set(dir.path(), {"", {"Deepfakes"}}).videos.size() == 40);
}

TEST_CASE("FaceForensics++: compressions and methods are chosen") {
  const TempFolder dir;
  FaceForensicsSize size;
  size.compressions = {"c23", "c40"};
  make_faceforensics(dir.path(), size);
  CHECK(contains(error_of(dir.path()), "holds the compressions c23 and c40 of the same videos"));
  const VideoSet set = load_video_set(dir.path(), {"c40", {"NeuralTextures"}});
  CHECK(set.videos.size() == 40);
  CHECK(contains(set.videos.front().path.string(), "/c40/"));
  CHECK(first_of(set, "not asked for") == Names{"manipulated_sequences/Deepfakes"});
  CHECK(contains(error_of(dir.path(), {"raw", {}}), "holds no compression raw, but c23 and c40"));
  CHECK(contains(error_of(dir.path(), {"c23", {"deepfakes"}}), "'deepfakes' is no method"));
  CHECK(contains(error_of(dir.path(), {"c23", {"FaceSwap"}}),
                 "has no folder manipulated_sequences/FaceSwap"));
  const TempFolder first;  // the first release's name of raw
  size.compressions = {"c0"};
  make_faceforensics(first.path(), size);
  CHECK(load_video_set(first.path()).kind == "FaceForensics++, c0");
  const TempFolder other;
  make_celeb_df(other.path());
  CHECK(contains(error_of(other.path(), {"c23", {}}), "is not FaceForensics++"));
  const TempFolder bare;
  fs::create_directories(bare / "original_sequences/youtube/videos");
  CHECK(contains(error_of(bare.path()), "no folder raw, c0, c23 or c40"));
}

TEST_CASE("FaceForensics++: files of splits with another form are refused with their line") {
  const TempFolder dir;
  make_faceforensics(dir.path());
  const auto refused = [&](const std::string& text) {
    write_file(dir / "splits/val.json", std::string_view(text));
    return error_of(dir.path());
  };
  CHECK(contains(refused(""), "val.json:1: '[' is missing"));
  CHECK(contains(refused("[]"), "the list is empty"));
  CHECK(contains(refused("[[\"004\", \"005\"]"), "']' is missing"));
  CHECK(contains(refused("[[\"004\", \"005\"]] x"), "text after the end"));
  CHECK(contains(refused("[[\"004\"]]"), "',' is missing"));
  CHECK(contains(refused("[[\"004\",\n\"005\", \"006\"]]"), ":2: ']' is missing"));
  CHECK(contains(refused("[\n[4, 5]]"), ":2: '\"' is missing"));
  CHECK(contains(refused("[[\"a\", \"005\"]]"), "is not the number of a video"));
  CHECK(contains(refused("[[\"\", \"005\"]]"), "is not the number of a video"));
  CHECK(contains(refused("[[\"004"), "is not the number of a video"));
  CHECK(contains(refused("[[\"004\", \"000\"]]"), "test.json: video 000 is in val already"));
  CHECK(parse_split_pairs("\xef\xbb\xbf [ [ \"1\" ,\r\n\"2\" ] ]\n", "x").size() == 1);
}

TEST_CASE("folders real and fake, divided or not") {
  const TempFolder dir;
  for (const char* name : {"real/a.mp4", "real/deep/b.AVI", "Fake/c/1.png", "fake/d.webm"}) {
    write_file(dir / name, std::string_view());
  }
  const VideoSet set = load_video_set(dir.path());
  CHECK(set.kind == "folders real and fake");
  CHECK_FALSE(set.has_official);
  const auto videos = by_name(set);
  CHECK(videos.size() == 4);
  CHECK(videos.at("real/deep/b").label == kReal);
  CHECK(videos.at("Fake/c").label == kFake);
  CHECK(videos.at("fake/d").identity.empty());
  write_file(dir / "real/portrait.jpg", std::string_view());
  CHECK(by_name(load_video_set(dir.path())).at("real/portrait").path == dir / "real/portrait.jpg");

  const TempFolder divided;
  for (const char* name : {"train/real/1.mp4", "train/fake/v/1.png", "test/real/1.mp4",
                           "test/fake/v/2.png", "val/fake/x.mp4"}) {
    write_file(divided / name, std::string_view());
  }
  const VideoSet parts = load_video_set(divided.path());
  CHECK(parts.has_official);
  CHECK(by_name(parts).at("test/real/1").split == Split::kTest);
  CHECK(by_name(parts).at("val/fake/x").split == Split::kVal);
  // Folders of frames with one name are pieces of one video; numbered files are not.
  const LeakReport leaks = check_leaks(parts);
  CHECK(leaks.sources == 1);
  CHECK(contains(leaks.text, "source video 'fake/v' is in train and in test (1 such)"));
}

TEST_CASE("single videos, and videos without labels") {
  const TempFolder dir;
  write_file(dir / "in/clip.mp4", std::string_view());
  write_file(dir / "in/sub/other.mov", std::string_view());
  write_file(dir / "in/frames/1.png", std::string_view());
  const VideoSet file = load_video_set(dir / "in/clip.mp4");
  CHECK(file.kind == "one video");
  REQUIRE(file.videos.size() == 1);
  CHECK(file.videos[0].name == (dir / "in/clip").string());
  CHECK_FALSE(file.videos[0].label.has_value());
  const VideoSet frames = load_video_set(dir.path() / "in/frames/");
  CHECK(frames.kind == "one folder of frames");
  CHECK(frames.videos[0].name == (dir / "in/frames").string());
  const VideoSet all = load_video_set(dir / "in");
  CHECK(all.kind == "videos without labels");
  CHECK(by_name(all).size() == 3);
  CHECK(by_name(all).contains("sub/other"));
  CHECK(contains(input_error([&] { load_video_set(dir / "none"); }),
                 "none: no such video or folder"));
  const TempFolder empty;
  write_file(empty / "a/readme.txt", std::string_view());
  CHECK(contains(error_of(empty.path()), "holds no videos and no data set that we know"));
  CHECK(contains(error_of(empty.path()), "found 'a'"));
}

TEST_CASE("links to folders are followed, circles are refused") {
  const TempFolder dir;
  make_celeb_df(dir / "store");
  fs::create_directories(dir / "set");
  fs::create_directory_symlink(dir / "store/Celeb-real", dir / "set/Celeb-real");
  CHECK(load_video_set(dir / "set").videos.size() == 12);
  fs::create_directory_symlink(dir / "store/Celeb-real", dir / "store/Celeb-real/again");
  CHECK(contains(error_of(dir / "set"), "more than 32 folders deep"));
}

TEST_CASE("copies of a file belong together") {
  const TempFolder dir;
  write_file(dir / "train/real/a.mp4", std::string_view("0123456789"));
  write_file(dir / "train/real/b.mp4", std::string_view("0123456788"));
  write_file(dir / "test/real/renamed.mov", std::string_view("0123456789"));
  write_file(dir / "val/fake/x.mp4", std::string_view("0123456789"));
  write_file(dir / "val/fake/empty.mp4", std::string_view());
  write_file(dir / "test/fake/empty.mp4", std::string_view());
  const VideoSet set = load_video_set(dir.path());
  const auto videos = by_name(set);
  CHECK(videos.at("test/real/renamed").sources.empty());
  CHECK(videos.at("train/real/a").sources == Names{"test/real/renamed"});
  CHECK(videos.at("val/fake/x").sources == Names{"test/real/renamed"});
  CHECK(videos.at("train/real/b").sources.empty());
  CHECK(videos.at("val/fake/empty").sources.empty());
  CHECK(first_of(set, "the same bytes as another file") == Names{"train/real/a.mp4"});
  CHECK(first_of(set, "of the other class") == Names{"val/fake/x.mp4"});
  CHECK(contains(check_leaks(set).text,
                 "source video 'test/real/renamed' is in train and in val (1 such)"));
  VideoSet divided = set;
  CHECK(assign_splits(divided, {SplitRule::kVideo, {0.5, 0.25, 0.25}, 1}).leaks.sources == 0);
}

}  // namespace verace::data::testing::video_set_test
