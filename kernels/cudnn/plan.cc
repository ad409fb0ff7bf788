// Sharing plans within a process, and with later ones.
#include "kernels/cudnn/plan.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/check_cuda.h"
#include "kernels/cudnn/library.h"
#include "kernels/cudnn/plan_clock.h"
#include "kernels/format.h"
#include "kernels/hash.h"

namespace verace::kernels::cudnn {
namespace {

constexpr std::chrono::seconds kBetweenSaves{1};

int current_device() {
  int device = 0;
  const cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess)
    fail_input(text::format("no CUDA device: {}", cudaGetErrorString(error)));
  return device;
}

cudaDeviceProp device_properties() {
  cudaDeviceProp properties{};
  VERACE_CUDA(cudaGetDeviceProperties(&properties, current_device()));
  return properties;
}

// What a plan depends on besides its graph.
std::string environment() {
  const cudaDeviceProp device = device_properties();
  int driver = 0;
  const cudaError_t error = cudaDriverGetVersion(&driver);
  VERACE_CHECK(error == cudaSuccess, cudaGetErrorString(error));
  return text::format("cuDNN {}, cudnn-frontend {}, {} (compute capability {}.{}), driver {}",
                      version(), frontend_version(), device.name, device.major, device.minor,
                      driver);
}

std::string rules_text(const ConvPlanning& rules) {
  return text::format(
      "{}, {}, workspace at most {}",
      rules.mode == ConvPlanning::Mode::kTuned ? text::format("fastest of {}", kMostCandidates)
                                               : "heuristics",
      rules.deterministic ? "deterministic" : "any order of sums", rules.workspace_limit);
}

// Names the plan in the file: the convolution, the graph as cuDNN is told (another version of this
// program may describe it otherwise), the rules.
std::string file_key(const ConvGraph& graph, const ConvPlanning& rules) {
  return text::format("{}; graph {:016x}; {}", to_string(graph.spec()), fnv1a(graph.json()),
                      rules_text(rules));
}

}  // namespace

ConvPlan::ConvPlan(ConvGraph graph, Choice choice, bool cached)
    : graph_(std::move(graph)), choice_(std::move(choice)), cached_(cached) {
  graph_.keep_only(choice_.engine);
  name_ = text::format("cuDNN {} ({})", engine().name, how());
}

double ConvPlan::measure(const Exec& exec) const {
  return DeviceClock(exec, spec()).milliseconds(graph_, choice_.engine);
}

std::string ConvPlan::how() const {
  std::string text = "first by the heuristics";
  if (choice_.timed > 0) {
    text = text::format("fastest of {}: {:.4f} ms", choice_.timed, choice_.milliseconds);
  }
  if (!choice_.note.empty()) text += "; " + choice_.note;
  return cached_ ? text + ", from the cache" : text;
}

std::shared_ptr<ConvPlans::Slot> ConvPlans::slot(const std::string& key) {
  const std::lock_guard lock(table_);
  std::shared_ptr<Slot>& found = slots_[key];
  if (!found) found = std::make_shared<Slot>();
  ++found->asked;
  return found;
}

std::shared_ptr<const ConvPlan> ConvPlans::get(const Exec& exec, const ConvSpec& spec) {
  validate(spec);
  handle(exec.stream);  // says what is wrong where there is no cuDNN, or no device
  const std::shared_ptr<Slot> mine = slot(text::format(
      "{} on device {}; {}", to_string(spec), current_device(), rules_text(exec.convolutions)));
  const std::lock_guard planning(mine->planning);
  {
    const std::lock_guard lock(table_);
    if (mine->plan) return mine->plan;
  }
  std::shared_ptr<const ConvPlan> made = make(exec, spec);
  const std::lock_guard lock(table_);
  mine->plan = std::move(made);
  return mine->plan;
}

std::shared_ptr<const ConvPlan> ConvPlans::make(const Exec& exec, const ConvSpec& spec) {
  const ConvPlanning& rules = exec.convolutions;
  ConvGraph graph(Target::of(handle(exec.stream)), spec);
  const std::string key = file_key(graph, rules);
  if (!rules.cache_folder.empty()) {
    if (auto plan = from_cache(exec, spec, key)) return plan;
  }
  Choice choice;
  {
    std::unique_lock<std::mutex> alone(timing_, std::defer_lock);
    if (rules.mode == ConvPlanning::Mode::kTuned) alone.lock();
    std::optional<DeviceClock> clock;  // which takes memory only where something is timed
    choice = choose(graph, rules, [&](const ConvGraph& timed, size_t engine) {
      if (!clock) clock.emplace(exec, spec);
      return clock->milliseconds(timed, engine);
    });
  }
  auto plan = std::make_shared<const ConvPlan>(std::move(graph), std::move(choice), false);
  // What tuning could not time, for want of memory perhaps, is not the fastest for later runs too.
  const bool untuned = rules.mode == ConvPlanning::Mode::kTuned && plan->choice().timed == 0;
  if (!rules.cache_folder.empty() && !untuned) remember(exec, key, *plan);
  return plan;
}

