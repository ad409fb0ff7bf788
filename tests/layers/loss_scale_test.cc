// Training the narrow network with 16-bit storage: its losses against those of fp32, and the loss
// scale from an overflow to its growth.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/sanitized.h"
#include "tests/support/stream.h"
#include "tests/support/trained_network.h"

namespace verace::layers::loss_scale_test {
namespace {

using test::Golden;
using test::make_training;
using test::one_thread;
using test::Precision;
using test::Trained;

using Losses = std::vector<double>;

Losses losses_of(const Trained& trained, const Golden& g, size_t steps) {
  Losses losses;
  for (size_t i = 0; i < steps; ++i) losses.push_back(trained.step(g));
  return losses;
}

// All that a step may change but the running statistics, as bits.
std::vector<std::vector<float>> state_of(const Trained& trained) {
  std::vector<std::vector<float>> state;
  for (const auto& entry : trained.adam->moments()) {
    state.push_back(engine::read(entry.parameter->value));
    state.push_back(engine::read(entry.m));
    state.push_back(engine::read(entry.v));
  }
  return state;
}

bool finite(const std::vector<std::vector<float>>& state) {
  return std::ranges::all_of(state, [](const auto& values) {
    return std::ranges::all_of(values, [](float v) { return std::isfinite(v); });
  });
}

// The first moments after one step, all in one row.
std::vector<float> first_moments(const Golden& g, const kernels::Exec& exec,
                                 const test::TrainedSettings& settings) {
  const Trained trained = make_training(g, exec, settings);
  trained.step(g);
  std::vector<float> all;
  for (const auto& entry : trained.adam->moments()) {
    const std::vector<float> m = engine::read(entry.m);
    all.insert(all.end(), m.begin(), m.end());
  }
  return all;
}

double mean_difference(const Losses& a, const Losses& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

}  // namespace

TEST_CASE("losses in 16-bit storage follow those of fp32 closer than another seed would") {
  if (test::skip_if_sanitized("layers/loss_scale_test", "curve")) return;
  const Golden g = test::open_torch_golden();
  const auto train = [&](uint64_t seed, const kernels::Exec& exec, Precision p) {
    auto classifier = std::make_unique<Classifier>(g.options);
    classifier->initialise_all(Initialisation::kPyTorch, seed);
    return losses_of(make_training(std::move(classifier), 6, exec, {.precision = p}), g, 20);
  };
  std::vector<Losses> wide;
  for (uint64_t seed = 1; seed <= 5; ++seed)
    wide.push_back(train(seed, one_thread(), Precision::kFp32));
  Losses least = wide[0], most = wide[0];
  for (const Losses& losses : wide) {
    for (size_t i = 0; i < losses.size(); ++i) {
      least[i] = std::min(least[i], losses[i]);
      most[i] = std::max(most[i], losses[i]);
    }
  }
  const double spread = mean_difference(most, least);
  CHECK(spread < 0.3);  // of losses from 0.75 down to 0.1
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const Precision p : test::kSixteenBits) {
      const Losses losses = train(1, exec, p);
      INFO(std::string(engine::to_string(p)));
      CHECK(mean_difference(losses, wide[0]) <= spread);
      CHECK(losses.back() <= 1.2 * most.back());
      CHECK(losses.back() >= 0.5 * least.back());
    }
  });
}

