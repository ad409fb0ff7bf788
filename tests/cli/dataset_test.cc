// verace dataset inspect, through the real program.
#include <nlohmann/json.hpp>

#include "tests/cli/world.h"
#include "tests/data/video_trees.h"

namespace verace::dataset_test {
namespace {

using nlohmann::json;
using test::Finished;
using test::Process;
using test::TempFolder;
using test::Words;

Finished inspect(const TempFolder& folder, const Words& words) {
  Words all = {"dataset", "inspect"};
  all.insert(all.end(), words.begin(), words.end());
  return Process(test::verace_program(), all, folder.path()).wait();
}

bool says(const Finished& finished, const std::string& part) {
  return test::contains(finished.out, part);
}

}  // namespace

TEST_CASE("dataset inspect shows folders, splits and leaks") {
  const TempFolder folder;
  const std::string root = folder / "set";
  test::make_celeb_df_with_list(root);
  test::write_text(folder / "set/Celeb-real/notes.txt", "");
  const Finished plain = inspect(folder, {root});
  CHECK(plain.code == 0);
  CHECK(plain.err.empty());
  CHECK(says(plain, root + ": Celeb-DF\n"));
  CHECK(says(plain, "  Celeb-synthesis  fake         24\n"));
  CHECK(says(plain, "official split: List_of_testing_videos.txt: 14 videos\n"));
  CHECK(says(plain, "1  neither a video nor a picture: Celeb-real/notes.txt\n"));
  CHECK(plain.out.find("splits:") == std::string::npos);

  const Finished official = inspect(folder, {root, "--splits", "official"});
  CHECK(official.code == 0);
  CHECK(says(official, "splits: official, shares 0.8 0.1 0.1, seed 1\n"));
  CHECK(says(official, "  test         6       8           4\n"));
  CHECK(says(official, "in two splits: identity 'id0' is in "));
  const Finished identity =
      inspect(folder, {root, "--splits", "identity", "--shares", "0.5,0.25,0.25"});
  CHECK(says(identity, "its persons are in different splits: Celeb-synthesis/"));
  CHECK(says(identity, "in two splits: none; the persons of 5 videos are unknown\n"));
}

TEST_CASE("dataset inspect as JSON and as a list") {
  const TempFolder folder;
  const std::string root = folder / "set";
  test::make_faceforensics(root);
  test::write_text(folder / "set/original_sequences/youtube/c23/videos/\xff,\"\n.mp4", "");
  const Finished finished =
      inspect(folder, {root, "--splits", "video", "--split-seed", "3", "--json"});
  REQUIRE(finished.code == 0);
  const json report = json::parse(finished.out);
  CHECK(report["kind"] == "FaceForensics++, c23");
  CHECK(report["folders"][0]["name"] == "original_sequences/youtube/c23");
  CHECK(report["folders"][0]["videos"] == 20);
  CHECK(report["folders"][0]["published"] == 1000);
  CHECK(report["official"]["present"] == true);
  CHECK(report["notes"][0]["count"] == 1);
  CHECK(report["splits"]["rule"] == "video");
  CHECK(report["splits"]["seed"] == 3);
  CHECK(report["splits"]["shares"]["train"] == 0.8);
  CHECK(report["splits"]["leaks"]["sources"] == 0);
  int64_t real = 0;
  for (const char* split : {"train", "val", "test"}) {
    CHECK(report["splits"]["videos"][split]["real"] > 0);
    real += report["splits"]["videos"][split]["real"].get<int64_t>();
  }
  CHECK(real == 20);
  CHECK_FALSE(json::parse(inspect(folder, {root, "--json"}).out).contains("splits"));

  const Finished list = inspect(folder, {root, "--splits", "official", "--list"});
  REQUIRE(list.code == 0);
  CHECK(list.out.starts_with("path,name,label,identity,split,sources\n"));
  CHECK(says(list, root +
                       "/manipulated_sequences/Deepfakes/c23/videos/000_001.mp4,Deepfakes/000_001,"
                       "fake,000+001,test,youtube/000+youtube/001\n"));
  CHECK(std::count(list.out.begin(), list.out.end(), '\n') == 61);
  const Finished methods =
      inspect(folder, {root, "--compression", "c23", "--methods", "NeuralTextures", "--list"});
  CHECK(std::count(methods.out.begin(), methods.out.end(), '\n') == 41);
}

TEST_CASE("dataset inspect counts what a manifest holds") {
  const TempFolder folder;
  for (const char* name : {"a.jpg", "b.jpg", "c.jpg", "d.jpg"}) test::write_text(folder / name, "");
  const std::string path = folder / "manifest.csv";
  test::write_text(path,
                   "path,label,video,identity,split,x1,y1,x2,y2,odd\n"
                   "a.jpg,real,r,id0,train,0,0,9,9,\nb.jpg,real,r,id0,train,0,0,9,9,\n"
                   "c.jpg,fake,f,id1+id0,test,,,,,\nd.jpg,fake,g,,test,0,0,9,9,\n");
  const Finished finished = inspect(folder, {path});
  REQUIRE(finished.code == 0);
  CHECK(says(finished, path + ": a manifest of 4 pictures\n"));
  CHECK(says(finished, "  train              2      (1)              0      (0)           1\n"));
  CHECK(says(finished, "  test               0      (0)              2      (2)           2\n"));
  CHECK(says(finished, "with a box: 3, with landmarks: 0, without an identity: 1\n"));
  CHECK(says(finished, "columns that nothing reads: odd\n"));
  CHECK(says(finished, "in two splits: identity 'id0' is in train and in test (1 such)\n"));
  const json report = json::parse(inspect(folder, {path, "--json"}).out);
  CHECK(report["splits"]["test"]["fake"]["videos"] == 2);
  CHECK(report["splits"]["test"]["identities"] == 2);
  CHECK(report["with_box"] == 3);
  CHECK(report["leaks"] == "identity 'id0' is in train and in test (1 such)");
  test::expect_error(inspect(folder, {path, "--splits", "video"}), "--splits: a manifest has its");
  test::write_text(path, "path,label\na.jpg,\n");
  test::expect_error(inspect(folder, {path}), "manifest.csv:2: the label is empty");
}

TEST_CASE("dataset inspect refuses what is wrong, in one line") {
  const TempFolder folder;
  const std::string root = folder / "set";
  auto lines = test::make_celeb_df(root);
  lines[2][0] = '0';
  test::write_lines(folder / "set/List_of_testing_videos.txt", lines);
  const auto refused = [&](const Words& words, const test::Parts& parts) {
    INFO(test::command_text(words));
    test::expect_error(inspect(folder, words), parts);
  };
  refused({}, "ROOT is missing");
  refused({folder / "none"}, "no such video or folder");
  refused({root}, {"List_of_testing_videos.txt:3: label 0 calls Celeb-real/id0_0000.mp4 fake",
                   "its folder holds real videos"});
  std::filesystem::remove(folder / "set/List_of_testing_videos.txt");
  refused({root, "--splits", "official"}, "List_of_testing_videos.txt is missing");
  refused({root, "--splits", "random"}, {"--splits", "use official, video or identity"});
  refused({root, "--compression", "c23"}, "is not FaceForensics++");
  refused({root, "--compression", "c24"}, {"--compression", "use raw, c0, c23 or c40"});
  refused({root, "--shares", "0.8,0.1,0.1"}, "--shares: divides nothing without --splits");
  refused({root, "--split-seed", "2"}, "--split-seed: divides nothing without --splits");
  for (const char* shares : {"0.8,0.2", "0.8,0.1,0.1,0", "0.8,0.1,0.2", "1.2,-0.1,-0.1",
                             "nan,0.5,0.5", "a,b,c", "0.8,0.1,"}) {
    refused({root, "--splits", "video", "--shares", shares}, {"--shares", "add up to 1"});
  }
  refused({root, "--json", "--list"}, "the list is CSV");
}

}  // namespace verace::dataset_test
