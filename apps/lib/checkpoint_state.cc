// Writing and reading the text of a checkpoint.
#include "apps/lib/checkpoint_state.h"

#include <limits>
#include <utility>

#include "apps/lib/trainer_options.h"
#include "apps/lib/versioned_json.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

constexpr int64_t kMostThreads = 4096;  // as --threads
// What no run reaches, and what still can be counted on from.
constexpr int64_t kMostSteps = 1'000'000'000'000'000;
constexpr int64_t kMostScaledSteps = 1'000'000'000;
constexpr double kMostLossSum = std::numeric_limits<double>::max();

// The whole numbers of a state, which all begin at 0.
struct StateCount {
  const char* key;
  int64_t TrainingState::*member;
};
constexpr StateCount kStateCounts[] = {{"epoch", &TrainingState::epoch},
                                       {"step", &TrainingState::step},
                                       {"global_step", &TrainingState::global_step},
                                       {"epoch_samples", &TrainingState::epoch_samples},
                                       {"epoch_correct", &TrainingState::epoch_correct},
                                       {"best_epoch", &TrainingState::best_epoch}};

Json state_json(const TrainingState& s) {
  Json history = Json::array();
  for (const EpochMetrics& epoch : s.history) history.push_back(to_json(epoch));
  Json json;
  for (const StateCount& count : kStateCounts) json[count.key] = s.*count.member;
  json["epoch_loss_sum"] = number_or_null(s.epoch_loss_sum);
  json["epoch_seconds"] = s.epoch_seconds;
  json["epoch_wait"] = s.epoch_wait;
  json["history"] = std::move(history);
  json["best_digest"] = s.best_digest;
  return json;
}

void check_state(const TrainingState& s) {
  bool good = s.global_step >= s.step && s.epoch == static_cast<int64_t>(s.history.size()) &&
              s.best_epoch <= s.epoch && s.epoch_correct <= s.epoch_samples;
  for (size_t i = 0; i < s.history.size(); ++i) {
    good = good && s.history[i].epoch == static_cast<int64_t>(i) + 1;
  }
  if (!good) throw BadJson("the numbers of steps and epochs do not fit each other");
}

TrainingState state_from(const JsonReader& json, const std::string& path) {
  TrainingState s;
  for (const StateCount& count : kStateCounts) s.*count.member = json.count(count.key, kMostSteps);
  // JSON has no infinity: in 16-bit training a step's loss may be that, and is then left out.
  s.epoch_loss_sum = json.is_null("epoch_loss_sum")
                         ? std::numeric_limits<double>::infinity()
                         : json.number("epoch_loss_sum", 0, kMostLossSum);
  s.epoch_seconds = json.number("epoch_seconds", 0, kMostSeconds);
  s.epoch_wait = json.number("epoch_wait", 0, kMostSeconds);
  if (json.has("best_digest")) s.best_digest = json.text("best_digest");
  for (const Json& line : json.array("history")) {
    if (!line.is_string()) throw BadJson("history holds something that is no line of metrics");
    s.history.push_back(epoch_from_json(line.get<std::string>(), path));
  }
  check_state(s);
  return s;
}

TrainingRecipe recipe_from(const JsonReader& json) {
  TrainingRecipe recipe;
  recipe.seed = json.whole("seed");
  recipe.freeze = json.text("freeze");
  recipe.threads = static_cast<int>(json.count("threads", kMostThreads));
  recipe.config = json.text("config");
  if (json.has("machine")) recipe.machine = json.text("machine");
  if (json.has("pictures")) recipe.pictures = json.text("pictures");
  if (json.has("synthetic")) recipe.synthetic = json.flag("synthetic");
  return recipe;
}

Json scale_json(const kernels::LossScaleState& s) {
  return {{"scale", s.scale}, {"good_steps", s.good_steps}, {"skipped", s.skipped}};
}

kernels::LossScaleState scale_from(const JsonReader& json) {
  const auto count = [&json](const char* key) {
    return static_cast<int32_t>(json.count(key, kMostScaledSteps));
  };
  // From the smallest positive number on: 0 would make all gradients 0.
  const double scale = json.number("scale", std::numeric_limits<float>::denorm_min(),
                                   std::numeric_limits<float>::max());
  return {static_cast<float>(scale), count("good_steps"), count("skipped")};
}

Json adam_json(const optim::AdamOptions& options) {
  return {{"learning_rate", options.learning_rate},
          {"beta1", options.beta1},
          {"beta2", options.beta2},
          {"placement", to_text(options.placement)},
          {"epsilon", options.epsilon}};
}

// read(JsonReader of the whole); `what` names what is wanted of the file.
template <typename Read>
auto read_text(const std::string& text, const std::string& path, const char* what, Read read) {
  std::string why;
  try {
    const Json parsed = Json::parse(text);
    return read(JsonReader(parsed));
  } catch (const BadJson& error) {
    why = error.what();
  } catch (const Json::exception&) {
    why = "not JSON";
  }
  fail_input(text::format("{}: {} cannot be read ({}): take another file", path, what, why));
}

}  // namespace

std::string checkpoint_text(const Checkpoint& checkpoint, const optim::Adam& adam) {
  const TrainingRecipe& recipe = checkpoint.recipe;
  Json text = {{"format", kCheckpointFormat},
               {"state", state_json(checkpoint.state)},
               {"adam", adam_json(adam.options())},
               {"adam_step", adam.step()},
               {"seed", recipe.seed},
               {"freeze", recipe.freeze},
               {"threads", recipe.threads},
               {"config", recipe.config},
               {"machine", recipe.machine},
               {"pictures", recipe.pictures},
               {"synthetic", recipe.synthetic}};
  if (adam.options().loss_scale) text["loss_scale"] = scale_json(adam.loss_scale());
  return text.dump(-1, ' ', false, Json::error_handler_t::replace);
}

ReadCheckpoint read_checkpoint_text(const std::string& text, const std::string& path) {
  return read_text(text, path, "the state of training", [&](const JsonReader& json) {
    const int64_t format = json.count("format");
    if (format != kCheckpointFormat && format != kCheckpointFormatWithoutChecksum) {
      fail_input(path +
                 ": the checkpoint is of another version of this program: go on with that one, or "
                 "train again");
    }
    return ReadCheckpoint{{state_from(json.object("state"), path), recipe_from(json)},
                          static_cast<int>(format)};
  });
}

void read_optimiser_text(const std::string& text, const std::string& path, optim::Adam& adam) {
  read_text(text, path, "the optimiser's step", [&](const JsonReader& json) {
    adam.set_step(json.count("adam_step", kMostSteps));
    if (adam.options().loss_scale) adam.set_loss_scale(scale_from(json.object("loss_scale")));
  });
}

}  // namespace verace::apps
