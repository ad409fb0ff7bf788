// Medians over the runs of a trace, and profile.json.
#include "apps/lib/step_profile.h"

#include <algorithm>
#include <memory>

#include "apps/lib/versioned_json.h"
#include "kernels/check.h"

namespace verace::apps {
namespace {

constexpr int64_t kStepProfileVersion = 1;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Json optional_json(const std::optional<StepProfile>& profile) {
  if (!profile) return {};
  Json json{{"pictures", profile->pictures},
            {"runs", profile->runs},
            {"operations", Json::array()},
            {"memory",
             {{"arena", profile->memory.arena},
              {"unshared", profile->memory.unshared},
              {"constants", profile->memory.constants}}},
            {"buffers", Json::array()}};
  for (const ProfiledOperation& o : profile->operations) {
    json["operations"].push_back(
        {{"name", o.name}, {"kind", o.kind}, {"microseconds", o.microseconds}, {"flops", o.flops}});
  }
  for (const engine::PlannedBuffer& b : profile->buffers) {
    json["buffers"].push_back({{"name", b.name},
                               {"bytes", b.bytes},
                               {"offset", b.offset},
                               {"first", b.first},
                               {"last", b.last}});
  }
  return json;
}

// What the numbers of all operations or buffers may add up to: more than any machine has, and far
// from the end of int64_t.
constexpr int64_t kMostFlops = 1'000'000'000'000'000'000, kMostBytes = 1'000'000'000'000'000;

// A count of which `left` are left for this one and all that follow.
int64_t share_of(const JsonReader& json, const char* key, int64_t& left) {
  const int64_t count = json.count(key, left);
  left -= count;
  return count;
}

std::optional<StepProfile> step_at(const JsonReader& json, const char* key) {
  if (json.is_null(key)) return std::nullopt;
  const JsonReader object = json.object(key);
  StepProfile profile;
  profile.pictures = object.count("pictures");
  profile.runs = object.count("runs");
  int64_t flops_left = kMostFlops, bytes_left = kMostBytes;
  object.for_each("operations", [&](const JsonReader& o) {
    profile.operations.push_back({o.text("name"), o.text("kind"), o.number("microseconds", 0, 1e15),
                                  share_of(o, "flops", flops_left)});
  });
  const JsonReader memory = object.object("memory");
  profile.memory.arena = memory.count("arena", kMostBytes);
  profile.memory.unshared = memory.count("unshared", kMostBytes);
  profile.memory.constants = memory.count("constants", kMostBytes);
  const auto operations = static_cast<int64_t>(profile.operations.size());
  object.for_each("buffers", [&](const JsonReader& b) {
    engine::PlannedBuffer buffer{b.text("name"), share_of(b, "bytes", bytes_left),
                                 b.count("offset", kMostBytes)};
    buffer.first = static_cast<int32_t>(b.count("first", operations));
    buffer.last = static_cast<int32_t>(b.count("last", operations));
    profile.buffers.push_back(std::move(buffer));
  });
  return profile;
}

}  // namespace

StepProfile profile_of(const engine::Step& step, const engine::Trace& trace,
                       std::span<const int64_t> pictures) {
  const std::vector<engine::Operation>& operations = step.operations();
  const std::vector<engine::TraceEvent>& events = trace.events();
  VERACE_CHECK(!pictures.empty() && events.size() == pictures.size() * operations.size());
  StepProfile profile;
  profile.pictures = *std::ranges::max_element(pictures);
  profile.runs = std::ranges::count(pictures, profile.pictures);
  for (size_t i = 0; i < operations.size(); ++i) {
    std::vector<double> times;
    for (size_t run = 0; run < pictures.size(); ++run) {
      const engine::TraceEvent& event = events[run * operations.size() + i];
      VERACE_CHECK(event.name == operations[i].name, event.name);
      if (pictures[run] == profile.pictures) times.push_back(event.duration_us);
    }
    profile.operations.push_back(
        {operations[i].name, operations[i].kind, median(times), operations[i].flops});
  }
  profile.memory = step.summary();
  profile.buffers = step.buffers();
  return profile;
}

StepProfile profile_inference(InferenceSession& session, int64_t n) {
  const std::vector<uint8_t> grey(static_cast<size_t>(n * session.picture_count()), 128);
  session.run(grey);
  engine::Trace trace;
  const std::vector<int64_t> pictures(3, n);
  {
    // Also where a run throws, the session must not keep what is gone then.
    const std::unique_ptr<InferenceSession, void (*)(InferenceSession*)> traced(
        &session, [](InferenceSession* s) { s->set_trace(nullptr); });
    session.set_trace(&trace);
    for (size_t i = 0; i < pictures.size(); ++i) session.run(grey);
  }
  return profile_of(session.plan(n), trace, pictures);
}

std::string profile_json(const Profile& profile) {
  const Json json{{"version", kStepProfileVersion},
                  {"training", optional_json(profile.training)},
                  {"inference", optional_json(profile.inference)}};
  return json_text(json);
}

Profile read_profile(const std::string& json, const std::string& where) {
  return read_versioned(json, where, kStepProfileVersion, [](const JsonReader& object) {
    return Profile{step_at(object, "training"), step_at(object, "inference")};
  });
}

}  // namespace verace::apps
