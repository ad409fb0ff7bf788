// Crops that a network was trained on: beside manifests, in model files, in training, in warnings.
#include "apps/lib/crop_record.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "tests/apps/training_support.h"

namespace verace::apps::crop_record_test {
namespace {

constexpr CropRecord kMargin{data::CropKind::kMargin, 0.125};

void write_faces_json(const std::filesystem::path& folder, const std::string& crop,
                      const std::string& margin) {
  test::write_text(folder / "faces.json", R"({"version": 1, "settings": {"--crop": ")" + crop +
                                              R"(", "--margin": ")" + margin +
                                              R"(", "--size": "224"}})");
}

TEST_CASE("what lies beside a manifest") {
  const TempFolder folder;
  test::write_text(folder / "manifest.csv", "path,label\n");
  CHECK_FALSE(crop_of_data(folder / "manifest.csv"));
  write_faces_json(folder.path(), "margin", "0.125");
  CHECK(crop_of_data(folder / "manifest.csv") == kMargin);
  CHECK_FALSE(crop_of_data(folder.path()));  // a folder of pictures is no manifest
  CHECK_FALSE(crop_of_data(folder / "none.csv"));
  const auto refused = [&](const std::string& crop, const std::string& margin) {
    write_faces_json(folder.path(), crop, margin);
    CHECK(contains(input_error([&] { crop_of_data(folder / "manifest.csv"); }), "faces.json"));
  };
  refused("round", "0");
  for (const char* margin : {"", "-1", "nan", "inf", "0.1x", "99", " 0"}) refused("margin", margin);
  test::write_text(folder / "faces.json", "{}");
  CHECK(contains(input_error([&] { crop_of_data(folder / "manifest.csv"); }), "faces.json"));
}

TEST_CASE("in model files") {
  const TempFolder folder;
  const LoadedModel model = make_model(narrow_network(), layers::Initialisation::kPyTorch, 3);
  save_model(folder / "m", *model.classifier, {}, kMargin);
  CHECK(load_model(folder / "m").crop == kMargin);
  // Thresholds that are stored later leave it alone.
  store_thresholds(folder / "m", folder / "t", {ChosenThresholds{}, {}},
                   file_version(folder / "m"));
  CHECK(load_model(folder / "t").crop == kMargin);
  save_model(folder / "n", *model.classifier);
  CHECK_FALSE(load_model(folder / "n").crop);
  CHECK_FALSE(load_backbone(folder / "m", {}, {}).crop);
  for (const char* bad : {"", "{}", R"({"version": 1, "kind": "round", "margin": 0})",
                          R"({"version": 1, "kind": "tight", "margin": -1})",
                          R"({"version": 2, "kind": "tight", "margin": 0})"}) {
    CHECK(contains(input_error([&] {
                     crop_in_metadata({{kCropKey, bad}}, "m.safetensors");
                   }),
                   "m.safetensors: metadata verace.crop"));
  }
}

TEST_CASE("a training stores the crops of its manifest with the best model") {
  const TempFolder folder;
  std::string lines = "path,label,video,split\n";
  for (const data::Sample& sample : data::load_dataset(tiny_dataset()).samples) {
    lines += sample.path.string() + "," + data::kClassNames[static_cast<size_t>(sample.label)] +
             "," + sample.path.stem().string() +
             sample.path.parent_path().parent_path().filename().string() +
             std::to_string(sample.label) + "," +
             data::kSplitNames[static_cast<size_t>(sample.split)] + "\n";
  }
  test::write_text(folder / "manifest.csv", lines);
  write_faces_json(folder.path(), "margin", "0.125");
  TrainOptions options = tiny_run((folder / "run").string());
  options.data = (folder / "manifest.csv").string();
  options.epochs = 1;
  trained(options);
  CHECK(load_model(folder / "run/best.safetensors").crop == kMargin);
}

TEST_CASE("warnings say both, and only where both are known and differ") {
  const std::string warning = crop_warning(CropRecord{}, kMargin);
  CHECK(contains(warning, "--crop tight --margin 0"));
  CHECK(contains(warning, "--crop margin --margin 0.125"));
  CHECK(contains(crop_warning(CropRecord{data::CropKind::kMargin, 0.3}, kMargin), "0.3"));
  CHECK(crop_warning(kMargin, kMargin).empty());
  CHECK(crop_warning({}, kMargin).empty());
  CHECK(crop_warning(kMargin, {}).empty());
}

}  // namespace
}  // namespace verace::apps::crop_record_test
