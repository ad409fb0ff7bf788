// What a planned step costs: the time of every operation and the memory plan. RUN/profile.json.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/lib/session.h"
#include "engine/step.h"
#include "engine/trace.h"

namespace verace::apps {

struct ProfiledOperation {
  std::string name, kind;  // "layer1.0.conv2 forward", "conv forward"
  double microseconds = 0;
  int64_t flops = 0;
};

struct StepProfile {
  int64_t pictures = 0;  // of a step
  int64_t runs = 0;      // that were measured; an operation's time is the median of them
  std::vector<ProfiledOperation> operations;
  engine::PlanSummary memory;
  std::vector<engine::PlannedBuffer> buffers;
};

// `trace` holds runs of this step, one after the other; pictures[i] is the size of run i's batch.
// Runs of smaller batches than the largest are left out; `step` is the plan of the largest. Throws
// Error(kInternal) for events that are not those of the step.
StepProfile profile_of(const engine::Step& step, const engine::Trace& trace,
                       std::span<const int64_t> pictures);

// Asks the session three times for n grey pictures, after once without looking.
StepProfile profile_inference(InferenceSession& session, int64_t n);

struct Profile {
  std::optional<StepProfile> training, inference;
};

// JSON object: version 1; training and inference, each null or {pictures, runs, operations [{name,
// kind, microseconds, flops}], memory {arena, unshared, constants}, buffers [{name, bytes, offset,
// first, last}]} (engine::PlannedBuffer).
std::string profile_json(const Profile& profile);
// Back; throws Error(kInput) naming `where` for anything else.
Profile read_profile(const std::string& json, const std::string& where);

}  // namespace verace::apps
