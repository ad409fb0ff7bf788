// Verdicts about files: folders, broken pictures, batches, labels, reports.
#include "apps/lib/predictor.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/temporary_pictures.h"

namespace verace::apps::predictor_test {
namespace {

struct Setting {
  explicit Setting(layers::ClassifierOptions network = test::narrow_network())
      : exec(kernels::make_exec(kernels::DeviceKind::kCpu, 2)),
        model(make_model(network, layers::Initialisation::kPyTorch, 3)) {
    test::write_pictures(folder / "data", 0, 3);
    paths = expand_pictures({(folder / "data").string()});
    fit.size = 32;
  }
  Predictions run(int64_t batch, std::vector<std::string> names = {}) {
    InferenceSession session(*model.classifier, exec, std::make_shared<engine::Arena>(), batch);
    return predict(session, paths, fit, std::move(names));
  }

  test::TempFolder folder;
  kernels::Exec exec;
  LoadedModel model;
  std::vector<std::filesystem::path> paths;
  data::FitOptions fit;
};

TEST_CASE("folders stand for the pictures below them, in the order of names") {
  Setting setting;
  REQUIRE(setting.paths.size() == 6);
  CHECK(std::is_sorted(setting.paths.begin(), setting.paths.end()));
  test::write_text(setting.folder / "data" / "notes.txt", "no picture");
  CHECK(expand_pictures({(setting.folder / "data").string()}).size() == 6);
  CHECK(expand_pictures({"a.jpg", "b.xyz"}).size() == 2);  // files are taken as they are
  std::filesystem::create_directory(setting.folder / "empty");
  CHECK_THROWS_WITH_AS(expand_pictures({(setting.folder / "empty").string()}),
                       doctest::Contains("no picture"), Error);
}

TEST_CASE("answers do not depend on the batch, and the common verdict is their mean") {
  Setting setting;
  const Predictions one = setting.run(1), four = setting.run(4);
  REQUIRE(one.pictures.size() == 6);
  double sum = 0;
  for (size_t i = 0; i < 6; ++i) {
    CHECK(one.pictures[i].probabilities[1] ==
          doctest::Approx(four.pictures[i].probabilities[1]).epsilon(1e-5));
    CHECK(one.pictures[i].probabilities[0] + one.pictures[i].probabilities[1] ==
          doctest::Approx(1));
    sum += one.pictures[i].probabilities[1];
  }
  CHECK(one.fake_probability.value() == doctest::Approx(sum / 6));
}

TEST_CASE("broken and missing pictures are named, the others are judged") {
  Setting setting;
  const Predictions whole = setting.run(4);
  test::write_text(setting.paths[1], "no picture");
  setting.paths.push_back(setting.folder / "missing.png");
  const Predictions result = setting.run(4);
  CHECK(result.broken == 2);
  CHECK(result.pictures[1].error.find(setting.paths[1].string()) != std::string::npos);
  CHECK(result.pictures[6].error.find("missing.png") != std::string::npos);
  CHECK(result.pictures[2].probabilities[1] ==
        doctest::Approx(whole.pictures[2].probabilities[1]).epsilon(1e-5));
  const auto json = nlohmann::json::parse(predictions_json(result, 5));
  CHECK(json["broken"] == 2);
  CHECK(json["pictures"][1].contains("error"));
  const std::string verdict = json["pictures"][0]["verdict"];
  CHECK((verdict == "real" || verdict == "fake"));
  CHECK(json["pictures"][0]["probabilities"]["fake"] ==
        doctest::Approx(result.pictures[0].probabilities[1]));
  CHECK(json["pictures"][0]["logits"].size() == 2);
  CHECK(predictions_text(result, 5).find("all 5 together") != std::string::npos);
}

TEST_CASE("networks of other classes answer with the most probable ones") {
  layers::ClassifierOptions network = test::narrow_network();
  network.classes = 4;
  network.class_names.clear();
  Setting setting(network);
  CHECK_FALSE(real_and_fake(network).has_value());
  test::write_text(setting.folder / "labels.txt", "ant\r\nbee\ncat\ndog\n\n");
  const auto labels = read_labels(setting.folder / "labels.txt", 4);
  CHECK(labels == std::vector<std::string>{"ant", "bee", "cat", "dog"});
  CHECK_THROWS_WITH_AS(read_labels(setting.folder / "labels.txt", 5), doctest::Contains("--labels"),
                       Error);
  CHECK_THROWS_WITH_AS(read_labels(setting.folder / "none.txt", 4), doctest::Contains("none.txt"),
                       Error);
  const Predictions result = setting.run(2, labels);
  CHECK_FALSE(result.fake_probability.has_value());
  const auto& probabilities = result.pictures[0].probabilities;
  const std::vector<int64_t> top = top_classes(probabilities, 2);
  REQUIRE(top.size() == 2);
  CHECK(probabilities[static_cast<size_t>(top[0])] >= probabilities[static_cast<size_t>(top[1])]);
  const auto json = nlohmann::json::parse(predictions_json(result, 2));
  CHECK(json["pictures"][0]["class"] == labels[static_cast<size_t>(top[0])]);
  CHECK(json["pictures"][0]["top"].size() == 2);
  CHECK(setting.run(2).class_names[3] == "class 3");
}

TEST_CASE("the top classes are sorted, equal ones by index") {
  CHECK(top_classes({0.1f, 0.4f, 0.4f, 0.1f}, 3) == std::vector<int64_t>{1, 2, 0});
  CHECK(top_classes({0.3f, 0.7f}, 9) == std::vector<int64_t>{1, 0});
}

TEST_CASE("cropping: ImageNet's for networks of other classes, training's for real and fake") {
  layers::ClassifierOptions network;
  CHECK(fit_options(network, data::Fit::kCrop).short_side == 0);
  CHECK(fit_options(network, data::Fit::kStretch).short_side == 0);
  network.classes = 1000;
  network.class_names.clear();
  CHECK(fit_options(network, data::Fit::kCrop).short_side == 256);
  network.input_size = 448;
  CHECK(fit_options(network, data::Fit::kCrop).short_side == 512);
}

}  // namespace
}  // namespace verace::apps::predictor_test
