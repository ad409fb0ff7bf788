// Keras' own description of a model: what is read from it, and what contradicts our network.
#include "weights/keras_config.h"

#include <nlohmann/json.hpp>

#include "tests/weights/support.h"

namespace verace::weights::keras_config_test {
namespace {

using json = nlohmann::json;

json layer(const std::string& kind, const std::string& name, json config = json::object()) {
  config["name"] = name;
  return {{"class_name", kind}, {"name", name}, {"config", config}};
}

json convolution(const std::string& name, int stride) {
  return layer("Conv2D", name, {{"strides", {stride, stride}}, {"use_bias", true}});
}

json batch_norm(const std::string& name, double epsilon = 1.001e-5, double momentum = 0.99) {
  return layer("BatchNormalization", name, {{"epsilon", epsilon}, {"momentum", momentum}});
}

// A backbone as Keras describes it, shortened to what matters.
std::vector<json> backbone(int first_stride = 2, int second_stride = 1) {
  return {layer("InputLayer", "input_1", {{"batch_input_shape", {nullptr, 160, 160, 3}}}),
          layer("ZeroPadding2D", "conv1_pad"),
          convolution("conv1_conv", 2),
          batch_norm("conv1_bn"),
          layer("ZeroPadding2D", "pool1_pad"),
          layer("MaxPooling2D", "pool1_pool", {{"padding", "valid"}, {"strides", {2, 2}}}),
          convolution("conv2_block1_1_conv", 1),
          convolution("conv3_block1_1_conv", first_stride),
          batch_norm("conv3_block1_1_bn"),
          convolution("conv3_block1_2_conv", second_stride),
          convolution("conv3_block1_0_conv", 2),
          layer("GlobalAveragePooling2D", "avg_pool")};
}

std::string model(const std::vector<json>& layers) {
  return json{{"class_name", "Functional"}, {"config", {{"name", "m"}, {"layers", layers}}}}.dump();
}

KerasConfig with(std::vector<json> more) {
  std::vector<json> layers = backbone();
  layers.insert(layers.end(), more.begin(), more.end());
  return read_keras_config(model(layers));
}

json dense(const std::string& name, int units, const json& activation) {
  return layer("Dense", name, {{"units", units}, {"activation", activation}});
}

TEST_CASE("epsilon, momentum, strides, pooling and input size") {
  const KerasConfig config = read_keras_config(model(backbone()));
  CHECK(config.understood);
  CHECK(config.contradictions.empty());
  CHECK(config.variant == engine::Variant::kV1);
  CHECK(config.pool == engine::PoolMode::kPadded);
  CHECK(config.bn_epsilon == 1.001e-5);
  CHECK(config.bn_momentum == 0.01);
  CHECK(config.input_size == 160);
  CHECK_FALSE(config.input_scale.has_value());
  CHECK_FALSE(config.head_slope.has_value());
  CHECK(read_keras_config(model(backbone(1, 2))).variant == engine::Variant::kV15);
  const KerasConfig flat = read_keras_config(model(backbone(1, 1)));
  CHECK_FALSE(flat.variant.has_value());
  CHECK_CONTAINS(flat.contradictions.at(0), "a stage 2 that does not halve");
  // Old names, an old Sequential whose config is a list, Keras 3's spelling of the input.
  const json old{{"class_name", "Sequential"},
                 {"config",
                  {convolution("res4a_branch2a", 2), batch_norm("bn4a_branch2a", 1e-3, 0.9),
                   layer("InputLayer", "i", {{"batch_shape", {nullptr, 96, 96, 3}}})}}};
  const KerasConfig list = read_keras_config(old.dump());
  CHECK(list.variant == engine::Variant::kV1);
  CHECK(list.bn_epsilon == 1e-3);
  CHECK(list.bn_momentum == 0.1);
  CHECK(list.input_size == 96);
}

TEST_CASE("a backbone that is a layer of the model is looked into") {
  const json inner{{"class_name", "Functional"},
                   {"config", {{"name", "resnet50"}, {"layers", backbone()}}}};
  const KerasConfig config =
      read_keras_config(model({layer("Rescaling", "r", {{"scale", 1 / 255.0}, {"offset", 0.0}}),
                               inner, dense("a", 9, "relu"), dense("b", 2, "softmax")}));
  CHECK(config.variant == engine::Variant::kV1);
  CHECK(config.input_scale == engine::InputScale::kUnit);
  CHECK(config.head_slope == 0);
  CHECK(config.contradictions.empty());
}

TEST_CASE("input scales") {
  const auto scale = [](double factor, double offset) {
    return with({layer("Rescaling", "r", {{"scale", factor}, {"offset", offset}})}).input_scale;
  };
  CHECK(scale(1 / 255.0, 0) == engine::InputScale::kUnit);
  CHECK(scale(0.00392156862745098, 0) == engine::InputScale::kUnit);
  CHECK(scale(1 / 127.5, -1) == engine::InputScale::kTf);
  CHECK_FALSE(scale(1 / 127.5, 0).has_value());
  CHECK_FALSE(scale(1 / 255.0, 0.5).has_value());
  CHECK_FALSE(scale(1, 0).has_value());
  const auto refused = [](const json& offset) {
    const KerasConfig config =
        with({layer("Rescaling", "r", {{"scale", 1 / 255.0}, {"offset", offset}})});
    return !config.input_scale && config.contradictions.size() == 1;
  };
  CHECK(refused(0.5));
  CHECK(refused({0, 0, 0}));  // one per channel: not read as 0
  CHECK_FALSE(refused(0));
}

TEST_CASE("the activation behind the hidden layer") {
  const json last = dense("b", 2, "softmax");
  CHECK(with({dense("a", 9, "relu"), last}).head_slope == 0);
  CHECK(with({dense("a", 9, "linear"), layer("LeakyReLU", "l", {{"alpha", 0.05}}), last})
            .head_slope == 0.05);
  CHECK(with({dense("a", 9, "linear"), layer("LeakyReLU", "l", {{"negative_slope", 0.07}}), last})
            .head_slope == 0.07);
  CHECK(with({dense("a", 9, "linear"), layer("LeakyReLU", "l"), last}).head_slope == 0.3);
  CHECK(with({dense("a", 9, "linear"), layer("Activation", "l", {{"activation", "relu"}}), last})
            .head_slope == 0);
  CHECK(
      with({dense("a", 9, "linear"), layer("ReLU", "l"), layer("Dropout", "d"), last}).head_slope ==
      0);
  const json object{{"class_name", "LeakyReLU"}, {"config", {{"alpha", 0.05}}}};
  CHECK(with({dense("a", 9, object), last}).head_slope == 0.05);
  CHECK(with({dense("a", 9, "leaky_relu"), last}).head_slope == 0.2);
  const KerasConfig tanh = with({dense("a", 9, "tanh"), last});
  CHECK_FALSE(tanh.head_slope.has_value());
  CHECK(tanh.contradictions.empty());  // of the backbone
  REQUIRE(tanh.head_contradictions.size() == 1);
  CHECK_CONTAINS(tanh.head_contradictions[0], "'tanh'");
  CHECK_CONTAINS(with({dense("a", 9, "linear"), last}).head_contradictions.at(0), "linear");
  CHECK(with({last}).head_contradictions.empty());
}

TEST_CASE("what contradicts itself or our network is named") {
  const auto only = [](const KerasConfig& config) {
    REQUIRE(config.contradictions.size() == 1);
    return config.contradictions[0];
  };
  CHECK_CONTAINS(only(with({batch_norm("x", 1e-3)})), "different epsilon: 1.001e-05 and 0.001");
  CHECK_CONTAINS(only(with({batch_norm("x", 1.001e-5, 0.9)})), "different momentum");
  CHECK_CONTAINS(only(with({convolution("conv4_block1_2_conv", 2)})), "strides of v1");
  CHECK_CONTAINS(with({layer("GlobalMaxPooling2D", "m")}).head_contradictions.at(0), "maximum");
  std::vector<json> layers = backbone();
  layers[4] = layer("Activation", "no_padding");
  CHECK_CONTAINS(only(read_keras_config(model(layers))), "without padding");
  layers.insert(layers.begin() + 1, layer("ZeroPadding2D", "zero_padding2d_1"));  // of the stem
  CHECK_CONTAINS(only(read_keras_config(model(layers))), "without padding");
  layers.erase(layers.begin() + 1);
  layers[2]["config"]["padding"] = "same";
  CHECK_CONTAINS(read_keras_config(model(layers)).contradictions.at(0), "'conv1_conv' of stride 2");
  layers[2]["config"]["padding"] = "valid";
  layers[5]["config"]["padding"] = "same";
  CHECK(read_keras_config(model(layers)).pool == engine::PoolMode::kCeil);
  layers = backbone();
  layers[0]["config"]["batch_input_shape"] = {nullptr, 224, 160, 3};
  CHECK_CONTAINS(only(read_keras_config(model(layers))), "not square");
  layers[0]["config"]["batch_input_shape"] = {nullptr, nullptr, nullptr, 3};
  CHECK_FALSE(read_keras_config(model(layers)).input_size.has_value());
}

TEST_CASE("texts that are no model say nothing and break nothing") {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "{\"config\":";
  for (const std::string& text :
       {std::string(), std::string("x"), std::string("[]"),
        std::string("{\"config\":{\"layers\":1}}"),
        std::string("{\"config\":{\"layers\":[1,null,{\"config\":2},{\"config\":{\"name\":3}}"),
        deep, std::string(200'000, '['), std::string(kMaxKerasConfigBytes + 1, ' '),
        std::string("{\"config\": \"\xff\"}")}) {
    CHECK_FALSE(read_keras_config(text).understood);
  }
  // Valid, but models within models without end.
  std::string inside = R"({"class_name": "X", "config": {"name": "x"}})";
  for (int i = 0; i < 10'000; ++i) inside = "{\"config\":{\"layers\":[" + inside + "]}}";
  CHECK_FALSE(read_keras_config(inside).understood);
  // Values of other types than Keras writes.
  for (const char* config :
       {R"({"strides": "x", "epsilon": [], "momentum": {}, "activation": 3, "name": 5})",
        R"({"batch_input_shape": {"a": 1}, "strides": [], "scale": null, "activation": {}})",
        R"({"batch_input_shape": [1, 2], "strides": [1.5], "scale": "a", "epsilon": 1e999})"}) {
    for (const char* kind : {"Conv2D", "BatchNormalization", "Dense", "InputLayer", "Rescaling",
                             "MaxPooling2D", "LeakyReLU", ""}) {
      const std::string one =
          std::string("{\"class_name\": \"") + kind + "\", \"config\": " + config + "}";
      const KerasConfig out =
          read_keras_config("{\"config\": {\"layers\": [" + one + "," + one + "," + one + "]}}");
      CHECK_FALSE(out.bn_epsilon.has_value());
      CHECK_FALSE(out.variant.has_value());
      CHECK_FALSE(out.input_size.has_value());
    }
  }
}

TEST_CASE("a described file: the configuration is metadata, contradictions need force") {
  const TempFolder folder;
  TinyNetwork tiny(2, 3);
  const auto described = [&](const Overrides& overrides = {}) {
    return describe(tiny.write(folder / "f"), overrides);
  };
  std::vector<json> layers = backbone();
  for (json& entry : layers) {
    if (entry["class_name"] == "BatchNormalization") entry["config"]["epsilon"] = 0.002;
  }
  layers.push_back(dense("a", 3, "relu"));
  layers.push_back(dense("b", 2, "softmax"));
  tiny.metadata = {{"keras.model_config", model(layers)}, {"keras.version", "2.3.1"}};
  const ModelDescription d = described();
  CHECK(d.bn_epsilon == 0.002);
  CHECK(d.variant == Variant::kV1);
  CHECK(d.bn_momentum == 0.01);
  CHECK(d.input_size == 160);
  CHECK(d.running_variance == RunningVariance::kKeras2);
  for (const Finding& one : d.findings) {
    if (one.what == "input scale" || one.what == "class names") continue;
    CHECK_MESSAGE(one.source != Source::kAssumption, one.what);
  }
  for (const auto& [version, rule] : {std::pair("3.4.1", RunningVariance::kBiased),
                                      std::pair("2.2.4-tf", RunningVariance::kUnbiased),
                                      std::pair("2.12.0", RunningVariance::kUnbiased),
                                      std::pair("2.2.4", RunningVariance::kKeras2)}) {
    tiny.metadata["keras.version"] = version;
    CHECK_MESSAGE(described().running_variance == rule, version);
  }
  // Without a configuration the version is not one that the network was trained with.
  TinyNetwork published;
  published.metadata = {{"keras.version", "2.2.4"}};
  CHECK(describe(published.write(folder / "p")).running_variance == RunningVariance::kUnbiased);

  Overrides overrides;
  overrides.variant = Variant::kV15;
  CHECK_CONTAINS(input_error([&] { described(overrides); }), "keras.model_config says v1");
  overrides.force = true;
  CHECK(described(overrides).variant == Variant::kV15);

  tiny.metadata["verace.bn_epsilon"] = "0.001";
  CHECK_CONTAINS(
      input_error([&] { described(); }),
      "another epsilon in verace.bn_epsilon than in keras.model_config: correct them, or "
      "add --force");
  CHECK(described(overrides).bn_epsilon == 0.001);
  tiny.metadata["keras.model_config"] = "?";
  const ModelDescription lost = described();
  CHECK(lost.variant == Variant::kV15);
  CHECK_CONTAINS(lost.findings[6].why, "not understood: keras.model_config");
}

TEST_CASE("a head that our network does not compute is refused where it is used") {
  const TempFolder folder;
  TinyNetwork tiny(2, 3);
  std::vector<json> layers = backbone();
  layers.push_back(dense("a", 3, "tanh"));
  layers.push_back(dense("b", 2, "softmax"));
  tiny.metadata = {{"keras.model_config", model(layers)}};
  const WeightFile file = tiny.write(folder / "f");
  CHECK_CONTAINS(input_error([&] { describe(file); }), "activation 'tanh' in keras.model_config");
  Overrides force;
  force.force = true;
  CHECK(describe(file, force).head_hidden == 3);
  CHECK(describe(file, {}, Use::kBackbone).variant == Variant::kV1);
  // What is wrong with the backbone is refused all the same.
  layers.push_back(batch_norm("x", 0.5));
  tiny.metadata = {{"keras.model_config", model(layers)}};
  const WeightFile wrong = tiny.write(folder / "g");
  CHECK_CONTAINS(input_error([&] { describe(wrong, {}, Use::kBackbone); }), "different epsilon");
}

}  // namespace
}  // namespace verace::weights::keras_config_test
