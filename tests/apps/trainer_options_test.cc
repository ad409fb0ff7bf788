// Training options: the TOML round trip, refusals, class weights.
#include "apps/lib/trainer_options.h"

#include <doctest/doctest.h>

#include <cmath>
#include <sstream>

#include "tests/apps/training_support.h"

namespace verace::apps::trainer_options_test {
namespace {

TrainOptions unusual_options() {
  TrainOptions o;
  o.data = "faces \"x\"\n\\y.csv";
  o.allow_leak = o.strict = o.flip = o.keep_head = o.balanced_sampling = o.print_plan = o.quiet =
      true;
  o.fit = data::Fit::kCrop;
  o.resize = data::ResizeFilter::kNearest;
  o.workers = 5;
  o.cache_mb = 700;
  o.pseudo_fakes = 0.25;
  o.weights = "w.safetensors";
  o.overrides = {.variant = engine::Variant::kV1,
                 .pool = engine::PoolMode::kCeil,
                 .input_scale = engine::InputScale::kCaffe,
                 .head_slope = {},
                 .bn_epsilon = 1.001e-5,
                 .class_names = {},
                 .force = true};
  o.input_size = 96;
  o.stem_channels = 8;
  o.head_hidden = 3000;
  o.head_slope = 0.05;
  o.initialisation = layers::Initialisation::kPyTorch;
  o.freeze = "keras:15";
  o.frozen_bn = layers::FrozenBatchNorm::kBatch;
  o.epochs = 7;
  o.batch = 32;
  o.learning_rate = 1.0 / 3 * 1e-5;
  o.adam = kernels::AdamEpsilon::kPyTorch;
  o.adam_epsilon = 1e-6;
  o.loss = kernels::CrossEntropyForm::kClippedProbability;
  o.class_weights = "1:3";
  o.recalibrate = 0;
  o.seed = 1234567890123;
  o.fpr = 0.0125;
  o.device = {kernels::DeviceKind::kCuda, 3};
  o.launch = engine::Launch::kChecked;
  o.plans = engine::Plans::kNondeterministic;
  o.precision = engine::Precision::kBf16;
  o.threads = 3;
  o.out = "RUN";
  o.resume = "r";
  o.trace = "t";
  o.max_steps = 11;
  return o;
}

TEST_CASE("the configuration file gives back all options") {
  const std::string text = config_text(unusual_options());
  TrainOptions back;
  read_config(text, "config.toml", back);
  CHECK(config_text(back) == text);
  CHECK(back.data == unusual_options().data);
  CHECK(back.learning_rate == unusual_options().learning_rate);
  CHECK(back.head_slope == 0.05);
  CHECK(back.device == unusual_options().device);
  CHECK(back.precision == engine::Precision::kBf16);
  CHECK(back.overrides.pool == engine::PoolMode::kCeil);
  // Every key differs from the default's line, so that none is forgotten by the comparison above.
  TrainOptions plain;
  std::string defaults = config_text(plain);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    CHECK_MESSAGE(!contains("\n" + defaults, "\n" + line + "\n"), line);
  }
}

TEST_CASE("absent optional values stay absent") {
  const TrainOptions plain;
  const std::string text = config_text(plain);
  CHECK_FALSE(contains(text, "variant"));
  CHECK(contains(text, "lr = 0.0001\n"));
  TrainOptions back;
  read_config(text, "x", back);
  CHECK_FALSE(back.overrides.variant);
  CHECK_FALSE(back.input_size);
}

TEST_CASE("bad configurations are refused with line and key") {
  const auto error = [](const std::string& text) {
    TrainOptions options;
    return input_error([&] { read_config(text, "c.toml", options); });
  };
  CHECK(contains(error("batch = 3\nlearning-rate = 1\n"), "c.toml:2: 'learning-rate'"));
  CHECK(contains(error("batch = \"3\"\n"), "c.toml:1: batch must be a whole number"));
  CHECK(contains(error("flip = 1\n"), "flip must be true or false"));
  CHECK(contains(error("variant = \"v2\"\n"), "v2"));
  CHECK(contains(error("adam = \"sgd\"\n"), "use keras or pytorch"));
  CHECK(contains(error("threads = 99999999999\n"), "out of range"));
  CHECK(contains(error("activation = \"leaky:2\"\n"), "activation"));
  CHECK(contains(error("batch = = 3\n"), "c.toml:1"));
  // Found by fuzzing: the library takes for granted that this cannot be.
  CHECK(contains(error("[= 1, 2]\n"), "c.toml: is not TOML"));
  // Found by fuzzing, too: letters outside of ASCII, where the library looks for white space.
  for (const char* text : {"batch = 3\ncach\xc3\xa9 = 1\n", "batch = 3 # \xc3\xa9\n\x9f\xd2m = 1\n",
                           "batch = 3\n\xd1\x8c = 1\n", "x = [\n1979-05-27:a\":\xd0\xac\"]\n"}) {
    CHECK_MESSAGE(contains(error(text), "c.toml:2: "), text);
  }
  // In quotes they are kept, byte for byte, also where they are not UTF-8.
  const auto data_of = [](const std::string& text) {
    TrainOptions options;
    read_config(text, "c.toml", options);
    TrainOptions again;
    read_config(config_text(options), "c.toml", again);
    CHECK(again.data == options.data);
    return options.data.string();
  };
  CHECK(data_of("data = 'caf\xc3\xa9/\xff~/~41' # \xc3\xa9\n") == "caf\xc3\xa9/\xff~/~41");
  CHECK(data_of("\xEF\xBB\xBF"
                "data = \"~\\\"\xc3\xa9\"\n") == "~\"\xc3\xa9");
  TrainOptions options;
  read_config("lr = 1\n", "x", options);  // a whole number is a number
  CHECK(options.learning_rate == 1.0);
}

TEST_CASE("contradictions and ranges") {
  const auto error = [](auto change) {
    TrainOptions options;
    options.data = "d";
    options.out = "o";
    check_options(options);
    change(options);
    return input_error([&] { check_options(options); });
  };
  CHECK(contains(error([](auto& o) { o.batch = 0; }), "--batch"));
  CHECK(contains(error([](auto& o) { o.learning_rate = NAN; }), "--lr"));
  CHECK(contains(error([](auto& o) { o.learning_rate = 0; }), "--lr"));
  CHECK(contains(error([](auto& o) { o.keep_head = true; }), "--keep-head"));
  CHECK(contains(error([](auto& o) { o.head_slope = 0.1; }), "--activation"));
  CHECK(contains(error([](auto& o) { o.data.clear(); }), "--data"));
  CHECK(contains(error([](auto& o) { o.out.clear(); }), "--out"));
  CHECK(contains(error([](auto& o) { o.input_size = 31; }), "--input-size"));
  CHECK(contains(error([](auto& o) { o.seed = UINT64_MAX; }), "--seed"));
}

TEST_CASE("class weights") {
  CHECK(class_weights("none", 3, 9).empty());
  CHECK(class_weights("balanced", 3, 9) == std::vector<float>{2.0f, 12.0f / 18});
  CHECK(class_weights("1:3.5", 1, 1) == std::vector<float>{1.0f, 3.5f});
  for (const char* bad : {"", "1", "1:", ":1", "a:b", "-1:2", "0:0", "1:2x", "nan:1", "inf:1"}) {
    CHECK(contains(input_error([&] { class_weights(bad, 1, 1); }), "--class-weights"));
  }
}

TEST_CASE("spellings go both ways") {
  CHECK(parse_activation("relu", "x") == 0);
  CHECK(parse_activation("leaky:0.05", "x") == 0.05);
  CHECK(activation_text(0.05) == "leaky:0.05");
  engine::DeviceChoice device{kernels::DeviceKind::kReference};
  parse_text("auto", "--device", device);
  CHECK(device == engine::automatic_device().choice);
  parse_text("cuda:2", "--device", device);
  CHECK(device == engine::DeviceChoice{kernels::DeviceKind::kCuda, 2});
  CHECK(contains(input_error([&] { parse_text("gpu", "--device", device); }), "--device: 'gpu'"));
}

}  // namespace
}  // namespace verace::apps::trainer_options_test
