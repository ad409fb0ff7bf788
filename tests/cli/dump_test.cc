// verace dump through the real program: what it writes, for which flags, and what it refuses.
#include <doctest/doctest.h>

#include <cmath>

#include "data/csv.h"
#include "data/image.h"
#include "tests/cli/world.h"
#include "tests/support/npy.h"

namespace verace::dump_test {
namespace {

namespace fs = std::filesystem;
using test::expect_refusal;
using test::Words;
using test::World;

// Rows of an index as maps from column to field.
using Row = std::map<std::string, std::string>;
std::vector<Row> index_of(const std::string& folder) {
  const auto records = data::parse_csv(test::read_text(folder + "/index.csv"), "index.csv");
  std::vector<Row> rows;
  for (size_t i = 1; i < records.size(); ++i) {
    Row& row = rows.emplace_back();
    for (size_t j = 0; j < records[0].fields.size(); ++j) {
      row[records[0].fields[j]] = records[i].fields[j];
    }
  }
  return rows;
}

const Row* find(const std::vector<Row>& rows, const std::string& tensor) {
  for (const Row& row : rows) {
    if (row.at("tensor") == tensor) return &row;
  }
  return nullptr;
}

std::vector<Row> dump(const std::string& name, const Words& more) {
  const World& world = World::get();
  Words words = {"dump", "--threads", "1", "--quiet", "--out", world / name};
  words.insert(words.end(), more.begin(), more.end());
  const test::Finished finished = world.run(words);
  INFO(finished.err);
  REQUIRE(finished.code == 0);
  CHECK(finished.err.empty());
  CHECK(finished.out.starts_with("loss "));
  return index_of(world / name);
}

TEST_CASE("dump without anything: all files, in the order of the step") {
  const World& world = World::get();
  const std::vector<Row> rows = dump("look", {"--faces", "3"});
  CHECK(rows.size() > 500);
  const std::string folder = world / "look";
  size_t files = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    CHECK(row.at("order") == std::to_string(i));
    const test::NpyArray array = test::read_npy(folder + "/" + row.at("npy"));
    CHECK(text::join(array.shape, "x") == row.at("shape"));
    const auto [least, most] = std::ranges::minmax(array.values);
    CHECK(std::abs(std::stod(row.at("min")) - least) <= 1e-6 * std::abs(least));
    CHECK(std::abs(std::stod(row.at("max")) - most) <= 1e-6 * std::abs(most));
    CHECK(row.at("nan") == "0");
    const data::Image picture = data::read_image(folder + "/" + row.at("png"));
    CHECK(picture.width > 8);
    files += 2;
  }
  files += 3;  // index.csv, index.html, model.safetensors
  CHECK(files == static_cast<size_t>(std::distance(fs::directory_iterator(folder), {})));
  CHECK(rows[0].at("tensor") == "pictures");
  CHECK(rows[0].at("shape") == "3x64x64x3");
  CHECK(rows.back().at("tensor") == "conv1.weight gradient");
  CHECK(find(rows, "bn1 dx")->at("gradient_of") == "conv1 z");
  const std::string html = test::read_text(folder + "/index.html");
  CHECK(html.find("0001_input.png") != std::string::npos);
  CHECK(html.find("drawn face 2 (real)") != std::string::npos);
  // The weights before the step: the next dump of that model in inference is that of the network.
  const std::vector<Row> again =
      dump("again", {"--model", folder + "/model.safetensors", "--faces", "3", "--no-pictures"});
  REQUIRE(again.size() == rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    CHECK(again[i].at("png").empty());
    CHECK_MESSAGE(test::read_text(folder + "/" + rows[i].at("npy")) ==
                      test::read_text((world / "again/") + again[i].at("npy")),
                  rows[i].at("tensor"));
  }
}

TEST_CASE("dump: given pictures, their classes, freezing, a single layer") {
  const World& world = World::get();
  const std::string fakes = world / "data/test/fake";
  const Words common = {"--model", world / "run", "--no-pictures"};
  const auto with = [&](Words more) {
    more.insert(more.end(), common.begin(), common.end());
    return more;
  };
  const std::vector<Row> rows =
      dump("frozen", with({fakes, "--freeze", "keras:15", "--device", "reference"}));
  CHECK(find(rows, "pictures")->at("shape") == "6x32x32x3");
  CHECK(find(rows, "conv1.weight gradient") == nullptr);
  CHECK(find(rows, "conv1 z") == nullptr);
  REQUIRE(find(rows, "layer1.0.bn3.weight gradient") != nullptr);
  const std::string page = test::read_text(world / "frozen/index.html");
  CHECK(page.find("frozen ones the running ones") != std::string::npos);
  // Another convention of frozen batch norms: other statistics.
  CHECK(find(dump("batch", with({fakes, "--freeze", "keras:15", "--frozen-bn", "batch"})),
             "bn1 mean") != nullptr);
  const std::string other = test::read_text(world / "batch/index.html");
  CHECK(other.find("frozen ones too, use the batch") != std::string::npos);
  CHECK(other.find("running") == std::string::npos);
  // The folder's name is the class; --label says another one.
  const auto loss = [&](const std::string& out, const Words& more) {
    dump(out, with(more));
    const test::NpyArray losses =
        test::read_npy((world / (out + "/")) + index_of(world / out)[0].at("npy"));
    return losses.values;
  };
  const std::vector<float> fake =
      loss("fake", {fakes, "--layer", "softmax", "--mode", "inference"});
  const std::vector<float> named =
      loss("named", {fakes, "--layer", "softmax", "--mode", "inference", "--label", "fake"});
  const std::vector<float> real =
      loss("real", {fakes, "--layer", "softmax", "--mode", "inference", "--label", "0"});
  REQUIRE(fake.size() == 6);
  CHECK(named == fake);
  CHECK(std::abs(std::exp(-fake[0]) + std::exp(-real[0]) - 1) < 1e-5);
  // A picture elsewhere: class 0, which is said.
  fs::copy(fs::directory_iterator(fakes)->path(), world / "somewhere.jpg");
  const test::Finished noted =
      world.run({"dump", "--out", world / "noted", "--model", world / "run", "--layer", "fc",
                 "--mode", "inference", world / "somewhere.jpg"});
  CHECK(noted.code == 0);
  CHECK(noted.err.find("somewhere.jpg: its folder is no class: the loss is that of class real") !=
        std::string::npos);
  CHECK(dump("one", with({fakes, "--layer", "conv2_block1_2_conv"})).size() == 3);
}

TEST_CASE("dump refuses before it writes anything") {
  const World& world = World::get();
  const std::string out = world / "none";
  test::write_text(world / "full/x", "x");
  expect_refusal({"dump"}, "--out is missing");
  expect_refusal({"dump", "--out", world / "full"}, {"--out", "is not empty"});
  expect_refusal({"dump", "--out", world / "full/x"}, {"--out", "in the way"});
  expect_refusal({"dump", "--out", out, "--layer", "layer1.0.conv9", "--quiet"},
                 {"--layer layer1.0.conv9", "did you mean layer1.0.conv1"});
  expect_refusal({"dump", "--out", out, "--layer", "bn1", "--mode", "inference"}, "is folded");
  expect_refusal({"dump", "--out", out, "--limit", "3"}, {"--limit", "more than 3 MB"});
  expect_refusal({"dump", "--out", out, "--limit", "0"}, "--limit");
  expect_refusal({"dump", "--out", out, "--mode", "test"}, "use training or inference");
  expect_refusal({"dump", "--out", out, "--mode", "inference", "--freeze", "none"}, "--freeze");
  expect_refusal({"dump", "--out", out, "--mode", "inference", "--frozen-bn", "batch"},
                 "--frozen-bn");
  expect_refusal({"dump", "--out", out, "--freeze", "stage:1"}, "--freeze stage:1");
  expect_refusal({"dump", "--out", out, "--label", "fake"}, "--label");
  expect_refusal({"dump", "--out", out, world / "data", "--faces", "1"}, "contradict");
  expect_refusal({"dump", "--out", out, world / "missing.jpg"}, "missing.jpg");
  const std::string picture = world / "data/test/real";
  expect_refusal({"dump", "--out", out, picture, "--label", "2"}, {"--label: '2'", "real, fake"});
  expect_refusal({"dump", "--out", out, picture, "--label", "0.5"}, "--label: '0.5'");
  for (const char* label : {"1e300", "-1e300", "nan", "4294967296", "-1", "1 "}) {
    expect_refusal({"dump", "--out", out, picture, "--label", label},
                   {text::format("--label: '{}'", label), "a number from 0 to 1"});
  }
  expect_refusal({"dump", "--out", out, "--model", world / "run", "--faces", "1"},
                 {"--mode training", "layer4.0.bn2", "give two pictures or more"});
  expect_refusal({"dump", "--out", out, "--model", world / "data"}, "best.safetensors");
}

TEST_CASE("dump refuses flags that would do nothing") {
  const World& world = World::get();
  const std::string out = world / "none", picture = world / "data/test/real";
  const std::vector<Words> of_files = {{"--variant", "v1"},
                                       {"--pool", "ceil"},
                                       {"--input-scale", "torch"},
                                       {"--bn-epsilon", "1e-3"},
                                       {"--force"}};
  for (const Words& flag : of_files) {
    for (const Words& shown : {Words{}, Words{picture}}) {
      Words words = {"dump", "--out", out};
      words.insert(words.end(), shown.begin(), shown.end());
      words.insert(words.end(), flag.begin(), flag.end());
      expect_refusal(words, {flag[0] + ": ", "name a --model"});
    }
  }
  for (const Words& flag : {Words{"--fit", "crop"}, {"--resize", "nearest"}}) {
    expect_refusal({"dump", "--out", out, flag[0], flag[1]}, {flag[0] + ": ", "name pictures"});
    expect_refusal({"dump", "--out", out, "--model", world / "run", flag[0], flag[1]},
                   {flag[0] + ": ", "name pictures"});
  }
  expect_refusal({"dump", "--out", out, "--model", world / "run", picture, "--seed", "2"},
                 {"--seed: ", "nothing is random"});
  // Where they do something they are taken.
  dump("seeded", {picture, "--seed", "2", "--fit", "crop", "--resize", "nearest", "--layer", "fc"});
  dump("forced", {"--model", world / "run", "--seed", "2", "--bn-epsilon", "1e-3", "--force",
                  "--layer", "fc"});
}

}  // namespace
}  // namespace verace::dump_test
