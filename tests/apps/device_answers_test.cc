// What a network on a CUDA device answers: evaluation, predictions, gradients and the attack are
// the CPU's, and the same bits however a step is launched.
#include <algorithm>

#include "apps/lib/attack_runner.h"
#include "apps/lib/dump/dump.h"
#include "apps/lib/evaluator.h"
#include "apps/lib/predictor.h"
#include "apps/lib/session.h"
#include "tests/apps/device_training.h"
#include "tests/support/faults.h"
#include "tests/support/npy.h"
#include "tests/support/tolerances.h"

namespace verace::apps::device_answers_test {
namespace {

using engine::Launch;
using test::Comparison;
using test::OpClass;

constexpr int64_t kDepth = 53;  // convolutions in sequence, more or less

// `zeros`: the share of them that the result may have.
Comparison near(std::span<const float> got, std::span<const float> want, OpClass op,
                double zeros = 0.5) {
  double largest = 0;
  for (const float v : want) largest = std::max(largest, static_cast<double>(std::abs(v)));
  return test::compare(got, want, test::tolerance(op, kDepth, largest), zeros);
}

// The same random network on some device.
struct Placed {
  explicit Placed(const engine::DeviceChoice& choice, Launch launch = Launch::kGraph)
      : device(choice, 1, "--device", launch),
        model(make_model(narrow_network(), layers::Initialisation::kPyTorch, 3)),
        classifier(*model.classifier) {
    classifier.table().move_to(engine::memory_of(device.exec()));
  }
  engine::Device device;
  LoadedModel model;
  layers::Classifier& classifier;
};

std::vector<float> pictures(int64_t n) {
  std::vector<float> values(static_cast<size_t>(n * 32 * 32 * 3));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i * 2654435761u % 1000) / 1000.0f;
  }
  return values;
}

struct Gradient {
  std::vector<float> logits, dx;
};
// Of 7 pictures in pieces of 3, twice: with a plan in its first run, and in later ones.
Gradient gradient_on(Placed& placed, int times) {
  GradientSession session(placed.classifier, placed.device.exec(),
                          std::make_shared<engine::Arena>(), 3);
  const std::vector<float> x = pictures(7);
  const std::vector<int32_t> labels = {0, 1, 1, 0, 1, 0, 0};
  Gradient g{std::vector<float>(14), std::vector<float>(x.size())};
  for (int i = 0; i < times; ++i) session.gradient(x, labels, g.logits, g.dx);
  std::vector<float> again(14);
  session.logits(x, again);
  CHECK(near(again, g.logits, OpClass::kNetwork));
  return g;
}

TEST_CASE("logits and gradients of pictures are the CPU's") {
  test::note_skipped_devices();
  if (!test::cuda_is_present()) return;
  Placed cpu({}), gpu(kGpu), eager(kGpu, Launch::kEager);
  const Gradient want = gradient_on(cpu, 1), got = gradient_on(gpu, 1);
  test::expect_ok("logits", near(got.logits, want.logits, OpClass::kNetwork));
  test::expect_ok("gradient", near(got.dx, want.dx, OpClass::kNetworkGradient));
  const Gradient replayed = gradient_on(gpu, 3), again = gradient_on(eager, 3);
  for (const Gradient* g : {&replayed, &again}) {
    CHECK(test::compare_bits(g->logits, got.logits));
    CHECK(test::compare_bits(g->dx, got.dx));
  }
  const engine::Tensor& w =
      gpu.classifier.table().find("layer3.1.conv2")->parameter("weight").value;
  std::vector<float> changed = engine::read(w);
  std::ranges::reverse(changed);
  engine::write(w, changed);
  test::expect_caught("other weights in one layer",
                      near(gradient_on(gpu, 1).logits, want.logits, OpClass::kNetwork));
}

