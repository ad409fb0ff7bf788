// The convolution plans of this process: one for each distinct convolution, shared by all who ask.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cudnn/conv_graph.h"
#include "kernels/cudnn/plan_cache.h"
#include "kernels/cudnn/plan_choice.h"
#include "kernels/exec.h"

namespace verace::kernels::cudnn {

// A built plan. Several threads may run it at once, on streams of its device.
class ConvPlan {
 public:
  ConvPlan(ConvGraph graph, Choice choice, bool cached);

  const ConvSpec& spec() const { return graph_.spec(); }
  const Engine& engine() const { return graph_.engines()[choice_.engine]; }
  const Choice& choice() const { return choice_; }
  bool cached() const { return cached_; }  // taken from the file of an earlier run
  SavedPlan save() const { return graph_.save(choice_.engine); }

  // "fastest of 10: 0.123 ms", "first by the heuristics", either with ", from the cache".
  std::string how() const;
  // "cuDNN eng44_k2=4_k18=0 (HOW)"
  const std::string& name() const { return name_; }

  // Times it on the device: DeviceClock::milliseconds(), on exec.stream.
  double measure(const Exec& exec) const;

  // ConvGraph::execute().
  void execute(cudnnContext* handle, std::span<const ConvBinding> bindings,
               std::byte* workspace) const {
    graph_.execute(choice_.engine, handle, bindings, workspace);
  }

 private:
  ConvGraph graph_;
  Choice choice_;
  bool cached_;
  std::string name_;
};

// Makes plans and keeps them. May be used by several threads at once: who asks for what another one
// is planning waits for it.
class ConvPlans {
 public:
  // `say`: takes what the user should know of the file of plans, in one line.
  explicit ConvPlans(PlanCache::Say say) : say_(std::move(say)) {}
  // Saves.
  ~ConvPlans() { save(); }
  ConvPlans(const ConvPlans&) = delete;
  ConvPlans& operator=(const ConvPlans&) = delete;

  // The plan of a convolution on the current device, by the rules of exec.convolutions: the one
  // that was made before in this process, or the file of an earlier run has, or a new one. Tuning
  // works on exec.stream. Throws as ConvGraph and choose() do.
  std::shared_ptr<const ConvPlan> get(const Exec& exec, const ConvSpec& spec);

  // All plans, in an order of their own, and how often each was asked for.
  struct Listed {
    std::shared_ptr<const ConvPlan> plan;
    int64_t asked = 0;
  };
  std::vector<Listed> list() const;
  // A table, one line for each plan: the convolution, how often it was asked for, engine, bytes of
  // workspace, how it was chosen. Empty where there are none.
  std::string report() const;

  // The same in one line: how many, how they were chosen, the largest workspace. Empty likewise.
  std::string summary() const;

  // Writes the files of plans. get() does so as well, but at most once a second.
  void save();

  // Those of this process; they are saved at its end. What is to be said goes to stderr.
  static ConvPlans& of_process();

 private:
  struct Slot {
    std::mutex planning;
    std::shared_ptr<const ConvPlan> plan;
    int64_t asked = 0;
  };
  struct Cache {
    Cache(const std::string& folder, const PlanCache::Say& say);
    PlanCache plans;
    std::chrono::steady_clock::time_point saved;
    bool told = false;  // that a plan of the file would not do
  };

  std::shared_ptr<const ConvPlan> make(const Exec& exec, const ConvSpec& spec);
  std::shared_ptr<const ConvPlan> from_cache(const Exec& exec, const ConvSpec& spec,
                                             const std::string& key);
  void remember(const Exec& exec, const std::string& key, const ConvPlan& plan);
  Cache& cache_in(const std::string& folder);
  std::shared_ptr<Slot> slot(const std::string& key);

  PlanCache::Say say_;
  mutable std::mutex table_;  // of slots_ and asked
  std::map<std::string, std::shared_ptr<Slot>> slots_;
  std::mutex files_;                                      // of caches_
  std::map<std::string, std::unique_ptr<Cache>> caches_;  // by device and folder
  std::mutex timing_;  // so that nothing of ours disturbs the clock
};

}  // namespace verace::kernels::cudnn
