// The text of a checkpoint: what was written is read back in every bit, what no run writes is
// refused.
#include "apps/lib/checkpoint_state.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/files.h"
#include "tests/support/small_optimiser.h"

namespace verace::apps::checkpoint_state_test {
namespace {

using Json = nlohmann::json;
using test::contains;
using test::input_error;
using test::input_error_if_any;

Checkpoint known_checkpoint() {
  Checkpoint checkpoint;
  TrainingState& state = checkpoint.state;
  for (int64_t i = 1; i <= 2; ++i) {
    EpochMetrics epoch;
    epoch.epoch = i;
    epoch.train_loss = 1.0 / 3;
    state.history.push_back(epoch);
  }
  state.epoch = 2;
  state.step = 3;
  state.global_step = 23;
  state.epoch_samples = 12;
  state.epoch_correct = 12;
  state.epoch_loss_sum = 0.1 + 0.2;
  state.epoch_seconds = 1.5;
  state.epoch_wait = 0.25;
  state.best_epoch = 2;
  state.best_digest = "00ff";
  checkpoint.recipe = {UINT64_MAX, "stem", 4096, "a = 1\n", "processor", "pictures", true};
  return checkpoint;
}

const optim::Adam& adam() {
  static const test::SmallOptimiser small;
  return small.adam;
}

std::string refusal(const Json& json) {
  return input_error_if_any([&] { read_checkpoint_text(json.dump(), "last"); });
}

TEST_CASE("what was written is read back in every bit") {
  const Checkpoint checkpoint = known_checkpoint();
  const std::string text = checkpoint_text(checkpoint, adam());
  const ReadCheckpoint back = read_checkpoint_text(text, "last");
  CHECK(back.format == kCheckpointFormat);
  CHECK(checkpoint_text(back.checkpoint, adam()) == text);
  const TrainingState &a = checkpoint.state, &b = back.checkpoint.state;
  CHECK(b.epoch_loss_sum == a.epoch_loss_sum);
  CHECK(b.history[1].train_loss == a.history[1].train_loss);
  CHECK(b.global_step == 23);
  CHECK(b.best_digest == "00ff");
  const TrainingRecipe& recipe = back.checkpoint.recipe;
  CHECK(recipe.seed == UINT64_MAX);
  CHECK(recipe.threads == 4096);
  CHECK(recipe.config == "a = 1\n");
  CHECK(recipe.synthetic);
}

TEST_CASE("a sum of losses that is infinite does not end the storing of a run") {
  Checkpoint checkpoint = known_checkpoint();
  checkpoint.state.epoch_loss_sum = HUGE_VAL;
  const std::string text = checkpoint_text(checkpoint, adam());
  CHECK(read_checkpoint_text(text, "last").checkpoint.state.epoch_loss_sum == HUGE_VAL);
}

TEST_CASE("what no run writes is refused: each value of another kind or out of range") {
  const Json good = Json::parse(checkpoint_text(known_checkpoint(), adam()));
  CHECK(refusal(good) == "");
  const auto with = [&](const std::string& place, const Json& value) {
    Json json = good;
    REQUIRE(json.contains(Json::json_pointer(place)));
    json[Json::json_pointer(place)] = value;
    return refusal(json);
  };
  for (const char* count :
       {"/state/epoch", "/state/step", "/state/global_step", "/seed", "/state/epoch_samples",
        "/state/epoch_correct", "/state/best_epoch", "/threads", "/format"}) {
    for (const Json& bad : {Json(-1), Json(0.5), Json(1e300), Json(true), Json("1"), Json()}) {
      INFO(std::string(count), " ", bad.dump());
      CHECK(contains(with(count, bad), "last: the state of training cannot be read ("));
    }
  }
  // As 32-bit numbers these would be 1 and 4096.
  CHECK(contains(with("/threads", (int64_t{1} << 32) + 1), "threads"));
  CHECK(contains(with("/threads", 4097), "threads"));
  CHECK(contains(with("/state/global_step", int64_t{1} << 62), "global_step"));
  for (const char* number :
       {"/state/epoch_loss_sum", "/state/epoch_seconds", "/state/epoch_wait"}) {
    INFO(std::string(number));
    CHECK(contains(with(number, -0.5), "cannot be read"));
    CHECK(contains(with(number, "1"), "cannot be read"));
  }
  for (const char* text : {"/freeze", "/config", "/machine", "/pictures", "/state/best_digest"}) {
    INFO(std::string(text));
    CHECK(contains(with(text, 1), "cannot be read"));
  }
  for (const Json& history : {Json(), Json::object(), Json{1, 2}, Json{"{}", "{}"}, Json("x")}) {
    CHECK(with("/state/history", history) != "");
  }
  CHECK(contains(with("/state", 1), "cannot be read"));
  CHECK(contains(with("/format", 3), "another version"));
  for (const char* not_json : {"", "{", "[]", "1", "{\"format\": 2}"}) {
    CHECK(contains(input_error([&] { read_checkpoint_text(not_json, "last"); }), "last: "));
  }
}

TEST_CASE("numbers that do not fit each other are refused") {
  const auto refused = [](auto change) {
    Checkpoint checkpoint = known_checkpoint();
    change(checkpoint.state);
    return contains(refusal(Json::parse(checkpoint_text(checkpoint, adam()))),
                    "do not fit each other");
  };
  CHECK(refused([](TrainingState& s) { s.epoch = 3; }));
  CHECK(refused([](TrainingState& s) { s.best_epoch = 3; }));
  CHECK(refused([](TrainingState& s) { s.global_step = 2; }));
  CHECK(refused([](TrainingState& s) { s.epoch_correct = 13; }));
  CHECK(refused([](TrainingState& s) { s.history[0].epoch = 2; }));
}

TEST_CASE("the optimiser's step and loss scale: another step can always follow") {
  test::SmallOptimiser small;
  const Json good = Json::parse(checkpoint_text(known_checkpoint(), adam()));
  const auto trouble = [&](const std::string& place, const Json& value) {
    Json json = good;
    json[Json::json_pointer(place)] = value;
    return input_error_if_any([&] { read_optimiser_text(json.dump(), "last", small.adam); });
  };
  CHECK(trouble("/adam_step", 7) == "");
  CHECK(small.adam.step() == 7);
  CHECK(trouble("/loss_scale/scale", 8) == "");
  CHECK(small.adam.loss_scale().scale == 8);
  for (const Json& bad : {Json(-1), Json(1.5), Json(INT64_MAX), Json(UINT64_MAX), Json()}) {
    INFO(bad.dump());
    CHECK(contains(trouble("/adam_step", bad), "last: the optimiser's step cannot be read"));
  }
  for (const Json& bad : {Json(0), Json(-1), Json(1e39), Json("1")}) {
    INFO(bad.dump());
    CHECK(contains(trouble("/loss_scale/scale", bad), "scale"));
  }
  for (const char* count : {"/loss_scale/good_steps", "/loss_scale/skipped"}) {
    CHECK(contains(trouble(count, INT32_MAX), "cannot be read"));
    CHECK(contains(trouble(count, int64_t{1} << 32), "cannot be read"));
  }
}

}  // namespace
}  // namespace verace::apps::checkpoint_state_test