TEST_CASE("changed weights count after refresh(), for graphs too") {
  if (!test::cuda_is_present()) return;
  Placed gpu(kGpu), other(kGpu);
  InferenceSession session(gpu.classifier, gpu.device.exec(), std::make_shared<engine::Arena>(), 4);
  const std::vector<float> x = pictures(4);
  for (int i = 0; i < 3; ++i) session.run_unit(x);
  for (Placed* placed : {&gpu, &other}) {
    const engine::Tensor& w =
        placed->classifier.table().find("layer1.0.conv1")->parameter("weight").value;
    std::vector<float> values = engine::read(w);
    std::ranges::reverse(values);
    engine::write(w, values);
  }
  InferenceSession fresh(other.classifier, other.device.exec(), std::make_shared<engine::Arena>(),
                         4);
  const Answers want = fresh.run_unit(x);
  test::expect_caught("weights folded before the change",
                      test::compare_bits(session.run_unit(x).logits, want.logits));
  session.refresh();
  CHECK(test::compare_bits(session.run_unit(x).logits, want.logits));
}

TEST_CASE("evaluation, predictions and the attack are the CPU's") {
  if (!test::cuda_is_present()) return;
  Placed cpu({}), gpu(kGpu);
  const auto samples =
      data::select_split(data::load_dataset(tiny_dataset()), data::Split::kTest, "data");
  const auto judged = [&](Placed& placed) {
    data::LoaderOptions loading;
    loading.batch_size = 3;
    loading.fit = {32, data::Fit::kStretch, 0, data::ResizeFilter::kBilinear};
    loading.workers = 2;
    data::Loader loader(samples, loading);
    InferenceSession session(placed.classifier, placed.device.exec(),
                             std::make_shared<engine::Arena>(), 3);
    std::vector<float> all;
    for (const EvaluatedFace& face : evaluate(session, loader, "model").samples) {
      all.push_back(static_cast<float>(face.probability));
      all.push_back(static_cast<float>(face.loss));
    }
    return all;
  };
  test::expect_ok("evaluation", near(judged(gpu), judged(cpu), OpClass::kNetwork));

  const auto attacked = [&](Placed& placed) {
    AttackOptions options;
    options.epsilons = {0, 0.02};
    options.batch = 3;
    options.fit.size = 32;
    const AttackResult result =
        run_fgsm(placed.classifier, placed.device.exec(), samples, options, "model");
    std::vector<float> all;
    for (const AttackRecord& record : result.records) {
      all.push_back(static_cast<float>(record.probability_before));
      for (const double p : record.after) all.push_back(static_cast<float>(p));
      for (const double p : record.after_8bit) all.push_back(static_cast<float>(p));
    }
    return all;
  };
  const std::vector<float> want = attacked(cpu), got = attacked(gpu);
  CHECK(want.size() == 5 * samples.size());
  // Where a gradient is nearly zero its sign may be another.
  test::expect_ok("attack", near(got, want, OpClass::kNetworkGradient));
  std::vector<float> unharmed = want;
  for (size_t i = 0; i < unharmed.size(); i += 5) unharmed[i + 2] = unharmed[i];
  test::expect_caught("no attack", near(got, unharmed, OpClass::kNetworkGradient));
}

TEST_CASE("every tensor of a dumped step is the CPU's") {
  if (!test::cuda_is_present()) return;
  const TempFolder folder;
  const auto dumped = [&](const engine::DeviceChoice& choice, const std::string& name) {
    Placed placed(choice);
    LabelledPictures given;
    given.count = 7;
    given.unit = pictures(7);
    given.labels = {0, 1, 1, 0, 1, 0, 0};
    std::filesystem::create_directory(folder / name);
    Dump dump(placed.classifier, placed.device.exec(), given,
              {.mode = DumpMode::kInference, .pictures = false});
    return dump.run(folder / name);
  };
  const auto want = dumped({}, "cpu"), got = dumped(kGpu, "gpu");
  REQUIRE(want.size() == got.size());
  CHECK(want.size() > 180);
  for (size_t i = 0; i < want.size(); ++i) {
    INFO(want[i].tensor.name);
    CHECK(got[i].npy == want[i].npy);
    const test::NpyArray a = test::read_npy(folder / ("gpu/" + got[i].npy));
    const test::NpyArray b = test::read_npy(folder / ("cpu/" + want[i].npy));
    const OpClass op = want[i].tensor.kind == TensorKind::kActivation ? OpClass::kNetwork
                                                                      : OpClass::kNetworkGradient;
    test::expect_ok(want[i].npy, near(a.values, b.values, op, 0.97));
  }
}

}  // namespace
}  // namespace verace::apps::device_answers_test
