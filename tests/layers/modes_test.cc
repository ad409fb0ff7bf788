// The modes of training that goldens do not reach: every freezing form, frozen batch norms, and
// what must not move.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "kernels/check.h"
#include "optim/adam.h"
#include "optim/freeze.h"
#include "tests/support/golden_network.h"
#include "tests/support/random.h"
#include "tests/support/sanitized.h"

namespace verace::layers::modes_test {
namespace {

ClassifierOptions narrow() {
  ClassifierOptions options;
  options.backbone.stem_channels = 8;
  options.input_size =
      64;  // 2x2 in the last stage: batch norm over 1x1 and a few samples is ill-conditioned
  options.head_hidden = 16;
  options.head_slope = 0.05;
  return options;
}

std::unique_ptr<Classifier> make_narrow() {
  auto classifier = std::make_unique<Classifier>(narrow());
  classifier->initialise_all(Initialisation::kPyTorch, 3);
  // Running statistics that differ from the batch's, so that a mix-up shows.
  uint64_t seed = 100;
  for (const auto& layer : classifier->table().layers()) {
    if (layer->kind != engine::LayerKind::kBatchNorm) continue;
    test::fill_uniform(layer->parameter("weight").value.f32_span(), ++seed, 0.6f, 1.4f);
    test::fill_uniform(layer->parameter("bias").value.f32_span(), ++seed, -0.3f, 0.3f);
    test::fill_uniform(layer->parameter("running_mean").value.f32_span(), ++seed, -0.2f, 0.2f);
    test::fill_uniform(layer->parameter("running_var").value.f32_span(), ++seed, 0.5f, 2.0f);
  }
  return classifier;
}

struct Batch {
  std::vector<float> pictures = test::uniform(8 * 64 * 64 * 3, 9, 0.0f, 1.0f);
  std::vector<int32_t> labels = {0, 1, 1, 0, 1, 0, 0, 1};
};

double run_loss(TrainingStep& t, const Batch& batch) {
  std::copy(batch.pictures.begin(), batch.pictures.end(), t.step.memory().f32(t.pictures));
  std::copy(batch.labels.begin(), batch.labels.end(), t.step.memory().i32(t.labels));
  t.step.run();
  double sum = 0;
  for (int i = 0; i < 8; ++i) sum += t.step.memory().f32(t.loss)[i];
  return sum / 8;
}

TrainingOptions options_of(FrozenBatchNorm frozen) {
  TrainingOptions options;
  options.from_unit = true;
  options.build.frozen_batch_norm = frozen;
  return options;
}

// The loss must change along each parameter's own gradient g by |g|^2 per unit: catches any scaled,
// missing or misplaced gradient.
void check_directional(const std::string& freeze, FrozenBatchNorm frozen,
                       const kernels::Exec& exec) {
  auto classifier = make_narrow();
  optim::freeze(classifier->table(), freeze);
  const Batch batch;
  TrainingStep t =
      classifier->plan_training(exec, std::make_shared<engine::Arena>(), 8, options_of(frozen));
  run_loss(t, batch);
  int number = 0;
  std::vector<double> errors;
  for (engine::Parameter* parameter : classifier->table().trainable_parameters()) {
    // Every kind of layer and block position comes round; all of them would take minutes.
    if (number++ % 7 != 0 && !parameter->name.starts_with("fc")) continue;
    const std::vector<float> gradient(parameter->gradient.f32(),
                                      parameter->gradient.f32() + parameter->gradient.count());
    const std::vector<float> before(parameter->value.f32(),
                                    parameter->value.f32() + parameter->value.count());
    double square = 0;
    for (const float g : gradient) square += static_cast<double>(g) * g;
    REQUIRE(std::isfinite(square));
    if (square < 1e-10) continue;
    const double step =
        4e-3 / square;  // moves the loss by about 8e-3 in all: above float noise, below curvature
    const auto loss_at = [&](double scale) {
      for (size_t i = 0; i < before.size(); ++i) {
        parameter->value.f32()[i] = static_cast<float>(before[i] + scale * gradient[i]);
      }
      t.step.prepare();
      return run_loss(t, batch);
    };
    // Two differences, extrapolated (Richardson): curvature of batch norm would else need steps
    // below float noise.
    const double wide = (loss_at(step) - loss_at(-step)) / (2 * step * square);
    const double close = (loss_at(step / 2) - loss_at(-step / 2)) / (step * square);
    const double ratio = (4 * close - wide) / 3;
    std::copy(before.begin(), before.end(), parameter->value.f32());
    INFO(freeze, std::string(frozen == FrozenBatchNorm::kBatch ? " batch " : " inference "),
         parameter->name, " ratio ", ratio, " (wide ", wide, ", close ", close, ")");
    CHECK(std::abs(ratio - 1.0) < 0.3);  // a kink of a ReLU may lie between the two losses
    errors.push_back(std::abs(ratio - 1.0));
  }
  REQUIRE(errors.size() > 3);
  std::ranges::nth_element(errors, errors.begin() + static_cast<int64_t>(errors.size()) / 2);
  CHECK(errors[errors.size() / 2] < 0.06);  // but not at most parameters
}

}  // namespace

TEST_CASE("gradients of every mode agree with the change of the loss") {
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu);
  std::vector<std::string> freezes = {"stages:2", "keras:16", "backbone", "name:layer3.0.conv2"};
  if (test::skip_if_sanitized("layers/modes_test", "[other freezing forms]")) freezes.resize(1);
  for (const std::string& freeze : freezes) {
    check_directional(freeze, FrozenBatchNorm::kInference, exec);
  }
  check_directional("stages:2", FrozenBatchNorm::kBatch, exec);
}