TEST_CASE("the golden steps' losses in 16-bit storage, all trainable and partly frozen") {
  if (test::skip_if_sanitized("layers/loss_scale_test", "curve")) return;
  for (const bool keras : {false, true}) {
    const Golden g = keras ? test::open_keras_golden() : test::open_torch_golden();
    const std::string freeze = keras ? "keras:15" : "none";
    const std::vector<float> want = g.train.read_f32(keras ? "keras15/losses10" : "losses10");
    test::for_each_cuda_device([&](const kernels::Exec& exec) {
      for (const Precision p : test::kSixteenBits) {
        const Losses losses =
            losses_of(make_training(g, exec, {.precision = p, .freeze = freeze}), g, want.size());
        INFO(std::string(engine::to_string(p)), ", keras ", keras, ", frozen: ", freeze);
        // Logits of size 1 that are off by up to 20 roundings (precision_test).
        CHECK(std::abs(losses[0] - want[0]) <= 20 * test::roundoff(p));
        // Adam's first step moves every weight by its gradient's sign, of which some differ.
        for (size_t i = 1; i < losses.size(); ++i) {
          INFO("step ", i + 1, ": ", losses[i], ", fp32: ", want[i]);
          CHECK(losses[i] <= 1.75 * want[i]);
          CHECK(losses[i] >= want[i] / 1.75);
        }
      }
    });
  }
}

TEST_CASE("Adam gets the gradients without their scale") {
  const Golden g = test::open_torch_golden();
  const std::vector<float> want = first_moments(g, one_thread(), {});
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    // fp16 moves a quarter of this network's gradient (precision_test); a scale moves all of it.
    for (const float scale : {64.0f, 1024.0f}) {
      const auto m = first_moments(g, exec, {.precision = Precision::kFp16, .scale = scale});
      CHECK(test::distance(m, want) <= 0.5);
    }
    const auto m = first_moments(
        g, exec, {.precision = Precision::kFp16, .scale = 64.0f, .scale_dlogits = false});
    test::expect_caught("divided by a scale that dlogits do not have",
                        test::distance(m, want) <= 0.5);
  });
}

TEST_CASE("an overflow leaves the step out and halves the scale, which grows again") {
  const Golden g = test::open_torch_golden();
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    const kernels::LossScaleRule rule{.interval = 3};
    const Trained trained =
        make_training(g, exec, {.precision = Precision::kFp16, .rule = rule, .scale = 0x1p20f});
    const auto before = state_of(trained);
    const double loss = trained.step(g);
    CHECK(loss > 0.5);  // itself it is never scaled
    CHECK(loss < 1.0);
    CHECK(state_of(trained) == before);
    CHECK(trained.adam->step() == 0);
    kernels::LossScaleState scale = trained.adam->loss_scale();
    CHECK(scale.scale == 0x1p19f);
    CHECK(scale.good_steps == 0);
    CHECK(scale.skipped == 1);

    int64_t steps = 0;
    while (trained.adam->step() == 0 && steps < 20) trained.step(g), ++steps;
    scale = trained.adam->loss_scale();
    CHECK(trained.adam->step() == 1);
    CHECK(scale.skipped == steps);  // all but the last, and the one before
    CHECK(scale.good_steps == 1);
    CHECK(scale.scale == std::ldexp(1.0f, 20 - static_cast<int>(steps)));
    const auto after = state_of(trained);
    CHECK(after != before);
    CHECK(finite(after));

    const Trained grown =
        make_training(g, exec, {.precision = Precision::kFp16, .rule = rule, .scale = 64.0f});
    for (int i = 0; i < 3; ++i) grown.step(g);
    CHECK(grown.adam->loss_scale().scale == 128.0f);
    CHECK(grown.adam->loss_scale().skipped == 0);
  });
}

TEST_CASE("a loss that is not finite leaves weights and moments alone, in every precision") {
  Golden g = test::open_torch_golden();
  for (float& v : g.input) v = NAN;
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const Precision p : {Precision::kFp32, Precision::kFp16, Precision::kBf16}) {
      const Trained trained = make_training(g, exec, {.precision = p});
      const auto before = state_of(trained);
      CHECK_FALSE(std::isfinite(trained.step(g)));
      CHECK(state_of(trained) == before);
      CHECK(trained.adam->step() == 0);
    }
  });
}

