// FGSM over a data set: figures against their definitions, stored pictures, order of classes.
#include "apps/lib/attack_runner.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/lib/predictor.h"
#include "apps/lib/session.h"
#include "data/image.h"
#include "kernels/format.h"
#include "tests/apps/temporary_pictures.h"

namespace verace::apps::attack_runner_test {
namespace {

namespace fs = std::filesystem;

// One network and one data set for all cases; the network is random, which is enough to attack it.
struct Setting {
  Setting() : exec(kernels::make_exec(kernels::DeviceKind::kCpu, 2)) {
    test::write_pictures(folder / "data", 1, 5);
    model = make_model(test::narrow_network(), layers::Initialisation::kPyTorch, 3);
    samples = data::select_split(data::load_dataset(folder / "data"), data::Split::kTest, "data");
    options.epsilons = {0, 0.01, 0.1};
    options.batch = 4;  // two full batches and a part
    options.workers = 0;
    options.fit.size = 32;
    options.input_root = folder / "data";
  }
  AttackResult run() { return run_fgsm(*model.classifier, exec, samples, options, "model"); }

  test::TempFolder folder;
  kernels::Exec exec;
  LoadedModel model;
  std::vector<data::Sample> samples;
  AttackOptions options;
};

TEST_CASE("epsilons are numbers from 0 to 1, each once") {
  CHECK(parse_epsilons("0.01,0.02", "--epsilon") == std::vector<double>{0.01, 0.02});
  CHECK(parse_epsilons("0", "--epsilon") == std::vector<double>{0});
  for (const char* bad :
       {"", "-0.01", "nan", "inf", "0.01,", ",", "0.01;0.02", "8", "0.1 ", "1e"}) {
    INFO(std::string(bad));
    CHECK_THROWS_WITH_AS(parse_epsilons(bad, "--epsilon"), doctest::Contains("--epsilon"), Error);
  }
  CHECK_THROWS_WITH_AS(parse_epsilons("0.1,0.10", "--epsilon"), doctest::Contains("twice"), Error);
}

TEST_CASE("figures follow from the records and the epsilons") {
  Setting setting;
  const AttackResult result = setting.run();
  REQUIRE(result.count == 10);
  REQUIRE(result.figures.size() == 3);
  // Epsilon 0 changes nothing.
  CHECK(result.figures[0].mse == 0);
  CHECK(result.figures[0].accuracy_after == result.accuracy_before);
  double loss_before = 0, loss_after = 0;
  for (const AttackRecord& record : result.records) {
    CHECK(record.after[0] == doctest::Approx(record.probability_before).epsilon(1e-6));
    const auto truth = [&](double fake) { return record.label == 1 ? fake : 1 - fake; };
    loss_before -= std::log(truth(record.probability_before));
    loss_after -= std::log(truth(record.after[1]));
    CHECK(record.stored.empty());
  }
  CHECK(loss_after > loss_before);
  for (size_t e = 1; e < 3; ++e) {
    const AttackFigures& figures = result.figures[e];
    const double epsilon = setting.options.epsilons[e];
    CHECK(figures.largest_change <= epsilon * (1 + 1e-5));
    CHECK(figures.mse <= epsilon * epsilon * (1 + 1e-5));
    // Few pixels of these pictures are so near to 0 or 1 that clipping takes something away.
    CHECK(figures.mse >= 0.5 * epsilon * epsilon);
    int64_t right = 0;
    for (const AttackRecord& record : result.records) {
      right += (record.after[e] > 0.5) == (record.label == 1);
    }
    CHECK(figures.accuracy_after == doctest::Approx(static_cast<double>(right) / 10));
    CHECK(figures.success_rate == doctest::Approx(1 - figures.accuracy_after));
  }
}

TEST_CASE("the attacked picture is x + epsilon * sign(gradient), clipped, then rounded") {
  Setting setting;
  setting.options.out = setting.folder / "out";
  setting.options.epsilons = {0.02};
  const AttackResult result = setting.run();
  const AttackRecord& record = result.records[6];
  REQUIRE(record.stored.size() == 1);
  CHECK(record.stored[0].lexically_relative(setting.folder / "out") ==
        fs::path("eps_0.02") / record.path.lexically_relative(setting.folder / "data"));

  const data::Image input = data::read_image(record.path);
  const data::Image stored = data::read_image(record.stored[0]);
  std::vector<float> unit(input.rgb.size()), gradient(unit.size()), logits(2);
  for (size_t i = 0; i < unit.size(); ++i) unit[i] = static_cast<float>(input.rgb[i]) / 255.0f;
  GradientSession session(*setting.model.classifier, setting.exec,
                          std::make_shared<engine::Arena>());
  session.gradient(unit, std::vector<int32_t>{record.label}, logits, gradient);
  int64_t different = 0;
  for (size_t i = 0; i < unit.size(); ++i) {
    const double sign = gradient[i] > 0 ? 1 : gradient[i] < 0 ? -1 : 0;
    const double moved = std::min(1.0, std::max(0.0, unit[i] + 0.02 * sign));
    different += std::lround(moved * 255) != stored.rgb[i];
  }
  // A gradient within rounding of zero may have another sign in a batch of another size.
  CHECK(different <= static_cast<int64_t>(unit.size() / 500));

  // The verdict on the file is the one that the record states.
  InferenceSession inference(*setting.model.classifier, setting.exec,
                             std::make_shared<engine::Arena>());
  data::FitOptions fit;
  fit.size = 32;
  const Predictions predictions = predict(inference, {record.stored[0]}, fit, {});
  CHECK(predictions.fake_probability.value() ==
        doctest::Approx(record.after_8bit[0]).epsilon(1e-5));
}

TEST_CASE("the gallery: the first pictures of both classes, each of another video, as they were") {
  Setting setting;
  setting.options.out = setting.folder / "out";
  setting.options.epsilons = {0.05, 0.01};
  for (size_t i = 0; i < setting.samples.size(); ++i) {
    setting.samples[i].video = text::format("video {}", i / 2);  // two pictures of each
  }
  const AttackResult result = setting.run();
  std::map<int32_t, int> taken;
  std::set<std::string> videos;
  for (size_t i = 0; i < result.records.size(); ++i) {
    const AttackRecord& record = result.records[i];
    const bool wanted =
        videos.insert(text::format("{} {}", record.label, setting.samples[i].video)).second &&
        taken[record.label] < kGalleryPerClass;
    CHECK(record.before.empty() == !wanted);
    if (!wanted) continue;
    ++taken[record.label];
    CHECK(data::read_image(record.before).rgb == data::read_image(record.path).rgb);
  }
  const auto json = nlohmann::json::parse(attack_json(result, "model", setting.folder / "out"));
  CHECK(json["version"] == 1);
  const auto& gallery = json["gallery"];
  CHECK(static_cast<int>(gallery.size()) == taken[0] + taken[1]);
  for (const auto& entry : gallery) {
    const AttackRecord& record = result.records[entry["picture"].get<size_t>()];
    CHECK(setting.folder / "out" / entry["before"].get<std::string>() == record.before);
    CHECK(setting.folder / "out" / entry["after"][0].get<std::string>() == record.stored[0]);
    CHECK(entry["after"][1].get<std::string>().starts_with("eps_0.01/"));
  }
}

TEST_CASE("a network that names its classes the other way round is attacked alike") {
  Setting setting;
  setting.options.epsilons = {0.01};
  const AttackResult straight = setting.run();
  layers::ClassifierOptions turned = setting.model.classifier->options();
  turned.class_names = {"fake", "real"};
  LoadedModel other = make_model(turned, layers::Initialisation::kPyTorch, 3);
  for (engine::Parameter* parameter : other.classifier->table().parameters()) {
    if (parameter->name == "fc.weight" || parameter->name == "fc.bias") {
      const auto values = parameter->value.f32_span();
      std::swap_ranges(values.begin(), values.begin() + values.size() / 2,
                       values.begin() + values.size() / 2);
    }
  }
  const AttackResult result =
      run_fgsm(*other.classifier, setting.exec, setting.samples, setting.options, "model");
  for (size_t i = 0; i < result.records.size(); ++i) {
    CHECK(result.records[i].probability_before ==
          doctest::Approx(straight.records[i].probability_before).epsilon(1e-5));
    CHECK(result.records[i].after[0] ==
          doctest::Approx(straight.records[i].after[0]).epsilon(1e-4));
  }
}

TEST_CASE("broken pictures are left out and named; equal names do not collide") {
  Setting setting;
  setting.options.out = setting.folder / "out";
  setting.options.input_root = setting.folder / "elsewhere";  // only file names are left
  setting.options.epsilons = {0.01};
  test::write_text(setting.samples[0].path, "no picture");
  const AttackResult result = setting.run();
  CHECK(result.count == 9);
  REQUIRE(result.broken.size() == 1);
  std::set<fs::path> stored;
  for (const AttackRecord& record : result.records) {
    CHECK(fs::exists(record.stored[0]));
    stored.insert(record.stored[0]);
  }
  CHECK(stored.size() == 9);
  const auto json = nlohmann::json::parse(attack_json(result, "model", "out"));
  CHECK(json["count"] == 9);
  CHECK(json["broken"].size() == 1);
  CHECK(json["pictures"][0]["after"][0]["epsilon"] == 0.01);
  CHECK(attack_table(result).find("0.01") != std::string::npos);
}

TEST_CASE("networks of other classes are refused") {
  Setting setting;
  layers::ClassifierOptions options = test::narrow_network();
  options.classes = 3;
  options.class_names = {"a", "b", "c"};
  const LoadedModel model = make_model(options, layers::Initialisation::kPyTorch, 1);
  CHECK_THROWS_WITH_AS(run_fgsm(*model.classifier, setting.exec, setting.samples, setting.options,
                                "three.safetensors"),
                       doctest::Contains("three.safetensors"), Error);
}

}  // namespace
}  // namespace verace::apps::attack_runner_test