void ConvPlans::remember(const Exec& exec, const std::string& key, const ConvPlan& plan) {
  const std::lock_guard lock(files_);
  Cache& cache = cache_in(exec.convolutions.cache_folder);
  const auto nanoseconds = static_cast<int64_t>(plan.choice().milliseconds * 1e6 + 0.5);
  cache.plans.add(key, {plan.save(), nanoseconds, plan.choice().timed});
  const auto now = std::chrono::steady_clock::now();
  if (now - cache.saved < kBetweenSaves) return;
  cache.plans.save();
  cache.saved = now;
}

std::shared_ptr<const ConvPlan> ConvPlans::from_cache(const Exec& exec, const ConvSpec& spec,
                                                      const std::string& key) {
  std::optional<CachedPlan> known;
  {
    const std::lock_guard lock(files_);
    known = cache_in(exec.convolutions.cache_folder).plans.find(key);
  }
  if (!known) return nullptr;
  const auto remake = [&](const SavedPlan& saved, std::string& reason) {
    ConvGraph graph(Target::of(handle(exec.stream)), spec);
    reason = graph.remake(saved);
    // cuDNN's own words on the engine, not the file's.
    if (reason.empty()) reason = refusal(spec, exec.convolutions, graph.engines().front());
    return graph;
  };
  std::string reason;
  ConvGraph graph = remake(known->saved, reason);
  // What was compiled then may not load; the engine is known by its name as well.
  const bool compiled_again = !reason.empty() && !known->saved.serialised.empty();
  if (compiled_again) graph = remake({known->saved.engine, ""}, reason);
  if (reason.empty()) {
    Choice choice{0, static_cast<double>(known->nanoseconds) * 1e-6, known->timed, ""};
    auto plan = std::make_shared<const ConvPlan>(std::move(graph), std::move(choice), true);
    if (compiled_again) remember(exec, key, *plan);
    return plan;
  }
  const std::lock_guard lock(files_);
  Cache& cache = cache_in(exec.convolutions.cache_folder);
  cache.plans.forget(key);
  if (!std::exchange(cache.told, true)) {
    say_(
        one_line(text::format("{}: its plan {} of {} will not do ({}): planned anew, as others "
                              "like it will be",
                              cache.plans.path(), known->saved.engine, to_string(spec), reason)));
  }
  return nullptr;
}

ConvPlans::Cache::Cache(const std::string& folder, const PlanCache::Say& say)
    : plans(folder, device_properties().name, environment(), say) {}

ConvPlans::Cache& ConvPlans::cache_in(const std::string& folder) {
  std::unique_ptr<Cache>& cache = caches_[text::format("{} {}", current_device(), folder)];
  if (!cache) cache = std::make_unique<Cache>(folder, say_);
  return *cache;
}

void ConvPlans::save() {
  const std::lock_guard lock(files_);
  for (const auto& [folder, cache] : caches_) cache->plans.save();
}

std::vector<ConvPlans::Listed> ConvPlans::list() const {
  std::vector<Listed> listed;
  const std::lock_guard lock(table_);
  for (const auto& [key, slot] : slots_) {
    if (slot->plan) listed.push_back({slot->plan, slot->asked});
  }
  return listed;
}

std::string ConvPlans::report() const {
  std::vector<std::array<std::string, 5>> rows = {
      {"convolution", "asked", "engine", "workspace", "chosen"}};
  for (const auto& [plan, asked] : list()) {
    rows.push_back({to_string(plan->spec()), text::format("{}", asked), plan->engine().name,
                    text::format("{}", plan->engine().workspace_bytes), plan->how()});
  }
  if (rows.size() == 1) return "";
  std::string table;
  for (const auto& row : rows) {
    for (size_t column = 0; column + 1 < row.size(); ++column) {
      size_t width = 0;
      for (const auto& other : rows) width = std::max(width, other[column].size());
      table += row[column] + std::string(width - row[column].size() + 2, ' ');
    }
    table += row.back() + "\n";
  }
  return table;
}

std::string ConvPlans::summary() const {
  const std::lock_guard lock(table_);
  int64_t plans = 0, timed = 0, cached = 0, workspace = 0;
  for (const auto& [key, slot] : slots_) {
    if (!slot->plan) continue;
    ++plans;
    timed += slot->plan->choice().timed > 0;
    cached += slot->plan->cached();
    workspace = std::max(workspace, slot->plan->engine().workspace_bytes);
  }
  if (plans == 0) return "";
  return text::format(
      "{} convolutions: {} by the heuristics' first engine, {} by the fastest of those timed; {} "
      "of "
      "them from the file of plans; workspaces of at most {:.1f} MB",
      plans, plans - timed, timed, cached, static_cast<double>(workspace) / 1e6);
}

ConvPlans& ConvPlans::of_process() {
  // Never destroyed: cuDNN may be gone by then. Saved at the end all the same.
  static ConvPlans& plans = *[] {
    auto made = std::make_unique<ConvPlans>(
        [](const std::string& line) { text::print(stderr, "verace: {}\n", line); });
    std::atexit([] { of_process().save(); });
    return made.release();
  }();
  return plans;
}

}  // namespace verace::kernels::cudnn
