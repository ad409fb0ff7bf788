// Sessions: pieces against the whole, fresh weights, shared arena, the cause of a loss that is not
// finite.
#include "apps/lib/session.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "apps/lib/step_profile.h"
#include "tests/apps/training_support.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/random.h"
#include "tests/support/tolerances.h"

namespace verace::apps::session_test {
namespace {

constexpr int64_t kPicture = 32 * 32 * 3;

std::vector<uint8_t> random_pixels(int64_t n) {
  std::vector<uint8_t> pixels(static_cast<size_t>(n * kPicture));
  for (size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<uint8_t>(test::random_bits(9, i));
  }
  return pixels;
}

std::vector<float> as_unit(const std::vector<uint8_t>& pixels) {
  std::vector<float> unit;
  for (const uint8_t value : pixels) unit.push_back(static_cast<float>(value) / 255.0f);
  return unit;
}

data::Batch random_batch(int64_t n) {
  data::Batch batch;
  batch.pixels = random_pixels(n);
  for (int64_t i = 0; i < n; ++i) {
    batch.labels.push_back(static_cast<int32_t>(i % 2));
    batch.flip.push_back(i % 3 == 0);
    batch.sample_index.push_back(i);
  }
  return batch;
}

void expect_close(std::span<const float> got, std::span<const float> want) {
  test::Tolerance tolerance = test::tolerance(test::OpClass::kNetwork, 53, 1.0);
  const auto comparison = test::compare(got, want, tolerance);
  CHECK_MESSAGE(comparison.ok, comparison.message);
}

TEST_CASE("batches of any size give the same answers") {
  test::for_each_host_device([](const kernels::Exec& exec) {
    layers::Classifier classifier(narrow_network());
    randomise(classifier, 3);
    auto arena = std::make_shared<engine::Arena>();
    InferenceSession whole(classifier, exec, arena, 7), pieces(classifier, exec, arena, 3);
    const auto pixels = random_pixels(7);
    const Answers want = whole.run(pixels);
    CHECK(want.count == 7);
    REQUIRE(want.logits.size() == 14);
    expect_close(pieces.run(pixels).logits, want.logits);
    expect_close(pieces.run_unit(as_unit(pixels)).logits, want.logits);
    for (size_t i = 0; i < 14; i += 2) {
      const double p = 1 / (1 + std::exp(want.logits[i] - want.logits[i + 1]));
      CHECK(want.probabilities[i + 1] == doctest::Approx(p).epsilon(1e-5));
    }
    CHECK(whole.run(std::span(pixels).first(0)).count == 0);
    CHECK_THROWS_AS(whole.run(std::span(pixels).first(5)), Error);
  });
}

TEST_CASE("more batch sizes than plans are kept") {
  layers::Classifier classifier(narrow_network());
  randomise(classifier, 3);
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  InferenceSession session(classifier, exec, std::make_shared<engine::Arena>(), 8);
  const auto pixels = random_pixels(8);
  const Answers want = session.run(pixels);
  for (const int64_t n : {1, 2, 3, 4, 5, 1, 8}) {
    const Answers got = session.run(std::span(pixels).first(static_cast<size_t>(n * kPicture)));
    expect_close(got.logits, std::span(want.logits).first(static_cast<size_t>(2 * n)));
  }
}

TEST_CASE("changed weights count after refresh") {
  layers::Classifier classifier(narrow_network());
  randomise(classifier, 3);
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  InferenceSession session(classifier, exec, std::make_shared<engine::Arena>());
  const auto pixels = random_pixels(2);
  const Answers before = session.run(pixels);
  randomise(classifier, 4);
  session.refresh();
  const Answers after = session.run(pixels);
  CHECK(after.logits != before.logits);
  InferenceSession anew(classifier, exec, std::make_shared<engine::Arena>());
  CHECK(anew.run(pixels).logits == after.logits);
}

TEST_CASE("gradients in pieces are those of the whole") {
  layers::Classifier classifier(narrow_network());
  randomise(classifier, 3);
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  auto arena = std::make_shared<engine::Arena>();
  GradientSession whole(classifier, exec, arena, 5), pieces(classifier, exec, arena, 2);
  const auto pictures = as_unit(random_pixels(5));
  const std::vector<int32_t> labels = {0, 1, 1, 0, 1};
  std::vector<float> logits(10), logits2(10), again(10), dx(pictures.size()), dx2(dx);
  whole.gradient(pictures, labels, logits, dx);
  pieces.gradient(pictures, labels, logits2, dx2);
  pieces.logits(pictures, again);
  expect_close(logits2, logits);
  expect_close(again, logits);
  const auto comparison =
      test::compare(dx2, dx, test::tolerance(test::OpClass::kNetworkGradient, 53, 0.1), 0.5);
  CHECK_MESSAGE(comparison.ok, comparison.message);
  CHECK_THROWS_AS(whole.gradient(pictures, std::span(labels).first(4), logits, dx), Error);
}

struct Trained {
  explicit Trained(int32_t fake_class = 1) : classifier(narrow_network()) {
    classifier.initialise_all(layers::Initialisation::kPyTorch, 1);
    adam = std::make_unique<optim::Adam>(classifier.table(), optim::AdamOptions{});
    TrainingSessionOptions options;
    options.fake_class = fake_class;
    session = std::make_unique<TrainingSession>(classifier, *adam,
                                                kernels::make_exec(kernels::DeviceKind::kCpu, 1),
                                                std::make_shared<engine::Arena>(), options);
  }
  layers::Classifier classifier;
  std::unique_ptr<optim::Adam> adam;
  std::unique_ptr<TrainingSession> session;
};

TEST_CASE("training lowers the loss and counts right answers") {
  Trained t;
  const data::Batch batch = random_batch(6);
  const TrainingOutcome first = t.session->run(batch, "x");
  CHECK(first.count == 6);
  TrainingOutcome last;
  for (int i = 0; i < 40; ++i) last = t.session->run(batch, "x");
  CHECK(last.loss_sum < 0.5 * first.loss_sum);
  CHECK(last.correct == 6);
  CHECK(t.adam->step() == 41);
  t.session->run(random_batch(4), "another size");
  CHECK(t.adam->step() == 42);
}

TEST_CASE("a profile is the median over runs of the largest batch, and the plan of its memory") {
  layers::Classifier network(narrow_network());
  randomise(network, 1);
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  InferenceSession session(network, exec, std::make_shared<engine::Arena>());
  const engine::Step& step = session.plan(2);
  engine::Trace trace;
  const std::vector<int64_t> pictures = {2, 1, 2, 2};
  for (size_t run = 0; run < pictures.size(); ++run) {
    constexpr double kTimes[] = {30, 1, 10, 20};
    for (size_t i = 0; i < step.operations().size(); ++i) {
      trace.add({step.operations()[i].name, "k", 0, kTimes[run] + static_cast<double>(i), 0});
    }
  }
  const StepProfile profile = profile_of(step, trace, pictures);
  CHECK(profile.pictures == 2);
  CHECK(profile.runs == 3);
  REQUIRE(profile.operations.size() == step.operations().size());
  for (size_t i = 0; i < profile.operations.size(); ++i) {
    CHECK(profile.operations[i].microseconds == 20 + static_cast<double>(i));
    CHECK(profile.operations[i].kind == step.operations()[i].kind);
    CHECK(profile.operations[i].flops == step.operations()[i].flops);
  }
  CHECK(profile.memory.arena == step.summary().arena);
  CHECK(profile.buffers.size() == static_cast<size_t>(step.summary().values));
  CHECK_THROWS_AS(profile_of(step, trace, std::vector<int64_t>{2, 2}), Error);
  const StepProfile measured = profile_inference(session, 3);
  CHECK(measured.pictures == 3);
  CHECK(measured.runs == 3);
  double total = 0;
  for (const ProfiledOperation& operation : measured.operations) {
    CHECK(operation.microseconds >= 0);
    total += operation.microseconds;
  }
  CHECK(total > 0);
}

TEST_CASE("outputs in the other order learn the same answers") {
  Trained t(0);
  const data::Batch batch = random_batch(6);
  TrainingOutcome last;
  for (int i = 0; i < 40; ++i) last = t.session->run(batch, "x");
  CHECK(last.correct == 6);
}

TEST_CASE("a loss that is not finite names moment and cause, and harms nothing") {
  Trained t;
  const data::Batch batch = random_batch(4);
  t.session->run(batch, "x");
  SUBCASE("a parameter") {
    t.classifier.table().find("layer2.1.bn2")->parameter("weight").value.f32()[3] =
        std::numeric_limits<float>::quiet_NaN();
    const std::string message = input_error([&] { t.session->run(batch, "epoch 2, step 17"); });
    CHECK(contains(message, "epoch 2, step 17"));
    CHECK(contains(message, "layer2.1.bn2.weight"));
    CHECK(contains(message, "1 of 8 values"));
  }
  SUBCASE("an overflow inside") {
    for (float& w : t.classifier.table().find("fc.0")->parameter("weight").value.f32_span()) {
      w = 3e38f;
    }
    const auto before = snapshot(t.classifier);
    const std::string message = input_error([&] { t.session->run(batch, "epoch 1, step 2"); });
    CHECK_MESSAGE(contains(message, "fc.0 forward"), message);
    CHECK(contains(message, "--lr"));
    // Only running statistics have moved; the moments' step has not advanced.
    const auto after = snapshot(t.classifier);
    for (size_t i = 0; i < before.size(); ++i) {
      if (!contains(before[i].first, "running_")) CHECK(before[i] == after[i]);
    }
    CHECK(t.adam->step() == 1);
  }
}

}  // namespace
}  // namespace verace::apps::session_test
