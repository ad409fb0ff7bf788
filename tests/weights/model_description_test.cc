// Descriptions: metadata, free text, assumptions, overrides, contradictions, and the way back to
// metadata.
#include "weights/model_description.h"

#include <array>
#include <limits>

#include "tests/weights/support.h"
#include "weights/metadata_reading.h"

namespace verace::weights::model_description_test {
namespace {

using Metadata = std::map<std::string, std::string>;

ModelDescription describe_tiny(TinyNetwork network, const Metadata& metadata = {},
                               const Overrides& overrides = {}) {
  const TempFolder folder;
  network.metadata = metadata;
  return describe(network.write(folder / "net.safetensors"), overrides);
}

const Finding& finding(const ModelDescription& description, const std::string& what) {
  for (const Finding& one : description.findings) {
    if (one.what == what) return one;
  }
  throw std::out_of_range(what);
}

const Metadata kFreeText{
    {"format", "pt"},
    {"variant", "v1: stride 2 in the first 1x1 convolution of layer2.0, layer3.0, layer4.0"},
    {"max_pool", "3x3 stride 2, no padding, ceil mode"},
    {"batch_norm_epsilon", "1e-3"},
    {"input", "RGB/255, mean 0.485 0.456 0.406, std 0.229 0.224 0.225, NCHW"}};

TEST_CASE("without metadata torchvision's conventions are assumed, and said to be") {
  const ModelDescription d = describe_tiny(TinyNetwork(2, 3));
  CHECK(d.variant == Variant::kV15);
  CHECK(d.pool == PoolMode::kPadded);
  CHECK(d.bn_epsilon == 1e-5);
  CHECK(d.bn_momentum == 0.1);
  CHECK(d.running_variance == RunningVariance::kUnbiased);
  CHECK(d.input_scale == InputScale::kTorch);
  CHECK(d.input_size == 224);
  CHECK(d.head_slope == 0);
  for (const char* what :
       {"variant", "pool", "batch-norm epsilon", "batch-norm momentum", "running variance",
        "input scale", "input size", "head slope", "class names"}) {
    CHECK_MESSAGE(finding(d, what).source == Source::kAssumption, what);
  }
  CHECK(to_string(Source::kAssumption) == "ASSUMPTION");
}

TEST_CASE("names and shapes give channels, head, classes, biases, prefix") {
  const ModelDescription plain = describe_tiny(TinyNetwork(5));
  CHECK(plain.stem_channels == 2);
  CHECK(plain.width == 1.0 / 32);
  CHECK(plain.classes == 5);
  CHECK(plain.head_hidden == 0);
  CHECK_FALSE(plain.conv_bias_present);
  CHECK(plain.class_names.empty());
  CHECK(finding(plain, "classes").source == Source::kShapes);
  const ModelDescription hidden = describe_tiny(TinyNetwork(2, 3, true));
  CHECK(hidden.classes == 2);
  CHECK(hidden.head_hidden == 3);
  CHECK(hidden.conv_bias_present);
  CHECK(hidden.class_names == std::vector<std::string>{"real", "fake"});
  const ModelDescription backbone = describe_tiny(TinyNetwork(0));
  CHECK(backbone.classes == 0);
  CHECK(backbone.head_hidden == 0);
  TinyNetwork wrapped;
  for (ExpectedTensor& tensor : wrapped.tensors) tensor.name = "module." + tensor.name;
  CHECK_CONTAINS(finding(describe_tiny(wrapped), "names").why, "without 'module.'");
  CHECK(describe_tiny(wrapped).classes == 2);
}

TEST_CASE("tensors of impossible shape are refused by name") {
  TinyNetwork network;
  network.at("conv1.weight").shape = {2};
  CHECK_CONTAINS(input_error([&] { describe_tiny(network); }), "'conv1.weight' has shape [2]");
  network = TinyNetwork();
  network.at("layer1.0.conv1.weight").shape = {0, 2, 1, 1};
  CHECK_CONTAINS(input_error([&] { describe_tiny(network); }), "extents above 0");
  network = TinyNetwork();
  network.at("fc.weight").shape = {};
  CHECK_CONTAINS(input_error([&] { describe_tiny(network); }), "'fc.weight'");
}

TEST_CASE("free text of other converters is understood") {
  const ModelDescription d = describe_tiny(TinyNetwork(), kFreeText);
  CHECK(d.variant == Variant::kV1);
  CHECK(d.pool == PoolMode::kCeil);
  CHECK(d.bn_epsilon == 1e-3);
  CHECK(d.input_scale == InputScale::kTorch);
  for (const char* what : {"variant", "pool", "batch-norm epsilon", "input scale"}) {
    CHECK_MESSAGE(finding(d, what).source == Source::kMetadata, what);
  }
  CHECK(finding(d, "variant").why == "variant");
  CHECK(finding(d, "batch-norm momentum").source == Source::kAssumption);
}

TEST_CASE("words in free text") {
  CHECK(variant_in_text("V1.5 (stride in the 3x3)") == Variant::kV15);
  CHECK(variant_in_text("v1") == Variant::kV1);
  CHECK(variant_in_text("ResNet v1, Caffe") == Variant::kV1);
  CHECK_FALSE(variant_in_text("v10").has_value());
  CHECK_FALSE(variant_in_text("v2").has_value());
  CHECK_FALSE(variant_in_text("").has_value());
  CHECK(pool_in_text("3x3/2, padding 1") == PoolMode::kPadded);
  CHECK(pool_in_text("padding=0, ceil_mode") == std::nullopt);
  CHECK(pool_in_text("padding=0, ceil mode") == PoolMode::kCeil);
  CHECK_FALSE(pool_in_text("padding 1, ceil mode").has_value());
  CHECK_FALSE(pool_in_text("3x3").has_value());
  CHECK(input_scale_in_text("BGR, mean 103.939 116.779 123.68") == InputScale::kCaffe);
  CHECK(input_scale_in_text("x / 127.5 - 1") == InputScale::kTf);
  CHECK(input_scale_in_text("RGB/255") == InputScale::kUnit);
  CHECK_FALSE(input_scale_in_text("RGB/255, mean 0.5").has_value());
  CHECK_FALSE(input_scale_in_text("BGR/255").has_value());
  CHECK(number_in_text("1e-5") == 1e-5);
  for (const char* text : {"", "1e-5 ", "x", "nan", "inf", "1e999", "0,5"}) {
    CHECK_MESSAGE(!number_in_text(text).has_value(), text);
  }
}

TEST_CASE("free text that is not understood becomes an assumption that says so") {
  const ModelDescription d = describe_tiny(TinyNetwork(), {{"variant", "the good one"}});
  CHECK(finding(d, "variant").source == Source::kAssumption);
  CHECK_CONTAINS(finding(d, "variant").why, "not understood: variant");
}

TEST_CASE("free text that says otherwise than an own key is a contradiction, of each key") {
  for (const auto& [own, value, text_key] :
       {std::array{"verace.variant", "v1.5", "variant"},
        {"verace.pool", "padded", "max_pool"},
        {"verace.input_scale", "caffe", "input"},
        {"verace.bn_epsilon", "1e-05", "batch_norm_epsilon"}}) {
    INFO(std::string(own));
    Metadata metadata = kFreeText;
    metadata[own] = value;
    const std::string error = input_error([&] { describe_tiny(TinyNetwork(), metadata); });
    CHECK_CONTAINS(error, std::string(" in ") + own + " than in " + text_key + ": correct them");
    metadata.erase("format");
    metadata[text_key] = "no one knows";  // says nothing against it
    CHECK_NOTHROW(describe_tiny(TinyNetwork(), metadata));
  }
}

TEST_CASE("own keys win over free text and go round without loss") {
  Metadata metadata = kFreeText;
  metadata["verace.variant"] = "v1";
  CHECK(finding(describe_tiny(TinyNetwork(), metadata), "variant").why == "verace.variant");

  ModelDescription d = describe_tiny(TinyNetwork(3, 4));
  d.variant = Variant::kV1;
  d.pool = PoolMode::kCeil;
  d.bn_epsilon = 1.001e-5;
  d.bn_momentum = 1.0 / 3;
  d.running_variance = RunningVariance::kBiased;
  d.input_scale = InputScale::kCaffe;
  d.input_size = 160;
  d.head_slope = 0.05;
  d.class_names = {"real", "fake \"x\"", "Ä\n"};
  const ModelDescription back = describe_tiny(TinyNetwork(3, 4), metadata_of(d));
  CHECK(back.variant == d.variant);
  CHECK(back.pool == d.pool);
  CHECK(back.bn_epsilon == d.bn_epsilon);
  CHECK(back.bn_momentum == d.bn_momentum);
  CHECK(back.running_variance == d.running_variance);
  CHECK(back.input_scale == d.input_scale);
  CHECK(back.input_size == d.input_size);
  CHECK(back.head_slope == d.head_slope);
  CHECK(back.head_hidden == 4);
  CHECK(back.class_names == d.class_names);
  for (const Finding& one : back.findings) {
    CHECK_MESSAGE(one.source != Source::kAssumption, one.what);
  }
  d.class_names = {"\xff"};
  CHECK_CONTAINS(input_error([&] { metadata_of(d); }), "UTF-8");
}

TEST_CASE("own keys that cannot be read or contradict the tensors are refused") {
  const std::pair<Metadata, const char*> cases[] = {
      {{{"verace.format", "2"}}, "newer Verace"},
      {{{"verace.variant", "v2"}}, "use one of v1, v1.5"},
      {{{"verace.pool", ""}}, "padded, ceil"},
      {{{"verace.input_scale", "Torch"}}, "caffe, torch, tf, unit"},
      {{{"verace.running_variance", "x"}}, "unbiased, biased"},
      {{{"verace.bn_epsilon", "small"}}, "not a number"},
      {{{"verace.bn_epsilon", "-1"}}, "outside"},
      {{{"verace.bn_epsilon", "0"}}, "outside"},
      {{{"verace.bn_momentum", "1.5"}}, "outside"},
      {{{"verace.input_size", "224.0"}}, "not an integer"},
      {{{"verace.input_size", "0"}}, "outside"},
      {{{"verace.input_size", "99999999999999999999"}}, "not an integer"},
      {{{"verace.head_hidden", "1000"}}, "the tensors 0"},
      {{{"verace.class_names", "[\"a\"]"}}, "1 names, the tensors 2 classes"},
      {{{"verace.class_names", "real,fake"}}, "JSON list"},
      {{{"verace.class_names", "{\"a\":\"b\"}"}}, "JSON list"},
      {{{"verace.class_names", "[1,2]"}}, "JSON list"},
      {{{"verace.class_names", "[[\"a\"],\"b\"]"}}, "JSON list"},
      {{{"verace.class_names", std::string(100000, '[')}}, "JSON list"},
  };
  for (const auto& [metadata, message] : cases) {
    const std::string text = input_error([&] { describe_tiny(TinyNetwork(), metadata); });
    CHECK_CONTAINS(text, "net.safetensors");
    CHECK_CONTAINS(text, message);
  }
  CHECK_CONTAINS(input_error([&] {
                   describe_tiny(TinyNetwork(2, 3), {{"verace.head_slope", "2"}});
                 }),
                 "outside");
}

TEST_CASE("overrides win over assumptions") {
  Overrides overrides;
  overrides.variant = Variant::kV1;
  overrides.pool = PoolMode::kCeil;
  overrides.input_scale = InputScale::kUnit;
  overrides.head_slope = 0.05;
  overrides.bn_epsilon = 1e-3;
  const ModelDescription d = describe_tiny(TinyNetwork(2, 3), {}, overrides);
  CHECK(d.variant == Variant::kV1);
  CHECK(d.pool == PoolMode::kCeil);
  CHECK(d.input_scale == InputScale::kUnit);
  CHECK(d.head_slope == 0.05);
  CHECK(d.bn_epsilon == 1e-3);
  for (const char* what : {"variant", "pool", "input scale", "head slope", "batch-norm epsilon"}) {
    CHECK_MESSAGE(finding(d, what).source == Source::kOverride, what);
  }
}

TEST_CASE("overrides against the metadata need force, equal ones do not") {
  Overrides overrides;
  overrides.variant = Variant::kV1;
  CHECK(describe_tiny(TinyNetwork(), kFreeText, overrides).variant == Variant::kV1);
  overrides.variant = Variant::kV15;
  const std::string message =
      input_error([&] { describe_tiny(TinyNetwork(), kFreeText, overrides); });
  CHECK_CONTAINS(message, "--variant v1.5 contradicts the file's metadata (variant says v1)");
  CHECK_CONTAINS(message, "--force");
  overrides.force = true;
  const ModelDescription d = describe_tiny(TinyNetwork(), kFreeText, overrides);
  CHECK(d.variant == Variant::kV15);
  CHECK_CONTAINS(finding(d, "variant").why, "against metadata variant = v1");
  Overrides pool;
  pool.pool = PoolMode::kPadded;
  CHECK_CONTAINS(input_error([&] { describe_tiny(TinyNetwork(), kFreeText, pool); }),
                 "--pool padded");
  Overrides scale;
  scale.input_scale = InputScale::kCaffe;
  CHECK_CONTAINS(input_error([&] { describe_tiny(TinyNetwork(), kFreeText, scale); }),
                 "--input-scale caffe");
  Overrides epsilon;
  epsilon.bn_epsilon = 1e-5;
  CHECK_CONTAINS(input_error([&] { describe_tiny(TinyNetwork(), kFreeText, epsilon); }),
                 "--bn-epsilon 1e-05");
}

TEST_CASE("the order of two classes") {
  Overrides overrides;
  overrides.class_names = {"fake", "real"};
  const ModelDescription d = describe_tiny(TinyNetwork(2), {}, overrides);
  CHECK(d.class_names == std::vector<std::string>{"fake", "real"});
  CHECK(finding(d, "class names").source == Source::kOverride);
  const Metadata other{{"verace.class_names", "[\"real\",\"fake\"]"}};
  CHECK_CONTAINS(input_error([&] { describe_tiny(TinyNetwork(2), other, overrides); }),
                 "--class-order fake,real contradicts the file's metadata (verace.class_names says "
                 "real,fake)");
  const Metadata same{{"verace.class_names", "[\"fake\",\"real\"]"}};
  CHECK(describe_tiny(TinyNetwork(2), same, overrides).class_names[0] == "fake");
  overrides.force = true;
  CHECK(describe_tiny(TinyNetwork(2), other, overrides).class_names[0] == "fake");
  CHECK_CONTAINS(input_error([&] { describe_tiny(TinyNetwork(3), {}, overrides); }),
                 "--class-order: the network has 3 classes, not 2");
}

TEST_CASE("overrides out of range or without object are refused") {
  for (const double slope : {-0.1, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    Overrides overrides;
    overrides.head_slope = slope;
    CHECK_CONTAINS(input_error([&] { describe_tiny(TinyNetwork(2, 3), {}, overrides); }),
                   "outside 0 to 1");
  }
  Overrides overrides;
  overrides.head_slope = 0.1;
  CHECK_CONTAINS(input_error([&] { describe_tiny(TinyNetwork(), {}, overrides); }),
                 "no hidden layer");
}

TEST_CASE("spellings go both ways") {
  CHECK(engine::to_string(Variant::kV15) == "v1.5");
  CHECK(engine::parse_variant("v1", "--variant") == Variant::kV1);
  CHECK(engine::parse_pool_mode("ceil", "--pool") == PoolMode::kCeil);
  CHECK(engine::parse_input_scale("tf", "--input-scale") == InputScale::kTf);
  CHECK(engine::parse_running_variance("biased", "x") == RunningVariance::kBiased);
  CHECK(input_error([] { engine::parse_variant("v3", "--variant"); }) ==
        "--variant: 'v3' is not a ResNet-50 variant: use one of v1, v1.5");
}

}  // namespace
}  // namespace verace::weights::model_description_test
