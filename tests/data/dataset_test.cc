// Data sets from directories and manifests: form, order, errors, leaks.
#include "data/dataset.h"

#include <algorithm>

#include "data/csv.h"
#include "kernels/format.h"
#include "tests/data/data_support.h"

namespace verace::data::testing::dataset_test {
namespace {

// load_dataset looks at names only, so empty files will do.
void touch(const fs::path& path) { write_file(path, std::string_view()); }

std::string load_error(const fs::path& path) {
  return input_error_if_any([&] { load_dataset(path); });
}

std::string manifest_error(const std::string& text) {
  const TempFolder dir;
  touch(dir.path() / "a.jpg");
  touch(dir.path() / "b.jpg");
  write_file(dir.path() / "list.csv", std::string_view(text));
  return load_error(dir.path() / "list.csv");
}

}  // namespace

TEST_CASE("directory tree: splits, classes, videos, order") {
  const TempFolder dir;
  const fs::path& root = dir.path();
  for (const char* name :
       {"train/real/b.jpg", "train/real/a.JPEG", "train/real/vid 1/2.png", "train/real/vid 1/1.Bmp",
        "train/fake/\xc3\xa9t\xc3\xa9/frames/x.png", "train/fake/new\nline.jpg", "val/real/a.jpg",
        "train/real/notes.txt", "train/real/._a.jpg", "train/real/vid 1/Thumbs.db"}) {
    touch(root / name);
  }
  const Dataset dataset = load_dataset(root);
  std::vector<std::string> paths;
  std::vector<std::string> videos;
  for (const Sample& sample : dataset.samples) {
    paths.push_back(sample.path.lexically_relative(root).string());
    videos.push_back(sample.video);
    CHECK(sample.label == (paths.back().find("/fake/") != std::string::npos ? kFake : kReal));
    CHECK(sample.identity.empty());
  }
  CHECK(paths ==
        std::vector<std::string>{"train/real/a.JPEG", "train/real/b.jpg", "train/real/vid 1/1.Bmp",
                                 "train/real/vid 1/2.png", "train/fake/new\nline.jpg",
                                 "train/fake/\xc3\xa9t\xc3\xa9/frames/x.png", "val/real/a.jpg"});
  CHECK(videos == std::vector<std::string>{"train/real/a.JPEG", "train/real/b.jpg", "real/vid 1",
                                           "real/vid 1", "train/fake/new\nline.jpg",
                                           "fake/\xc3\xa9t\xc3\xa9/frames", "val/real/a.jpg"});
  CHECK(dataset.ignored_files == 3);
  CHECK(dataset.leak_report.empty());
  CHECK(count_classes(dataset) == ClassCounts{{{4, 2}, {1, 0}, {0, 0}}});
  CHECK(select_split(dataset, Split::kTrain, "set").size() == 6);
  CHECK(contains(input_error([&] { select_split(dataset, Split::kVal, "set"); }),
                 "set: no pictures of class fake in split val"));
  CHECK(contains(input_error([&] { select_split(dataset, Split::kTest, "set"); }),
                 "set: no pictures of class real in split test"));
}

TEST_CASE("directory tree: errors name what was found") {
  const TempFolder dir;
  CHECK(contains(load_error(dir.path() / "none"), "none: no such directory or manifest"));
  CHECK(contains(load_error(dir.path()), "found no folders"));
  touch(dir.path() / "real" / "a.jpg");
  CHECK(contains(load_error(dir.path()), "needs folders train, val or test"));
  CHECK(contains(load_error(dir.path()), "found 'real'"));
  fs::create_directories(dir.path() / "train" / "real");
  CHECK(contains(load_error(dir.path()), "no pictures"));
  fs::create_directories(dir.path() / "train" / "cats");
  CHECK(contains(load_error(dir.path()), "found 'cats', 'real'"));
}

TEST_CASE("directory tree: links are followed, circles are refused") {
  const TempFolder dir;
  touch(dir.path() / "store" / "1.jpg");
  fs::create_directories(dir.path() / "set" / "train" / "real");
  fs::create_directory_symlink(dir.path() / "store", dir.path() / "set" / "train" / "fake");
  fs::create_directory_symlink(dir.path() / "store", dir.path() / "set" / "train" / "real" / "v");
  CHECK(count_classes(load_dataset(dir.path() / "set"))[0] == std::array<int64_t, 2>{1, 1});
  fs::create_directory_symlink(dir.path() / "store", dir.path() / "store" / "again");
  CHECK(contains(load_error(dir.path() / "set"), "train/real: more than 32 folders deep"));
}

TEST_CASE("a video in two splits is a leak") {
  const TempFolder dir;
  for (const char* name :
       {"train/real/v1/1.jpg", "test/real/v1/2.jpg", "val/fake/v2/1.jpg", "test/fake/v2/1.jpg",
        "train/fake/v1/1.jpg", "train/real/7.jpg", "test/real/7.jpg"}) {
    touch(dir.path() / name);
  }
  const std::string message = load_error(dir.path());
  CHECK(contains(message, "video 'real/v1' is in train and in test (2 such)"));
  const Dataset dataset = load_dataset(dir.path(), {.allow_leak = true});
  CHECK(dataset.samples.size() == 7);
  CHECK(contains(dataset.leak_report, "(2 such)"));
}

TEST_CASE("manifest: columns in any order, quoting, defaults") {
  const TempFolder dir;
  const fs::path odd = "o\"dd, na\nme.jpg";
  touch(dir.path() / "sub" / "a b.jpg");
  touch(dir.path() / odd);
  touch(dir.path() / "\xe2\x82\xac.png");
  const std::string absolute = (dir.path() / "abs.png").string();
  touch(absolute);
  write_file(dir.path() / "list.csv",
             std::string_view("\xef\xbb\xbf"
                              "split,note,label,path,identity,video\r\n"
                              "train,,real,sub/a b.jpg,id1,v1\r\n"
                              "\r\n"
                              "val,\"x\ny\",1,\"o\"\"dd, na\nme.jpg\",id2,v2\n"
                              ",,0,\xe2\x82\xac.png,,\n"
                              "test,,fake," +
                              absolute + ",id3,v3"));
  const Dataset dataset = load_dataset(dir.path() / "list.csv");
  REQUIRE(dataset.samples.size() == 4);
  const Sample& first = dataset.samples[0];
  CHECK(first.path == dir.path() / "sub" / "a b.jpg");
  CHECK(first.label == kReal);
  CHECK(first.identity == "id1");
  CHECK(first.video == "v1");
  CHECK(dataset.samples[1].path == dir.path() / odd);
  CHECK(dataset.samples[1].label == kFake);
  CHECK(dataset.samples[1].split == Split::kVal);
  CHECK(dataset.samples[2].video == "\xe2\x82\xac");
  CHECK(dataset.samples[2].split == Split::kTrain);
  CHECK(dataset.samples[3].path == absolute);
  CHECK(dataset.samples[3].split == Split::kTest);
  CHECK(dataset.ignored_columns == std::vector<std::string>{"note"});
}

TEST_CASE("manifest: own videos do not collide between folders") {
  const TempFolder dir;
  touch(dir.path() / "train" / "1.jpg");
  touch(dir.path() / "test" / "1.jpg");
  write_file(dir.path() / "list.csv",
             std::string_view("path,label,split\ntrain/1.jpg,real,train\ntest/1.jpg,real,test\n"));
  CHECK(load_dataset(dir.path() / "list.csv").samples.size() == 2);
}

TEST_CASE("manifest: errors name the line") {
  CHECK(contains(manifest_error(""), "list.csv: empty"));
  CHECK(contains(manifest_error("path;label\na.jpg;real\n"), "list.csv:1: the header needs"));
  CHECK(contains(manifest_error("path,label,path\n"), "list.csv:1: two columns are named 'path'"));
  CHECK(contains(manifest_error("path,label\na.jpg,real,3\n"), "list.csv:2: 3 fields"));
  CHECK(contains(manifest_error("path,label\n\na.jpg,deepfake\n"), "list.csv:3: label 'deepfake'"));
  CHECK(contains(manifest_error("path,label\na.jpg,real\nb.jpg,\n"),
                 "list.csv:3: the label is empty"));
  CHECK(contains(manifest_error("path,label\nc.jpg,real\n"), "c.jpg: no such picture file"));
  CHECK(contains(manifest_error("path,label\n,real\n"), "list.csv:2: the path is empty"));
  CHECK(contains(manifest_error("path,label,split\na.jpg,0,valid\n"), "list.csv:2: split 'valid'"));
  CHECK(contains(manifest_error("path,label\n\"a\nb.jpg,real\n"),
                 "list.csv:2: a quoted field is not"));
  CHECK(contains(manifest_error("path,label\n\"a.jpg\"x,real\n"),
                 "list.csv:2: text after a closing"));
  CHECK(contains(manifest_error("path,label\na\"b.jpg,real\n"), "list.csv:2: a quote inside"));
  CHECK(contains(manifest_error(std::string("path,label\na\0b.jpg,real\n", 24)), "zero byte"));
  CHECK(contains(manifest_error("path,label\n\"a\nb.jpg\",real\n1,2,3\n"), "list.csv:4: 3 fields"));
  CHECK(contains(manifest_error("path,label\n"), "no pictures"));
  CHECK(contains(manifest_error("path,label,video\na.jpg,real,v\nb.jpg,fake,v\n"),
                 "list.csv:3: video 'v' is fake here and real in line 2"));
}

TEST_CASE("manifest: the face of each picture") {
  const TempFolder dir;
  touch(dir.path() / "a.jpg");
  touch(dir.path() / "b.jpg");
  const std::string header =
      "path,label,video,identity,split,frame,seconds,score,x1,y1,x2,y2,left_eye_x,left_eye_y,"
      "right_eye_x,right_eye_y,nose_x,nose_y,left_mouth_x,left_mouth_y,right_mouth_x,"
      "right_mouth_y\n";
  const std::string start = "a.jpg,fake,v,id1+id0,val,7,0.233,0.99,";
  const std::string points = "1,2,3,4,5,6,7,8,9,10.25\n";
  write_file(dir / "list.csv", std::string_view(header + start + "-1.50,2,100.25,200," + points +
                                                "b.jpg,real,w,,val,,,,,,,,,,,,,,,,,\n"));
  const Dataset dataset = load_dataset(dir / "list.csv");
  CHECK(dataset.ignored_columns.empty());
  REQUIRE(dataset.samples.size() == 2);
  const Sample& sample = dataset.samples[0];
  CHECK(sample.identity == "id1+id0");
  CHECK(sample.frame == 7);
  CHECK(dataset.samples[1].frame == -1);
  REQUIRE(sample.box);
  CHECK(sample.box->x1 == -1.5F);
  CHECK(sample.box->y1 == 2);
  CHECK(sample.box->x2 == 100.25F);
  CHECK(sample.box->y2 == 200);
  REQUIRE(sample.landmarks);
  CHECK((*sample.landmarks)[kLeftEye].x == 1);
  CHECK((*sample.landmarks)[kLeftEye].y == 2);
  CHECK((*sample.landmarks)[kRightEye].x == 3);
  CHECK((*sample.landmarks)[kNose].y == 6);
  CHECK((*sample.landmarks)[kLeftMouth].x == 7);
  CHECK((*sample.landmarks)[kRightMouth].x == 9);
  CHECK((*sample.landmarks)[kRightMouth].y == 10.25F);
  CHECK_FALSE(dataset.samples[1].box.has_value());
  CHECK_FALSE(dataset.samples[1].landmarks.has_value());

  const auto row = [&](const std::string& box_and_points) {
    return manifest_error(header + start + box_and_points);
  };
  CHECK(row("0,0,1,1," + points).empty());
  CHECK(contains(row("0,,1,1," + points), "list.csv:2: y1 is empty, but other parts of the box"));
  CHECK(contains(row("5,0,5,1," + points), "list.csv:2: the box from (5, 0) to (5, 1) is empty"));
  CHECK(contains(row("0,3,5,1," + points), "is empty; x1 < x2"));
  for (const char* wrong : {"nan", "inf", "1e7", "-1e7", "1e60", "1px", " 1", "0x1"}) {
    CHECK(contains(row(text::format("0,0,{},9,", wrong) + points),
                   text::format("x2 '{}' is not a number of pixels", wrong)));
  }
  CHECK(contains(row("0,0,1,1,1,2,3,4,,6,7,8,9,10\n"), "nose_x is empty, but other parts of the"));
  CHECK(contains(row("0,0,1,1,1,2,3,4,5,six,7,8,9,10\n"), "list.csv:2: nose_y 'six' is not"));
  for (const char* wrong : {"-1", "1.5", "x", " 1", "99999999999999999999"}) {
    CHECK(contains(manifest_error(text::format("path,label,frame\na.jpg,real,{}\n", wrong)),
                   text::format("list.csv:2: frame '{}' is not a whole number", wrong)));
  }
  CHECK(contains(manifest_error("path,label,x1,y1,x2\na.jpg,real,0,0,1\n"),
                 "list.csv:1: of the columns of the box 'y2' is missing"));
  CHECK(contains(manifest_error("path,label,nose_x\na.jpg,real,0\n"),
                 "list.csv:1: of the columns of the landmarks 'left_eye_x' is missing"));
}

TEST_CASE("manifest: leaks of videos, identities and pictures") {
  CHECK(contains(manifest_error("path,label,video,split\na.jpg,real,v,train\nb.jpg,real,v,test\n"),
                 "video 'v' is in train and in test (1 such)"));
  CHECK(
      contains(manifest_error("path,label,identity,split\na.jpg,real,p,train\nb.jpg,fake,p,val\n"),
               "identity 'p' is in train and in val (1 such)"));
  CHECK(
      contains(manifest_error("path,label,video,split\na.jpg,real,v,train\n./a.jpg,real,w,test\n"),
               "picture "));
  CHECK(manifest_error("path,label,identity,split\na.jpg,real,,train\nb.jpg,fake,,val\n").empty());
  // A fake is of two persons, each of whom counts.
  CHECK(contains(manifest_error("path,label,identity,split\na.jpg,fake,id1+id0,train\n"
                                "b.jpg,real,id0,val\n"),
                 "identity 'id0' is in train and in val (1 such)"));
  CHECK(contains(manifest_error("path,label,identity,split\na.jpg,fake,id1+id0,train\n"
                                "b.jpg,fake,id0+id1,test\n"),
                 "identity 'id0' is in train and in test (2 such)"));
  CHECK(manifest_error("path,label,identity,split\na.jpg,fake,id1+id0,train\n"
                       "b.jpg,real,id10,val\n")
            .empty());
}

TEST_CASE("CSV fields") {
  const auto records = parse_csv("a,,\"\"\n,\"x\"\"y\",\r\n1,2,3", "t");
  REQUIRE(records.size() == 3);
  CHECK(records[0].fields == std::vector<std::string>{"a", "", ""});
  CHECK(records[1].fields == std::vector<std::string>{"", "x\"y", ""});
  CHECK(records[2].fields == std::vector<std::string>{"1", "2", "3"});
  CHECK(records[2].line == 3);
  CHECK(parse_csv("a,b\n1,\n", "t")[1].fields == std::vector<std::string>{"1", ""});
  CHECK(parse_csv("a,b\n1,", "t")[1].fields == std::vector<std::string>{"1", ""});
  CHECK(parse_csv("", "t").empty());
}

}  // namespace verace::data::testing::dataset_test
