// Every convolution that a step can ask for gets a cuDNN plan for an H200: proven without a GPU,
// from NVIDIA's description of one. Writes the list of plans to the file VERACE_CUDNN_PLANS.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/cudnn/plan_cache.h"
#include "kernels/cudnn/plan_choice.h"
#include "kernels/dynamic_library.h"
#include "tests/cudnn/graph_check.h"
#include "tests/cudnn/h200.h"
#include "tests/cudnn/networks.h"
#include "tests/cudnn/plan_table.h"
#include "tests/kernels/conv2d_cases.h"
#include "tests/support/device_memory.h"
#include "tests/support/files.h"

namespace verace::test::plans_test {
namespace {

using kernels::ConvGeometry;
using kernels::ConvPlanning;
using kernels::StorageType;
using kernels::cudnn::CachedPlan;
using kernels::cudnn::Choice;
using kernels::cudnn::ConvGraph;
using kernels::cudnn::ConvSpec;
using kernels::cudnn::Engine;
using kernels::cudnn::PlanCache;
using kernels::cudnn::SavedPlan;
using kernels::cudnn::Target;

// ---- What is planned -------------------------------------------------------------------------

// Tensor cores take channels by eights, and pictures have three: also with channels of zeros.
void add_padded_channels(std::vector<RecordedConvolution>& convolutions) {
  for (size_t i = 0, n = convolutions.size(); i < n; ++i) {
    RecordedConvolution padded = convolutions[i];
    if (padded.g.x.c % 8 == 0) continue;
    padded.g.x.c = (padded.g.x.c + 7) / 8 * 8;
    padded.steps = {"channels padded"};
    convolutions.push_back(padded);
  }
}

// What all networks together ask for, each once.
std::vector<RecordedConvolution> wanted() {
  std::vector<RecordedStep> steps;
  for (const NetworkShape& shape : networks()) {
    const std::string name =
        std::string(to_string(shape.variant)) + " " + std::to_string(shape.input_size) + " px: ";
    for (RecordedStep step : steps_of(shape)) {
      for (RecordedConvolution& c : step.convolutions) c.steps = {name + step.name};
      step.name = name + step.name;
      steps.push_back(std::move(step));
    }
  }
  std::vector<RecordedConvolution> result = distinct(steps);
  add_padded_channels(result);
  return result;
}

// cuDNN proposes engines that it compiles at run time only where there is a driver's library; the
// toolkit has a stub of it, which will do until one is built. False, and a line that says so, where
// there is neither.
bool have_driver_or_stub(const std::string& test) {
  std::vector<std::string> folders;
  if (const char* stubs = std::getenv("VERACE_CUDA_STUBS")) folders.push_back(stubs);
  try {
    kernels::DynamicLibrary("NVIDIA's driver", "libcuda.so.1", {});
    return true;
  } catch (const Error&) {  // then the stub
  }
  try {
    kernels::DynamicLibrary("the driver's stub", "libcuda.so", folders);
    return true;
  } catch (const Error& error) {
    skip_without_cudnn("cudnn/" + test, error.what());
    return false;
  }
}

constexpr int64_t kBatches[] = {1, 64, 256};

struct Outcome {
  std::string errors;  // of the graph, or why there is no plan
  Engine engine;
  bool built = false;
  SavedPlan saved;
};

Outcome plan(const Target& target, const ConvSpec& spec) {
  Outcome outcome;
  try {
    ConvGraph graph(target, spec);
    outcome.errors = graph_errors(graph.json(), spec);
    const Choice choice = choose(graph, ConvPlanning{}, nullptr);
    outcome.engine = graph.engines()[choice.engine];
    outcome.built = graph.is_built(choice.engine);
    outcome.saved = graph.save(choice.engine);
  } catch (const std::exception& error) {
    outcome.errors = error.what();
  }
  return outcome;
}

// What a later process makes of a plan that this one has kept: the engine, or why there is none.
std::string read_back(const Target& target, const ConvSpec& spec, const PlanCache& cache,
                      const Engine& want) {
  try {
    const std::optional<CachedPlan> known = cache.find(to_string(spec));
    if (!known) return "not in the file";
    ConvGraph graph(target, spec);
    if (const std::string reason = graph.remake(known->saved); !reason.empty()) return reason;
    if (graph.engines().size() != 1) return "not one engine";
    if (graph.is_built(0) == want.runtime_compiled) return "not built";
    Engine got = graph.engines()[0];
    if (want.runtime_compiled) got.workspace_bytes = want.workspace_bytes;  // before it is compiled
    return got == want ? "" : "another engine: " + got.name;
  } catch (const std::exception& error) {
    return error.what();
  }
}

// Each plan through the file, and made again without asking the heuristics.
void expect_read_back(const Target& target, const std::vector<ConvSpec>& specs,
                      const std::vector<Outcome>& outcomes) {
  const TempFolder folder;
  std::string said;
  const auto open = [&] {
    return PlanCache(folder.path().string(), "NVIDIA H200", kernels::cudnn::version(),
                     [&](const std::string& line) { said += line; });
  };
  PlanCache first = open();
  for (size_t i = 0; i < specs.size(); ++i) first.add(to_string(specs[i]), {outcomes[i].saved});
  first.save();
  const PlanCache next = open();
  CHECK(next.size() == specs.size());  // no two convolutions have one name
  CHECK(said == "");
  std::vector<std::string> errors(specs.size());
  const double before = seconds_now();
#pragma omp parallel for schedule(dynamic, 16)
  for (size_t i = 0; i < specs.size(); ++i) {
    errors[i] = read_back(target, specs[i], next, outcomes[i].engine);
  }
  std::printf("made again from the file in %.1f s\n", seconds_now() - before);
  for (size_t i = 0; i < specs.size(); ++i) {
    INFO(to_string(specs[i]));
    CHECK(errors[i] == "");
  }
}

TEST_CASE("every convolution of every step has a plan for an H200") {
  const std::optional<Target> target = h200("plans_test plans");
  if (!target || !have_driver_or_stub("plans_test plans")) return;
  const std::vector<RecordedConvolution> convolutions = wanted();
  CHECK(convolutions.size() > 100);
  std::vector<ConvSpec> specs;
  for (const Precision& precision : kPrecisions) {
    for (const RecordedConvolution& c : convolutions) {
      for (const int64_t batch : kBatches) specs.push_back(spec_of(c, batch, precision));
    }
  }
  std::vector<Outcome> outcomes(specs.size());
  const double before = seconds_now();
#pragma omp parallel for schedule(dynamic, 16)
  for (size_t i = 0; i < specs.size(); ++i) outcomes[i] = plan(*target, specs[i]);
  std::printf("planned in %.1f s\n", seconds_now() - before);

  int64_t built = 0, compiled = 0, tensor_cores = 0, may_use_them = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    INFO(to_string(specs[i]));
    const Outcome& outcome = outcomes[i];
    CHECK(outcome.errors == "");
    CHECK(outcome.engine.name.starts_with("eng"));
    CHECK(outcome.built != outcome.engine.runtime_compiled);
    CHECK(outcome.engine.workspace_bytes >= 0);
    CHECK(outcome.engine.workspace_bytes <= ConvPlanning{}.workspace_limit);
    CHECK(outcome.engine.deterministic);
    CHECK(!outcome.engine.reduced_sums);
    (outcome.built ? built : compiled) += 1;
    if (specs[i].type == StorageType::kFloat && !specs[i].tf32) {
      CHECK(!outcome.engine.tensor_cores);
      CHECK(!outcome.engine.transforms);
    } else {
      ++may_use_them;
      tensor_cores += outcome.engine.tensor_cores ? 1 : 0;
    }
  }
  CHECK(tensor_cores > may_use_them * 9 / 10);
  PlanTable table(convolutions.size());
  auto outcome = outcomes.begin();
  for (const Precision& precision : kPrecisions) {
    table.precision(precision.name);
    for (const RecordedConvolution& c : convolutions) {
      std::vector<std::string> cells;
      for (size_t i = 0; i < std::size(kBatches); ++i) cells.push_back(cell((outcome++)->engine));
      table.row(c, cells);
    }
  }
  table.askers(convolutions);
  table.write();
  expect_read_back(*target, specs, outcomes);
  std::printf(
      "%zu convolutions: %ld plans built, %ld chosen to be compiled on the device; of %ld in "
      "tf32, fp16 and bf16 %ld use tensor cores\n",
      convolutions.size(), static_cast<long>(built), static_cast<long>(compiled),
      static_cast<long>(may_use_them), static_cast<long>(tensor_cores));
}

TEST_CASE("what the tests of convolutions run on a GPU has a plan, too") {
  const std::optional<Target> target = h200("plans_test test geometries");
  if (!target || !have_driver_or_stub("plans_test test geometries")) return;
  std::vector<ConvSpec> specs;
  const auto add = [&](const ConvGeometry& g, const Precision& precision) {
    const std::vector<ConvSpec> more = forms(g, precision);
    specs.insert(specs.end(), more.begin(), more.end());
  };
  for (const ConvGeometry& g : geometries()) add(g, kPrecisions[0]);
  for (const ConvGeometry& g : geometries_by_eights()) {
    for (const Precision& precision : kPrecisions) add(g, precision);
  }
  std::vector<Outcome> outcomes(specs.size());
#pragma omp parallel for schedule(dynamic, 4)
  for (size_t i = 0; i < specs.size(); ++i) outcomes[i] = plan(*target, specs[i]);
  for (size_t i = 0; i < specs.size(); ++i) {
    INFO(to_string(specs[i]));
    CHECK(outcomes[i].errors == "");
  }
}

TEST_CASE("a plan is not made from what is no engine of the convolution") {
  const std::optional<Target> target = h200("plans_test names of engines");
  if (!target) return;
  const ConvSpec spec{{}, {{64, 56, 56, 64}, 256, 1, 1, 1, 1, 0, 0}, {}, {}, {}};
  for (const char* name : {"", "eng", "eng1x", "eng99999", "eng-1", "engine", "eng0_k2", "eng0_k2=",
                           "eng0_k999=1", "eng0_k-1=1", "eng0_k2=999999", "eng0_k2=1_"}) {
    INFO(std::string(name));
    CHECK(ConvGraph(*target, spec).remake({name, ""}) != "");
  }
}

TEST_CASE("no engine of cuDNN's takes more workspace than the limit") {
  const std::optional<Target> target = h200("plans_test limit");
  if (!target) return;
  const ConvSpec spec{{}, {{256, 56, 56, 64}, 256, 1, 1, 1, 1, 0, 0}, {}, {}, {}};
  ConvPlanning rules;
  int64_t last = rules.workspace_limit + 1;
  std::string error;
  while (error.empty()) {  // each time less than the best engine wants
    rules.workspace_limit = last - 1;
    ConvGraph graph(*target, spec);
    try {
      const Engine& e = graph.engines().at(choose(graph, rules, nullptr).engine);
      CHECK(e.workspace_bytes >= 0);
      REQUIRE(e.workspace_bytes < last);
      last = e.workspace_bytes;
    } catch (const Error& none) {
      error = none.what();
    }
  }
  INFO(error);
  CHECK(last < (int64_t{1} << 20));  // there is one with little
  CHECK(error.find(to_string(spec)) != std::string::npos);
  CHECK(error.find("the least that would do is " + std::to_string(last)) != std::string::npos);
}

TEST_CASE("where there is no GPU, a convolution for one is refused in one line") {
  if (cuda_is_present()) {
    std::printf("SKIPPED cudnn/plans_test refusal: there is a GPU\n");
    return;
  }
  const ConvGeometry g{{1, 8, 8, 8}, 8, 3, 3, 1, 1, 1, 1};
  try {
    kernels::plan_conv_forward<kernels::Half>({kernels::DeviceKind::kCuda}, g);
    FAIL("planned for a GPU that is not there");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInput);
    CHECK(std::string(error.what()).starts_with("cuDNN"));
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
  }
}

TEST_CASE("a description that cuDNN does not understand is refused in one line") {
  if (!h200("plans_test description")) return;
  for (const char* text : {"", "{}", "{\"deviceVer\":900}", "not JSON"}) {
    try {
      Target::described(text);
      FAIL("accepted: ", std::string(text));
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kInput);
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
}

}  // namespace
}  // namespace verace::test::plans_test