TEST_CASE("updates smaller than 16 bits can hold are not lost") {
  const Golden g = test::open_torch_golden();
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    for (const Precision p : test::kSixteenBits) {
      const double rate = 1e-6;  // an fp16 weight of 0.1 comes in steps of 6e-5
      const Trained trained = make_training(g, exec, {.precision = p, .learning_rate = rate});
      const auto before = state_of(trained);
      for (int i = 0; i < 3; ++i) trained.step(g);
      const auto after = state_of(trained);
      int64_t moved = 0, all = 0;
      for (size_t t = 0; t < before.size(); t += 3) {
        for (size_t i = 0; i < before[t].size(); ++i, ++all) {
          // Three steps of about one learning rate; where it was rounded it moved much further.
          const double way = std::abs(static_cast<double>(after[t][i]) - before[t][i]);
          moved += way > 1.5 * rate && way < 4 * rate;
        }
      }
      INFO(std::string(engine::to_string(p)), ": ", moved, " of ", all);
      CHECK(static_cast<double>(moved) >= 0.9 * static_cast<double>(all));
    }
  });
}

TEST_CASE("steps in 16 bits replayed as a graph give the same bits, overflows among them") {
  test::note_skipped_devices();
  if (!test::cuda_is_present()) return;
  if (test::skip_if_sanitized("layers/loss_scale_test", "replay")) return;
  const Golden g = test::open_torch_golden();
  const test::DeviceStream stream;
  const auto train = [&](bool graphs, Precision p) {
    kernels::Exec exec{kernels::DeviceKind::kCuda, 1};
    exec.stream = stream.get();
    exec.graphs = graphs;
    Trained trained = make_training(g, exec, {.precision = p, .scale = 0x1p15f});
    losses_of(trained, g, 5);
    CHECK(trained.t.step.captured() == graphs);
    return trained;
  };
  for (const Precision p : test::kSixteenBits) {
    const Trained eager = train(false, p), replayed = train(true, p);
    CHECK(state_of(eager) == state_of(replayed));
    CHECK(eager.adam->step() == replayed.adam->step());
    if (p != Precision::kFp16) continue;
    CHECK(replayed.adam->loss_scale().skipped > 0);
    CHECK(replayed.adam->loss_scale().skipped == eager.adam->loss_scale().skipped);
    CHECK(replayed.adam->loss_scale().scale == eager.adam->loss_scale().scale);
  }
}

TEST_CASE("training goes on bit for bit from moments, step and loss scale") {
  if (test::skip_if_sanitized("layers/loss_scale_test", "resume")) return;
  const Golden g = test::open_torch_golden();
  test::for_each_cuda_device([&](const kernels::Exec& exec) {
    const test::TrainedSettings settings{
        .precision = Precision::kFp16, .rule = {.interval = 4}, .scale = 0x1p15f};
    const Trained whole = make_training(g, exec, settings);
    for (int i = 0; i < 5; ++i) whole.step(g);
    CHECK(whole.adam->loss_scale().skipped > 0);
    const Trained resumed = make_training(g, exec, settings);
    const auto from = whole.classifier->table().parameters();
    const auto to = resumed.classifier->table().parameters();
    for (size_t i = 0; i < from.size(); ++i)
      engine::write(to[i]->value, engine::read(from[i]->value));
    for (size_t i = 0; i < whole.adam->moments().size(); ++i) {
      engine::write(resumed.adam->moments()[i].m, engine::read(whole.adam->moments()[i].m));
      engine::write(resumed.adam->moments()[i].v, engine::read(whole.adam->moments()[i].v));
    }
    resumed.adam->set_loss_scale(whole.adam->loss_scale());
    resumed.adam->set_step(whole.adam->step());
    CHECK(losses_of(resumed, g, 4) == losses_of(whole, g, 4));
    CHECK(state_of(resumed) == state_of(whole));
    CHECK(resumed.adam->loss_scale().scale == whole.adam->loss_scale().scale);
    CHECK(resumed.adam->loss_scale().good_steps == whole.adam->loss_scale().good_steps);
    CHECK(resumed.adam->loss_scale().skipped == whole.adam->loss_scale().skipped);
  });
}

}  // namespace verace::layers::loss_scale_test
