// Which engine a convolution gets, from engines of differing speed, determinism, arithmetic and
// workspace.
#include "kernels/cudnn/plan_choice.h"

#include <doctest/doctest.h>

#include <functional>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "kernels/cudnn/library.h"
#include "kernels/cudnn/plan_clock.h"
#include "kernels/simt/emulator/runtime.h"
#include "tests/simt/fake_engines.h"
#include "tests/support/compare.h"

namespace verace::test::plan_choice_test {
namespace {

using kernels::StorageType;
using kernels::cudnn::Choice;
using kernels::cudnn::ConvGraph;
using kernels::cudnn::DeviceClock;
using kernels::cudnn::Engine;
using kernels::cudnn::EngineClock;
using kernels::cudnn::Target;

ConvGraph graph_of(const ConvSpec& spec) {
  return ConvGraph(Target::of(kernels::cudnn::handle(nullptr)), spec);
}

// The name of the engine that is taken.
std::string taken(const ConvPlanning& rules, const EngineClock& clock = nullptr,
                  const ConvSpec& spec = small_spec()) {
  ConvGraph graph = graph_of(spec);
  const Choice choice = choose(graph, rules, clock);
  CHECK(graph.is_built(choice.engine));
  return graph.engines()[choice.engine].name;
}

// A clock that knows the time of each engine; those that it does not know fail.
EngineClock times(const std::map<std::string, double>& known) {
  return [known](const ConvGraph& graph, size_t engine) {
    const auto found = known.find(graph.engines()[engine].name);
    if (found == known.end()) throw Error(ErrorKind::kInternal, "it fails");
    return found->second;
  };
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("the heuristics' first engine is taken that the rules allow") {
  const FakeEngines engines(simt::emulator::usual_fake_engines());
  ConvSpec spec = small_spec();
  CHECK(taken({}, nullptr, spec) == "eng3_k2=1");  // not: changing order, rounding, 3 GiB
  spec.tf32 = true;
  CHECK(taken({}, nullptr, spec) == "eng1_k2=1");
  spec.tf32 = false;
  for (const StorageType type : {StorageType::kHalf, StorageType::kBFloat16}) {
    spec.type = type;
    CHECK(taken({}, nullptr, spec) == "eng1_k2=1");
  }
  ConvPlanning any_order;
  any_order.deterministic = false;
  CHECK(taken(any_order) == "eng0");
}

TEST_CASE("each rule refuses by itself, and says why") {
  ConvSpec fp32 = small_spec(), tf32 = small_spec(), half = small_spec();
  tf32.tf32 = true;
  half.type = StorageType::kHalf;
  const ConvPlanning strict;
  ConvPlanning loose;
  loose.deterministic = false;
  loose.workspace_limit = std::numeric_limits<int64_t>::max();
  const auto changed = [](const std::function<void(Engine&)>& change) {
    Engine engine;
    change(engine);
    return engine;
  };
  const Engine sums = changed([](Engine& e) { e.reduced_sums = true; });
  const Engine varies = changed([](Engine& e) { e.deterministic = false; });
  const Engine rounds = changed([](Engine& e) { e.tensor_cores = true; });
  const Engine transforms = changed([](Engine& e) { e.transforms = true; });
  const Engine large = changed([](Engine& e) { e.workspace_bytes = (int64_t{2} << 30) + 1; });
  const Engine full = changed([](Engine& e) { e.workspace_bytes = int64_t{2} << 30; });
  const Engine unknown = changed([](Engine& e) { e.workspace_bytes = -1; });
  for (const ConvSpec& spec : {fp32, tf32, half}) {
    const bool exact = spec == fp32;
    CHECK(refusal(spec, loose, sums) == "it sums in less than fp32");
    CHECK(refusal(spec, strict, varies) == "its results vary from run to run");
    CHECK(refusal(spec, loose, varies) == "");
    CHECK(refusal(spec, loose, rounds) == (exact ? "it rounds fp32 operands" : ""));
    CHECK(refusal(spec, loose, transforms) == (exact ? "it transforms fp32 operands" : ""));
    CHECK(refusal(spec, strict, large) ==
          "it wants 2147483649 bytes of workspace, the limit is 2147483648");
    CHECK(refusal(spec, strict, full) == "");
    CHECK(refusal(spec, loose, large) == "");
    CHECK(refusal(spec, strict, unknown) == "");
  }
}

TEST_CASE("engines that cannot be built, or turn out to want too much, are passed over") {
  std::vector<FakeEngine> list = {plain_engine("eng0", 1.0, 10), plain_engine("eng1", 1.0, 300),
                                  plain_engine("eng2", 1.0, 200), plain_engine("eng3", 1.0, 100)};
  list[0].builds = false;
  list[1].tells_workspace = false;
  const FakeEngines engines(list);
  ConvPlanning rules;
  rules.workspace_limit = 100;
  CHECK(taken(rules) == "eng3");
  CHECK(fake_cudnn().built == 2);  // not that which says beforehand that it wants too much
}

TEST_CASE("where the workspace is too large, the error names convolution, limit and least need") {
  std::vector<FakeEngine> list = {plain_engine("eng0", 1.0, 5000), plain_engine("eng1", 1.0, 3000),
                                  plain_engine("eng2", 1.0, 4000), plain_engine("eng3", 1.0, 2000)};
  list[3].engine.deterministic = false;  // so its need is of no interest
  const FakeEngines engines(list);
  ConvPlanning rules;
  rules.workspace_limit = 2999;
  const std::string error = error_of([&] { taken(rules); });
  INFO(error);
  CHECK(error.find(to_string(small_spec())) != std::string::npos);
  CHECK(error.find("2999 bytes") != std::string::npos);
  CHECK(error.find("the least that would do is 3000") != std::string::npos);
  CHECK(error.find('\n') == std::string::npos);
  rules.workspace_limit = 3000;
  CHECK(taken(rules) == "eng1");
  const FakeEngines none({list[3]});
  const std::string no_engine = error_of([&] { taken({}); });
  CHECK(no_engine.find("none of 1 engines suits: its results vary") != std::string::npos);
}

TEST_CASE("tuning takes the fastest that the rules allow") {
  std::vector<FakeEngine> list;
  for (int i = 0; i < 5; ++i) list.push_back(plain_engine("eng" + std::to_string(i), 1.0, 100));
  list[1].engine.deterministic = false;
  list[2].engine.workspace_bytes = int64_t{3} << 30;
  const FakeEngines engines(list);
  const EngineClock clock =
      times({{"eng0", 3.0}, {"eng1", 0.1}, {"eng2", 0.2}, {"eng3", 1.0}, {"eng4", 2.0}});
  CHECK(taken(tuned(), clock) == "eng3");
  CHECK(taken({}, clock) == "eng0");  // the clock is for tuning
  ConvPlanning rules = tuned();
  rules.deterministic = false;
  CHECK(taken(rules, clock) == "eng1");
  rules.deterministic = true;
  rules.workspace_limit = int64_t{4} << 30;
  CHECK(taken(rules, clock) == "eng2");
}

TEST_CASE("of times that are as good as equal: the smaller workspace, then the earlier one") {
  const FakeEngines engines({plain_engine("eng0", 1.0, 300), plain_engine("eng1", 1.0, 200),
                             plain_engine("eng2", 1.0, 200), plain_engine("eng3", 1.0, 100)});
  CHECK(taken(tuned(), times({{"eng0", 1.0}, {"eng1", 1.019}, {"eng2", 1.0}, {"eng3", 1.021}})) ==
        "eng1");
  CHECK(taken(tuned(), times({{"eng0", 1.0}, {"eng1", 1.021}, {"eng2", 1.021}, {"eng3", 1.03}})) ==
        "eng0");
  CHECK(taken(tuned(), times({{"eng0", 1.0}, {"eng1", 1.01}, {"eng2", 1.01}, {"eng3", 1.02}})) ==
        "eng3");
}

TEST_CASE("tuning times ten engines at most") {
  std::vector<FakeEngine> list;
  std::map<std::string, double> known;
  for (int i = 0; i < 15; ++i) {
    list.push_back(plain_engine("eng" + std::to_string(i), 1.0, 0));
    known[list.back().engine.name] = 20.0 - i;
  }
  list[3].builds = false;  // does not count
  const FakeEngines engines(list);
  CHECK(taken(tuned(), times(known)) == "eng10");
  CHECK(fake_cudnn().built == kernels::cudnn::kMostCandidates);
}

TEST_CASE("an engine that fails while it is timed is left out, and that is told") {
  const FakeEngines engines({plain_engine("eng0", 1.0, 0), plain_engine("eng1", 1.0, 0)});
  for (const double no_time : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(taken(tuned(), times({{"eng0", no_time}, {"eng1", 2.0}})) == "eng1");
  }
  ConvGraph graph = graph_of(small_spec());
  const Choice choice = choose(graph, tuned(), times({{"eng1", 2.0}}));
  CHECK(choice.engine == 1);
  CHECK(choice.timed == 1);
  CHECK(choice.milliseconds == 2.0);
  CHECK(choice.note == "eng0 failed: it fails");
  ConvGraph untimed = graph_of(small_spec());
  const Choice first = choose(untimed, tuned(), times({}));
  CHECK(first.engine == 0);
  CHECK(first.timed == 0);
  CHECK(first.note == "eng1 failed: it fails");
}

// ---- on the device ---------------------------------------------------------------------------

TEST_CASE("the device's clock tells engines apart, for each pass and storage type") {
  const FakeEngines engines({plain_engine("eng0", 2000.0, 77), plain_engine("eng1", 500.0, 1000),
                             plain_engine("eng2", 900.0, 0)});
  auto& memory = simt::emulator::Runtime::get().memory;
  const size_t in_use = memory.in_use();
  for (const auto pass :
       {kernels::cudnn::ConvPass::kForward, kernels::cudnn::ConvPass::kBackwardData,
        kernels::cudnn::ConvPass::kBackwardFilter}) {
    for (const auto type : {StorageType::kFloat, StorageType::kHalf, StorageType::kBFloat16}) {
      ConvSpec spec = small_spec(2);
      spec.pass = pass;
      spec.type = type;
      if (pass == kernels::cudnn::ConvPass::kForward) spec.post = {true, true, true};
      INFO(to_string(spec));
      ConvGraph graph = graph_of(spec);
      DeviceClock clock({kernels::DeviceKind::kCuda}, spec);
      const Choice choice = choose(graph, tuned(), [&](const ConvGraph& timed, size_t engine) {
        return clock.milliseconds(timed, engine);
      });
      CHECK(choice.note == "");
      CHECK(choice.timed == 3);
      CHECK(choice.engine == 1);
      CHECK(choice.milliseconds >= 500.0);
      CHECK(choice.milliseconds < 900.0);  // beside the real time that the emulation takes
    }
  }
  CHECK(memory.in_use() == in_use);
}

TEST_CASE("short runs are timed many at a time") {
  const FakeEngines engines({plain_engine("eng0", 0.2, 0)});
  ConvGraph graph = graph_of(small_spec());
  choose(graph, {}, nullptr);
  DeviceClock clock({kernels::DeviceKind::kCuda}, small_spec());
  CHECK(clock.milliseconds(graph, 0) >= 0.2);
  CHECK(fake_cudnn().runs >= 2 + 9);
  CHECK(fake_cudnn().runs <= 2 + 9 * 5);
}

TEST_CASE("an engine that leaves a part of the output unwritten is not taken") {
  std::vector<FakeEngine> list = {plain_engine("eng0", 1.0, 0), plain_engine("eng1", 500.0, 0)};
  list[0].writes_all = false;
  const FakeEngines engines(list);
  ConvGraph graph = graph_of(small_spec());
  DeviceClock clock({kernels::DeviceKind::kCuda}, small_spec());
  const Choice choice = choose(graph, tuned(), [&](const ConvGraph& timed, size_t engine) {
    return clock.milliseconds(timed, engine);
  });
  CHECK(choice.engine == 1);
  CHECK(choice.note.find("eng0 failed") != std::string::npos);
  CHECK(choice.note.find("does not write the whole output") != std::string::npos);
}

}  // namespace
}  // namespace verace::test::plan_choice_test
