// A disc that fails, and a process that is killed, at each step of writing a run's files: the state
// before is intact, the run goes on from it and ends in the same bits.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/lib/checkpoint_files.h"
#include "kernels/format.h"
#include "tests/apps/run_comparison.h"
#include "tests/support/sanitized.h"
#include "weights/atomic_file.h"

namespace verace::apps::checkpoint_faults_test {
namespace {

namespace fs = std::filesystem;
using weights::FileStep;

class FaultGuard {
 public:
  explicit FaultGuard(weights::FileFault fault) { weights::set_file_fault(std::move(fault)); }
  ~FaultGuard() { weights::set_file_fault({}); }
  FaultGuard(const FaultGuard&) = delete;
  FaultGuard& operator=(const FaultGuard&) = delete;
};

// The steps of writing one checkpoint: some hundred pieces, and what comes after them.
TEST_CASE("no failing step of writing a checkpoint harms the two that are there") {
  const TempFolder folder;
  const std::string run = folder / "run", last = run + "/last.safetensors";
  const std::string previous = run + "/previous.safetensors";
  TrainOptions o = tiny_run(run);
  o.save_every = 1;
  o.max_steps = 2;
  trained(o);
  const LoadedModel model = load_model(last);
  optim::Adam adam(model.classifier->table(), {});
  load_moments(last, adam);
  Checkpoint next = read_checkpoint(last);
  ++next.state.step;
  ++next.state.global_step;
  const std::string old_last = read_text(last), old_previous = read_text(previous);
  const auto restore = [&] {
    test::write_text(last, old_last);
    fs::remove(previous);  // it may be the same file
    test::write_text(previous, old_previous);
  };
  const auto save = [&] {
    CheckpointFiles files(run, last);
    files.save(*model.classifier, adam, next);
  };
  std::vector<FileStep> steps;
  {
    const FaultGuard guard([&](FileStep step, const std::string&) {
      steps.push_back(step);
      return 0;
    });
    save();
  }
  const std::string new_last = read_text(last);
  CHECK(new_last != old_last);
  CHECK(read_text(previous) == old_last);
  CHECK(steps.size() > 480);
  CHECK(steps.back() == FileStep::kSyncFolder);
  for (size_t i = 0; i < steps.size(); ++i) {
    // Of the pieces the first ones, the last ones, and some.
    if (steps[i] == FileStep::kWrite && i > 3 && i + 10 < steps.size() && i % 17 != 0) continue;
    for (const int error : {EIO, ENOSPC}) {
      const bool in_place = steps[i] == FileStep::kSyncFolder;
      if (in_place && error != EIO) continue;  // said by file systems that cannot sync folders
      INFO("step ", i, ": ", std::string(std::strerror(error)));
      restore();
      size_t seen = 0;
      const FaultGuard guard([&](FileStep, const std::string&) { return seen++ == i ? error : 0; });
      const std::string message = input_error(save);
      CHECK(contains(message, last + ": "));
      CHECK(contains(message, std::strerror(error)));
      CHECK(read_text(last) == (in_place ? new_last : old_last));
      CHECK(read_text(previous) == (steps[i] < FileStep::kRename ? old_previous : old_last));
      CHECK(temporary_files(run).empty());
    }
  }
  restore();
  save();
  CHECK(read_text(last) == new_last);
  CHECK(read_text(previous) == old_last);
}

// A disc that says all is well and has other bytes.
TEST_CASE("a checkpoint that reads back otherwise replaces nothing") {
  const TempFolder folder;
  TrainOptions o = tiny_run(folder / "run");
  o.max_steps = 1;
  trained(o);
  TrainOptions resume;
  resume.resume = folder / "run/last.safetensors";
  resume.quiet = true;
  resume.max_steps = 2;
  const std::string before = read_text(resume.resume);
  const auto with_damage = [&](auto damage) {
    const FaultGuard guard([&](FileStep step, const std::string& file) {
      if (step != FileStep::kProve) return 0;
      std::string bytes = read_text(file);
      damage(bytes);
      test::write_text(file, bytes);
      return 0;
    });
    return input_error([&] { trained(resume); });
  };
  for (const std::string& message : {with_damage([](std::string& b) { b.back() ^= 1; }),
                                     with_damage([](std::string& b) { b.pop_back(); }),
                                     with_damage([](std::string& b) { b[b.size() / 2] ^= 64; }),
                                     with_damage([](std::string& b) { b.clear(); })}) {
    CHECK_MESSAGE(contains(message, "run/last.safetensors: what was written is not what can be"),
                  message);
    CHECK(contains(message, "last.safetensors holds the state of epoch 1, after step 1: go on"));
    CHECK(contains(message, "(2 steps since then are lost)"));
    CHECK(read_text(resume.resume) == before);
    CHECK_FALSE(fs::exists(folder / "run/previous.safetensors"));
    CHECK(temporary_files(folder / "run").empty());
  }
  o.out = folder / "new";
  const FaultGuard guard(
      [](FileStep step, const std::string&) { return step == FileStep::kProve ? EIO : 0; });
  const std::string message = input_error([&] { trained(o); });
  CHECK_MESSAGE(contains(message, "new/last.safetensors: cannot read back"), message);
  CHECK(contains(message, "nothing was stored yet: 1 step is lost"));
}

TEST_CASE("what a new run has stored is told rightly, from its first file on") {
  const TempFolder folder;
  TrainOptions o = tiny_run(folder / "new");
  o.max_steps = 1;
  const auto with_fault = [&](FileStep wanted, const std::string& file) {
    const FaultGuard guard([&](FileStep step, const std::string& name) {
      return step == wanted && name.ends_with(file) ? EIO : 0;
    });
    return input_error([&] { trained(o); });
  };
  std::string message = with_fault(FileStep::kCreate, "config.toml");
  CHECK(contains(message, "epoch 1, after step 0: "));
  CHECK(contains(message, "new/config.toml: cannot create"));
  CHECK(contains(message, "nothing was stored yet"));
  // The last step of all: the file is there, only a power cut may undo that.
  message = with_fault(FileStep::kSyncFolder, "last.safetensors");
  CHECK(contains(message, "new/last.safetensors: is in place, but its folder"));
  CHECK(contains(message, "new/last.safetensors holds the state of epoch 1, after step 1: go on"));
  CHECK(message.find("nothing was stored") == std::string::npos);
}

// Runs from step 7 of 10 to their end, stored every step, and what they write on the way.
class Disturbed {
 public:
  Disturbed() {
    trained(tiny_run(folder_ / "whole"));
    TrainOptions part = tiny_run(folder_ / "stopped");
    part.save_every = 1;
    part.max_steps = 7;
    trained(part);
    const std::string run = copy();
    const FaultGuard guard([&](FileStep step, const std::string&) {
      if (counts(step)) ++steps_;
      return 0;
    });
    trained(resumed(run));
  }
  static Disturbed& get() {
    static Disturbed all;
    return all;
  }
  // Files have many pieces: the first one stands for all, the test above knows each.
  bool counts(FileStep step) {
    const bool first = step != FileStep::kWrite || previous_ != FileStep::kWrite;
    previous_ = step;
    return first;
  }
  std::string copy() {
    const std::string to = folder_ / ("copy" + std::to_string(copies_++));
    fs::copy(folder_ / "stopped", to, fs::copy_options::recursive);
    return to;
  }
  static TrainOptions resumed(const std::string& run) {
    TrainOptions resume;
    resume.resume = run + "/last.safetensors";
    resume.quiet = true;
    return resume;
  }
  int64_t steps() const { return steps_; }
  std::string whole() const { return folder_ / "whole"; }