TEST_CASE("a trained convolution under a frozen batch norm") {
  for (const auto device : {kernels::DeviceKind::kCpu, kernels::DeviceKind::kReference}) {
    auto classifier = make_narrow();
    for (const auto& layer : classifier->table().layers()) {
      layer->trainable = layer->kind != engine::LayerKind::kBatchNorm;
    }
    // As check_directional, on one early and one late convolution.
    const Batch batch;
    TrainingStep t =
        classifier->plan_training(kernels::make_exec(device), std::make_shared<engine::Arena>(), 8,
                                  options_of(FrozenBatchNorm::kInference));
    run_loss(t, batch);
    for (const std::string name : {"layer1.0.conv2", "layer4.1.conv3", "layer2.0.downsample.0"}) {
      engine::Parameter& w = classifier->table().find(name)->parameter("weight");
      const std::vector<float> g(w.gradient.f32(), w.gradient.f32() + w.gradient.count());
      const std::vector<float> before(w.value.f32(), w.value.f32() + w.value.count());
      double square = 0;
      for (const float v : g) square += static_cast<double>(v) * v;
      const double step = 2e-3 / square;
      const auto loss_at = [&](double scale) {
        for (size_t i = 0; i < before.size(); ++i)
          w.value.f32()[i] = static_cast<float>(before[i] + scale * g[i]);
        return run_loss(t, batch);
      };
      const double ratio = (loss_at(step) - loss_at(-step)) / (2 * step * square);
      std::copy(before.begin(), before.end(), w.value.f32());
      INFO(name, " ratio ", ratio);
      CHECK(std::abs(ratio - 1.0) < 0.05);
    }
  }
}

TEST_CASE("frozen parameters and statistics do not move by a bit; trained ones do") {
  for (const std::string freeze : {"none", "keras:5", "keras:10", "keras:15", "keras:20",
                                   "stages:3", "blocks:5", "backbone"}) {
    auto classifier = make_narrow();
    optim::freeze(classifier->table(), freeze);
    optim::Adam adam(classifier->table(), {.learning_rate = 1e-2});
    TrainingOptions options = options_of(FrozenBatchNorm::kInference);
    options.append_update = [&](engine::StepBuilder& b, engine::Value) { adam.append_update(b); };
    TrainingStep t = classifier->plan_training(kernels::make_exec(kernels::DeviceKind::kCpu),
                                               std::make_shared<engine::Arena>(), 8, options);
    std::vector<std::vector<float>> before;
    for (const engine::Parameter* p : classifier->table().parameters()) {
      before.emplace_back(p->value.f32(), p->value.f32() + p->value.count());
    }
    run_loss(t, {});
    size_t at = 0;
    for (const auto& layer : classifier->table().layers()) {
      for (const auto& p : layer->parameters) {
        const bool same = std::equal(before[at].begin(), before[at].end(), p->value.f32());
        INFO(freeze, " ", p->name);
        CHECK(same == !layer->trainable);
        ++at;
      }
    }
    CHECK(adam.step() == 1);
  }
}

