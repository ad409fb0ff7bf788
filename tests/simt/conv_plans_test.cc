// Plans from asking to running: shared in a process, remembered for the next, checked by the rules.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/cudnn/plan.h"
#include "kernels/simt/emulator/options.h"
#include "tests/kernels/conv2d_cases.h"
#include "tests/kernels/conv2d_runs.h"
#include "tests/simt/fake_engines.h"
#include "tests/support/compare.h"
#include "tests/support/files.h"
#include "tests/support/tolerances.h"

namespace verace::test::conv_plans_test {
namespace {

using kernels::DeviceKind;
using kernels::Exec;
using kernels::cudnn::ConvPlan;
using kernels::cudnn::ConvPlans;
using kernels::cudnn::PlanCache;

// What one run of the program does with plans.
struct Process {
  std::vector<std::string> lines;
  ConvPlans plans{[this](const std::string& line) { lines.push_back(line); }};
};

Exec exec_with(const ConvPlanning& rules, const std::string& folder = "") {
  Exec exec{DeviceKind::kCuda, 1};
  exec.convolutions = rules;
  exec.convolutions.cache_folder = folder;
  return exec;
}

// Three plain engines, the second the fastest; and before them a faster one of changing results.
std::vector<FakeEngine> four_engines() {
  std::vector<FakeEngine> list = {plain_engine("eng0", 1.0, 10), plain_engine("eng1", 4000.0, 20),
                                  compiled_engine("eng2", 1000.0),
                                  plain_engine("eng3", 3000.0, 40)};
  list[0].engine.deterministic = false;
  return list;
}

TEST_CASE("equal convolutions share one plan, others have their own") {
  const FakeEngines engines(four_engines());
  Process process;
  const Exec exec = exec_with(tuned());
  const auto plan = process.plans.get(exec, small_spec());
  CHECK(process.plans.get(exec, small_spec()) == plan);
  CHECK(fake_cudnn().proposals == 1);
  int distinct = 1;
  for (const auto& [name, change] : changes()) {
    INFO(name);
    ConvSpec spec = small_spec();
    Exec other = exec;
    change(spec, other.convolutions);
    CHECK(process.plans.get(other, spec) != plan);
    CHECK(fake_cudnn().proposals == ++distinct);
  }
}

TEST_CASE("threads that ask for the same at once get the same, planned once") {
  const FakeEngines engines(four_engines());
  fake_cudnn().proposal_takes = 50;  // long enough for all to come in
  Process process;
  constexpr size_t kThreads = 8;
  std::vector<std::shared_ptr<const ConvPlan>> got(kThreads * 2);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      got[2 * i] = process.plans.get(exec_with({}), small_spec(1));
      got[2 * i + 1] = process.plans.get(exec_with({}), small_spec(2));
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(fake_cudnn().proposals == 2);
  for (size_t i = 0; i < got.size(); ++i) CHECK(got[i] == got[i % 2]);
  CHECK(got[0] != got[1]);
}

TEST_CASE("an engine that is not there is asked for again") {
  std::vector<FakeEngine> none = {plain_engine("eng0", 1.0, 0)};
  none[0].builds = false;
  const FakeEngines engines(none);
  Process process;
  CHECK_THROWS_AS(process.plans.get(exec_with({}), small_spec()), Error);
  CHECK(process.plans.report() == "");
  fake_cudnn().engines[0].builds = true;
  CHECK(process.plans.get(exec_with({}), small_spec()) != nullptr);
}

TEST_CASE("the next process asks, times and compiles nothing again") {
  const FakeEngines engines(four_engines());
  const TempFolder folder;
  const Exec exec = exec_with(tuned(), folder.path().string());
  std::string how;
  {
    Process first;
    const auto plan = first.plans.get(exec, small_spec());
    CHECK(plan->engine().name == "eng2");
    CHECK_FALSE(plan->cached());
    how = plan->how();
    CHECK(how.starts_with("fastest of 3: 1000."));
    for (const auto& [name, change] : changes()) {
      ConvSpec spec = small_spec();
      Exec other = exec;
      change(spec, other.convolutions);
      first.plans.get(other, spec);
    }
    CHECK(first.lines.empty());
  }
  const FakeEngines counted(four_engines());
  Process second;
  const auto plan = second.plans.get(exec, small_spec());
  CHECK(plan->engine().name == "eng2");
  CHECK(plan->cached());
  CHECK(plan->how() == how + ", from the cache");
  CHECK(plan->name() == "cuDNN eng2 (" + how + ", from the cache)");
  for (const auto& [name, change] : changes()) {
    INFO(name);
    ConvSpec spec = small_spec();
    Exec other = exec;
    change(spec, other.convolutions);
    CHECK(second.plans.get(other, spec)->cached());
  }
  CHECK(fake_cudnn().proposals == 0);
  CHECK(fake_cudnn().runs == 0);
  CHECK(fake_cudnn().loaded > 0);
  CHECK(second.lines.empty());
}

TEST_CASE("no plan serves another convolution or other rules") {
  const FakeEngines engines(four_engines());
  const TempFolder folder;
  const Exec exec = exec_with(tuned(), folder.path().string());
  Process().plans.get(exec, small_spec());
  for (const auto& [name, change] : changes()) {
    INFO(name);
    ConvSpec spec = small_spec();
    Exec other = exec;
    change(spec, other.convolutions);
    const TempFolder copy;
    other.convolutions.cache_folder = copy.path().string();
    for (const std::string& file : folder.names()) {
      std::filesystem::copy(folder / file, copy / file);
    }
    Process process;
    CHECK_FALSE(process.plans.get(other, spec)->cached());
    CHECK(process.plans.get(exec, small_spec())->cached());
  }
}

TEST_CASE("plans of another cuDNN are made anew") {
  const FakeEngines engines(four_engines());
  const TempFolder folder;
  const Exec exec = exec_with(tuned(), folder.path().string());
  Process().plans.get(exec, small_spec());
  fake_cudnn().version = "emulated, later";
  Process process;
  CHECK_FALSE(process.plans.get(exec, small_spec())->cached());
  REQUIRE(process.lines.size() == 1);
  CHECK(process.lines[0].find("this is cuDNN emulated, later") != std::string::npos);
  process.plans.save();
  CHECK(Process().plans.get(exec, small_spec())->cached());
}

TEST_CASE("where a compiled plan cannot be loaded, its engine is compiled again") {
  const FakeEngines engines(four_engines());
  const TempFolder folder;
  const Exec exec = exec_with(tuned(), folder.path().string());
  Process().plans.get(exec, small_spec());
  fake_cudnn().serialised_by = "another compiler";
  fake_cudnn().proposals = fake_cudnn().built = 0;
  Process process;
  const auto plan = process.plans.get(exec, small_spec());
  CHECK(plan->engine().name == "eng2");
  CHECK(plan->cached());
  CHECK(fake_cudnn().proposals == 0);
  CHECK(fake_cudnn().built == 1);
  process.plans.save();
  fake_cudnn().built = 0;
  CHECK(Process().plans.get(exec, small_spec())->cached());
  CHECK(fake_cudnn().built == 0);  // the new form has taken the place of the old
}

// Whatever the file says, the rules hold: an engine of it is asked about anew.
TEST_CASE("a plan of the file that the rules forbid is not taken, and is replaced") {
  const std::pair<std::string, std::function<void(FakeEngine&)>> cases[] = {
      {"its results vary", [](FakeEngine& e) { e.engine.deterministic = false; }},
      {"it rounds", [](FakeEngine& e) { e.engine.tensor_cores = true; }},
      {"it transforms", [](FakeEngine& e) { e.engine.transforms = true; }},
      {"it sums", [](FakeEngine& e) { e.engine.reduced_sums = true; }},
      {"it wants 3221225472 bytes",
       [](FakeEngine& e) { e.engine.workspace_bytes = int64_t{3} << 30; }},
      {"it cannot be built", [](FakeEngine& e) { e.builds = false; }},
      {"there is no engine", [](FakeEngine& e) { e.engine.name = "eng9", e.builds = false; }},
  };
  for (const auto& [reason, change] : cases) {
    INFO(reason);
    const FakeEngines engines({plain_engine("eng0", 1.0, 0), plain_engine("eng1", 1.0, 0)});
    const TempFolder folder;
    const Exec exec = exec_with({}, folder.path().string());
    Process().plans.get(exec, small_spec(1));
    Process().plans.get(exec, small_spec(2));
    change(fake_cudnn().engines[0]);
    {
      Process process;
      const auto plan = process.plans.get(exec, small_spec(1));
      CHECK(plan->engine().name == "eng1");
      CHECK_FALSE(plan->cached());
      CHECK(process.plans.get(exec, small_spec(2))->engine().name == "eng1");
      REQUIRE(process.lines.size() == 1);
      CHECK(process.lines[0].find(to_string(small_spec(1))) != std::string::npos);
      CHECK(process.lines[0].find(reason) != std::string::npos);
    }
    Process next;
    CHECK(next.plans.get(exec, small_spec(1))->engine().name == "eng1");
    CHECK(next.plans.get(exec, small_spec(1))->cached());
    CHECK(next.lines.empty());
  }
}

TEST_CASE("without a folder that can be written a run goes on, and says so once") {
  const FakeEngines engines(four_engines());
  const TempFolder folder;
  write_text(folder / "file", "not a folder");
  Process process;
  const Exec exec = exec_with({}, (folder / "file").string());
  for (int64_t batch = 1; batch < 4; ++batch) {
    CHECK(process.plans.get(exec, small_spec(batch))->engine().name == "eng1");
    process.plans.save();
  }
  CHECK(process.lines.size() == 1);
}

TEST_CASE("where there is no memory to time engines, the first is taken, and that is told") {
  const FakeEngines engines(four_engines());
  const simt::emulator::KeptOptions kept;
  simt::emulator::options().memory_limit = 100;
  Process process;
  const auto plan = process.plans.get(exec_with(tuned()), small_spec());
  CHECK(plan->engine().name == "eng1");
  CHECK(plan->how().find("first by the heuristics; eng3 failed: timing convolutions: no ") == 0);
}

TEST_CASE("the report names each plan, how often it was asked for, and how it was chosen") {
  const FakeEngines engines(four_engines());
  Process process;
  CHECK(process.plans.report() == "");
  process.plans.get(exec_with({}), small_spec(1));
  process.plans.get(exec_with({}), small_spec(1));
  process.plans.get(exec_with(tuned()), small_spec(2));
  const std::string report = process.plans.report();
  INFO(report);
  const std::string one = to_string(small_spec(1)), two = to_string(small_spec(2));
  CHECK(report.find(one + "  2      eng1    20         first by the heuristics\n") !=
        std::string::npos);
  CHECK(report.find(two + "  1      eng2    64         fastest of 3: 1000.") != std::string::npos);
  CHECK(std::ranges::count(report, '\n') == 3);
}

TEST_CASE("convolutions by tuned and remembered plans compute what they should") {
  const FakeEngines engines(four_engines());
  const TempFolder folder;
  const Case c = make_case(geometry({2, 7, 5, 8}, 16, 3, 3, 1, 2, 1, 1), true, 7);
  const std::vector<float> want = run_forward<float>({DeviceKind::kReference, 1}, c);
  for (const bool cached : {false, true}) {
    Exec exec = exec_with(tuned(), folder.path().string());
    // Other rules are another plan; this process would share the first.
    exec.convolutions.workspace_limit += cached ? 0 : 1;
    expect_ok("forward", compare_bits(run_forward<float>(exec, c), want));
  }
  ConvPlans::of_process().save();
  CHECK(kernels::conv_plan_report().find("fastest of 3: ") != std::string::npos);
}

}  // namespace
}  // namespace verace::test::conv_plans_test