 private:
  TempFolder folder_;
  int copies_ = 0;
  int64_t steps_ = 0;
  FileStep previous_ = FileStep::kCreate;
};

// A file has 5 or 8 steps: each kind is met, in several files. Under the sanitizers as many would
// be too slow.
const int64_t kStride = test::is_sanitized() ? 11 : 3;

TEST_CASE("a run whose disc fails at any step says what is left, and goes on from there") {
  Disturbed& runs = Disturbed::get();
  CHECK(runs.steps() > 60);
  int64_t errors = 0, warnings = 0;
  for (int64_t i = 0; i < runs.steps(); i += kStride) {
    const std::string run = runs.copy();
    const int error = i / kStride % 2 == 0 ? ENOSPC : EIO;
    INFO("step ", i, ": ", std::string(std::strerror(error)));
    std::ostringstream out;
    std::string message;
    {
      int64_t seen = 0;
      const FaultGuard guard([&](FileStep step, const std::string&) {
        return runs.counts(step) && seen++ == i ? error : 0;
      });
      message = input_error_if_any([&] { train(Disturbed::resumed(run), out); });
    }
    if (!message.empty()) {
      ++errors;
      CHECK_MESSAGE(message.find(run + "/") != std::string::npos, message);
      CHECK_MESSAGE(contains(message, "safetensors holds the state of "), message);
    } else if (out.str().find("WARNING: ") != std::string::npos) {
      ++warnings;
    }
    CHECK(temporary_files(run).empty());
    // Records that gave a warning alone are made anew by the command that goes on.
    if (message.empty() && first_run_difference(runs.whole(), run).empty()) continue;
    if (message.empty()) {
      CHECK(contains(out.str(), "is not written"));
      continue;
    }
    trained(Disturbed::resumed(run));
    CHECK(first_run_difference(runs.whole(), run) == "");
  }
  CHECK(errors > runs.steps() / kStride / 2);
  CHECK(warnings > runs.steps() / kStride / 8);
}

TEST_CASE("a run that is killed at any step of writing goes on, and ends in the same bits") {
  Disturbed& runs = Disturbed::get();
  for (int64_t i = 0; i < runs.steps(); i += kStride) {
    INFO("step ", i);
    const std::string run = runs.copy();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int64_t seen = 0;
      weights::set_file_fault([&](FileStep step, const std::string&) {
        if (runs.counts(step) && seen++ == i) ::kill(::getpid(), SIGKILL);
        return 0;
      });
      trained(Disturbed::resumed(run));
      ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    read_checkpoint(run + "/last.safetensors");  // never missing, never torn
    read_checkpoint(run + "/previous.safetensors");
    load_model(run + "/best.safetensors");
    // Killed at the very last step, all was written already.
    const std::string error = input_error_if_any([&] { trained(Disturbed::resumed(run)); });
    if (!error.empty()) CHECK(contains(error, "all 2 epochs are done"));
    CHECK(first_run_difference(runs.whole(), run) == "");
  }
}

}  // namespace
}  // namespace verace::apps::checkpoint_faults_test
