// Judging the pictures of a split by a network: what eval and threshold do alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/common.h"
#include "apps/lib/evaluator.h"

namespace verace::cli {

struct JudgeFlags {
  ModelFlags model;
  DataFlags data;
  DeviceFlags device;
  int64_t batch = 64;
  bool quiet = false;
};

// --batch, --quiet, and those of the machine and of overrides.
void declare_judging(Flags& flags, JudgeFlags& judging);

// --threshold: the verdicts' own, instead of the model's.
void declare_threshold(Flags& flags, std::optional<double>& threshold);
// --policy, --per-frame: how the faces of a video are judged together.
void declare_policy(Flags& flags, apps::DecisionFlags& decision);

// Judges the samples; stops early when a signal arrives. Names broken pictures on stderr. Throws
// Error(kInput) for a network of other classes than real and fake.
apps::Evaluation judge(const JudgeFlags& judging, const apps::LoadedModel& model,
                       std::vector<data::Sample> samples, const apps::Decision& decision);

}  // namespace verace::cli
