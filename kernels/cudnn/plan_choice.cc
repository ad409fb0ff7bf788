// Choosing an engine.
#include "kernels/cudnn/plan_choice.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::kernels::cudnn {
namespace {

struct Candidate {
  size_t engine;
  double milliseconds;
};

// Hands out the engines that the rules allow and that can be built, and remembers why others not.
class Search {
 public:
  Search(ConvGraph& graph, const ConvPlanning& rules) : graph_(graph), rules_(rules) {}

  std::optional<size_t> next() {
    while (at_ < graph_.engines().size()) {
      const size_t engine = at_++;
      if (!allowed(engine)) continue;
      graph_.ask_workspace(engine);
      if (!allowed(engine)) continue;
      if (const std::string reason = graph_.build(engine); !reason.empty()) {
        reason_ = reason;
        continue;
      }
      if (allowed(engine)) return engine;  // now that its workspace is known
    }
    return std::nullopt;
  }

  [[noreturn]] void fail() const {
    std::string text = text::format("{}: none of {} engines suits: {}", to_string(graph_.spec()),
                                    graph_.engines().size(), reason_);
    if (least_.has_value()) {
      text = text::format(
          "{}: no engine does with {} bytes of workspace; the least that would do is {}",
          to_string(graph_.spec()), rules_.workspace_limit, *least_);
    }
    fail_check("cuDNN", __FILE__, __LINE__, one_line(text));
  }

 private:
  bool allowed(size_t engine) {
    const Engine& e = graph_.engines()[engine];
    std::string reason = refusal(graph_.spec(), rules_, e);
    if (reason.empty()) return true;
    ConvPlanning without_limit = rules_;
    without_limit.workspace_limit = e.workspace_bytes;
    if (refusal(graph_.spec(), without_limit, e).empty()) {
      least_ = std::min(least_.value_or(e.workspace_bytes), e.workspace_bytes);
    }
    reason_ = std::move(reason);
    return false;
  }

  ConvGraph& graph_;
  const ConvPlanning& rules_;
  size_t at_ = 0;
  std::string reason_;            // why the last one did not suit
  std::optional<int64_t> least_;  // workspace of those that only want too much of it
};

// The best of those that were timed; there is one.
Candidate best_of(const ConvGraph& graph, const std::vector<Candidate>& timed) {
  const auto time = [](const Candidate& c) { return c.milliseconds; };
  const double fastest = std::ranges::min_element(timed, {}, time)->milliseconds;
  const auto bytes = [&](const Candidate& c) { return graph.engines()[c.engine].workspace_bytes; };
  std::optional<Candidate> best;
  for (const Candidate& c : timed) {
    if (c.milliseconds > fastest * (1.0 + kTimeTie)) continue;
    if (!best || bytes(c) < bytes(*best)) best = c;
  }
  return *best;
}

}  // namespace

std::string refusal(const ConvSpec& spec, const ConvPlanning& rules, const Engine& engine) {
  if (engine.reduced_sums) return "it sums in less than fp32";
  if (rules.deterministic && !engine.deterministic) return "its results vary from run to run";
  if (spec.type == StorageType::kFloat && !spec.tf32) {
    if (engine.tensor_cores) return "it rounds fp32 operands";
    // Transforms lose digits too: more the larger their tiles are.
    if (engine.transforms) return "it transforms fp32 operands";
  }
  if (engine.workspace_bytes > rules.workspace_limit) {
    return text::format("it wants {} bytes of workspace, the limit is {}", engine.workspace_bytes,
                        rules.workspace_limit);
  }
  return "";
}

Choice choose(ConvGraph& graph, const ConvPlanning& rules, const EngineClock& clock) {
  graph.propose();
  Search search(graph, rules);
  const std::optional<size_t> first = search.next();
  if (!first.has_value()) search.fail();
  Choice choice{*first, 0.0, 0, ""};
  if (rules.mode != ConvPlanning::Mode::kTuned) return choice;
  if (!clock) {
    choice.note = "there is no device to time it on";
    return choice;
  }
  std::vector<Candidate> timed;
  std::optional<size_t> engine = first;
  for (int i = 0; i < kMostCandidates && engine.has_value(); ++i) {
    try {
      const double milliseconds = clock(graph, *engine);
      VERACE_CHECK(std::isfinite(milliseconds) && milliseconds > 0.0, "no time was measured");
      timed.push_back({*engine, milliseconds});
    } catch (const Error& error) {
      choice.note =
          one_line(text::format("{} failed: {}", graph.engines()[*engine].name, error.what()));
    }
    if (i + 1 < kMostCandidates) engine = search.next();
  }
  if (timed.empty()) return choice;
  const Candidate best = best_of(graph, timed);
  return {best.engine, best.milliseconds, static_cast<int>(timed.size()), choice.note};
}

}  // namespace verace::kernels::cudnn