TEST_CASE("frozen batch norm with batch statistics: outputs follow the batch, statistics stay") {
  const Batch batch;
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu);
  std::vector<double> losses;
  for (const auto mode : {FrozenBatchNorm::kInference, FrozenBatchNorm::kBatch}) {
    auto classifier = make_narrow();
    optim::freeze(classifier->table(), "backbone");
    TrainingStep t =
        classifier->plan_training(exec, std::make_shared<engine::Arena>(), 8, options_of(mode));
    const engine::Tensor& mean = classifier->table().find("bn1")->parameter("running_mean").value;
    const std::vector<float> before(mean.f32(), mean.f32() + mean.count());
    losses.push_back(run_loss(t, batch));
    CHECK(std::equal(before.begin(), before.end(), mean.f32()));
  }
  CHECK(std::abs(losses[0] - losses[1]) > 1e-4);
}

TEST_CASE("what nobody wants is not computed") {
  auto classifier = make_narrow();
  const auto count = [&](const std::string& freeze, const std::string& kind) {
    optim::freeze(classifier->table(), freeze);
    const TrainingStep t = classifier->plan_training(kernels::make_exec(kernels::DeviceKind::kCpu),
                                                     std::make_shared<engine::Arena>(), 8,
                                                     options_of(FrozenBatchNorm::kInference));
    return std::ranges::count_if(t.step.operations(),
                                 [&](const engine::Operation& o) { return o.kind == kind; });
  };
  CHECK(count("none", "conv forward, folded") == 0);
  CHECK(count("none", "conv backward filter") == 53);
  CHECK(count("none", "conv backward data") == 52);  // not below the stem
  CHECK(count("backbone", "conv backward data") == 0);
  CHECK(count("backbone", "conv forward, folded") == 53);
  CHECK(count("stages:3", "conv forward, folded") == 43);
  CHECK(count("stages:3", "conv backward filter") == 10);
  CHECK(count("stages:3", "conv backward data") ==
        8);  // the first 1x1 and the projection of stage 4 end it
  CHECK(count("keras:15", "conv forward, folded") ==
        3);  // stem, 1_conv, 2_conv; 0_conv and 3_conv have live batch norms
  CHECK(count("keras:15", "conv backward filter") == 48);
}

TEST_CASE("frozen parts take less memory") {
  auto classifier = make_narrow();
  const auto arena = [&](const std::string& freeze) {
    optim::freeze(classifier->table(), freeze);
    return classifier
        ->plan_training(kernels::make_exec(kernels::DeviceKind::kCpu),
                        std::make_shared<engine::Arena>(), 8,
                        options_of(FrozenBatchNorm::kInference))
        .step.summary()
        .arena;
  };
  const int64_t all = arena("none"), fifteen = arena("keras:15"), stages = arena("stages:3"),
                head = arena("backbone");
  CHECK(fifteen < all);
  CHECK(stages < fifteen / 2);
  CHECK(head <= stages);
}

TEST_CASE("keras:K freezes exactly the published sets, at full size") {
  ClassifierOptions options;
  options.head_hidden = 3000;
  Classifier classifier(options);
  // Parameters of conv biases (26 560) do not exist here: Keras' counts of semantics.md A.1 less
  // those of trainable layers.
  const auto trainable = [&](const std::string& freeze) {
    optim::freeze(classifier.table(), freeze);
    int64_t count = 0;
    for (const engine::Parameter* p : classifier.table().trainable_parameters())
      count += p->value.count();
    return count;
  };
  const auto frozen_names = [&] {
    std::set<std::string> names;
    for (const auto& layer : classifier.table().layers()) {
      if (!layer->trainable) names.insert(layer->keras_name);
    }
    return names;
  };
  CHECK(trainable("none") == 23508032 + 6153002);
  CHECK(trainable("keras:5") == 29677994 - (26560 - 64));
  CHECK(frozen_names() == std::set<std::string>{"conv1_conv", "conv1_bn"});
  CHECK(trainable("keras:10") == 29673706 - (26560 - 128));
  CHECK(trainable("keras:15") == 29603370 - (26560 - 192 - 512));
  CHECK(frozen_names() == std::set<std::string>{"conv1_conv", "conv1_bn", "conv2_block1_1_conv",
                                                "conv2_block1_1_bn", "conv2_block1_2_conv",
                                                "conv2_block1_2_bn", "conv2_block1_0_conv",
                                                "conv2_block1_3_conv"});
  CHECK(trainable("keras:20") == 29585898 - (26560 - 192 - 512 - 64));
  CHECK(trainable("keras:175") == 6153002);
  CHECK(trainable("backbone") == 6153002);
  CHECK(trainable("keras:0") == trainable("none"));
  CHECK(trainable("blocks:16") == 6153002);
  CHECK(trainable("stages:4") == 6153002);
  CHECK(trainable("blocks:3") == trainable("stages:1"));
  CHECK(trainable("name:layer1.2.bn3") == trainable("stages:1"));
  CHECK(trainable("name:conv2_block3_3_bn") == trainable("stages:1"));
}

TEST_CASE("bad freezing forms name the flag and what to write") {
  Classifier classifier(narrow());
  const auto message = [&](const std::string& text) {
    try {
      optim::freeze(classifier.table(), text);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kInput);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(message("keras:176").find("from 0 to 175") != std::string::npos);
  CHECK(message("keras:-1").find("--freeze keras:-1") != std::string::npos);
  CHECK(message("keras:1x").find("whole one") != std::string::npos);
  CHECK(message("keras").find("unknown form") != std::string::npos);
  CHECK(message("all").find("backbone") != std::string::npos);
  CHECK(message("name:layer1.0.conf2").find("layer1.0.conv2") != std::string::npos);
  CHECK(message("name:").find("did you mean") != std::string::npos);
}

TEST_CASE("initialisation depends on seed and name alone, and has the right spread") {
  Classifier a(narrow()), b(narrow());
  a.initialise_all(Initialisation::kKeras, 1);
  b.initialise_all(Initialisation::kKeras, 1);
  const auto weight = [](Classifier& c) {
    return c.table().find("layer2.0.conv2")->parameter("weight").value.f32_span();
  };
  CHECK(std::ranges::equal(weight(a), weight(b)));
  b.initialise_all(Initialisation::kKeras, 2);
  CHECK_FALSE(std::ranges::equal(weight(a), weight(b)));
  const auto spread = [](std::span<const float> w) {
    double squares = 0, most = 0;
    for (const float v : w) {
      squares += static_cast<double>(v) * v;
      most = std::max(most, std::abs(static_cast<double>(v)));
    }
    return std::pair{std::sqrt(squares / static_cast<double>(w.size())), most};
  };
  const double limit = std::sqrt(6.0 / (9 * 16 + 9 * 16));
  CHECK(spread(weight(a)).first == doctest::Approx(limit / std::sqrt(3.0)).epsilon(0.05));
  CHECK(spread(weight(a)).second <= limit);
  a.initialise_all(Initialisation::kPyTorch, 1);
  CHECK(spread(weight(a)).first == doctest::Approx(std::sqrt(2.0 / (9 * 16))).epsilon(0.05));
  const auto bias = a.table().find("fc.0")->parameter("bias").value.f32_span();
  CHECK(spread(bias).second <= 1.0 / 16);  // 256 features
  CHECK(spread(bias).second > 0.0);
}

}  // namespace verace::layers::modes_test
