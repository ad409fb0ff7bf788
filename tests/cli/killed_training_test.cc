// `verace train` under kill -9 at random instants: always resumable, no torn file, and in the end
// the bits and records of a run that nobody disturbed.
//
// VERACE_KILLS: how many (default 10); VERACE_KILL_SEED: of the instants (default 1).
#include <poll.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <random>
#include <thread>

#include "tests/apps/run_comparison.h"
#include "tests/cli/world.h"
#include "tests/support/sanitized.h"

namespace verace::killed_training_test {
namespace {

namespace fs = std::filesystem;
using apps::first_run_difference;
using test::Words;
using test::World;
using Clock = std::chrono::steady_clock;

int64_t number_of(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoll(text);
}

// Under the sanitizers the program takes seconds to start.
int64_t kills_wanted() { return number_of("VERACE_KILLS", test::is_sanitized() ? 4 : 10); }

// 3 epochs of 6 steps on a narrow network, each step stored.
Words training(const std::string& out) {
  return World::get().train(out, {"--epochs", "3", "--batch", "4", "--save-every", "1"});
}

bool has_ended(pid_t process) {
  siginfo_t info = {};
  const int flags = WEXITED | WNOHANG | WNOWAIT;
  REQUIRE(::waitid(P_PID, static_cast<id_t>(process), &info, flags) == 0);
  return info.si_pid == process;
}

// Tells when a file is begun in a folder.
class Watch {
 public:
  explicit Watch(const std::string& folder) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    REQUIRE(::inotify_add_watch(fd_, folder.c_str(), IN_CREATE) >= 0);
  }
  ~Watch() { ::close(fd_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  // How many since the last call; waits for 2 ms at most.
  int64_t begun() const {
    pollfd waiting = {fd_, POLLIN, 0};
    if (::poll(&waiting, 1, 2) <= 0) return 0;
    alignas(inotify_event) char buffer[4096];
    const ssize_t size = ::read(fd_, buffer, sizeof buffer);
    int64_t count = 0;
    for (ssize_t at = 0; at < size; ++count) {
      at += static_cast<ssize_t>(sizeof(inotify_event)) +
            reinterpret_cast<const inotify_event*>(buffer + at)->len;
    }
    return count;
  }

 private:
  int fd_;
};

// What stands in a run's folder at any instant is whole. Returns the steps that are stored.
int64_t check_whole(const std::string& run) {
  int64_t steps = -1;
  for (const char* name : {"/previous.safetensors", "/last.safetensors"}) {
    if (fs::exists(run + name)) steps = apps::read_checkpoint(run + name).state.global_step;
  }
  CHECK((steps < 0 || fs::exists(run + "/last.safetensors")));
  if (fs::exists(run + "/best.safetensors")) apps::load_model(run + "/best.safetensors");
  if (fs::exists(run + "/metrics.jsonl")) {
    CHECK(test::read_text(run + "/metrics.jsonl").ends_with("\n"));
    apps::lines_without_times(run + "/metrics.jsonl");
  }
  for (const char* name : {"/run.json", "/evaluation.json"}) {
    if (fs::exists(run + name)) CHECK(nlohmann::json::accept(test::read_text(run + name)));
  }
  const std::string events = run + "/tensorboard/events.out.tfevents.verace";
  if (fs::exists(events)) test::read_events(test::read_text(events));
  return steps;
}

class Killer {
 public:
  Killer(int64_t kills, uint64_t seed, double seconds)
      : left_(kills), random_(seed), seconds_(seconds) {}

  int64_t left() const { return left_; }
  // Kills the process in `run` at a random instant: half of them anywhere, half of them while a
  // file is written. What it said, if it had ended before.
  std::optional<test::Finished> kill(const test::Process& process, const std::string& run,
                                     const Watch& watch) {
    if (left_ > 0 && wait_for_instant(process, watch)) process.signal(SIGKILL);
    test::Finished finished = process.wait();
    if (finished.code != 128 + SIGKILL) return finished;
    --left_;
    cut_ += apps::temporary_files(run).empty() ? 0 : 1;
    return std::nullopt;
  }
  int64_t cut() const { return cut_; }  // kills that left a file half written

 private:
  static std::chrono::microseconds seconds(double value) {
    return std::chrono::microseconds(static_cast<int64_t>(1e6 * value));
  }
  // False: the process ends before.
  bool wait_for_instant(const test::Process& process, const Watch& watch) {
    const bool writing = share() < 0.5;
    auto begun = static_cast<int64_t>(1 + 8 * share());
    const Clock::time_point end = Clock::now() + seconds(seconds_ * share());
    while (writing ? begun > 0 : Clock::now() < end) {
      if (has_ended(process.id())) return false;
      begun -= watch.begun();
    }
    // Most of the time of a file is its way to the disc; most of the instants shall be before that.
    if (writing) std::this_thread::sleep_for(seconds(0.02 * std::pow(share(), 4)));
    return true;
  }
  double share() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

  int64_t left_;
  std::mt19937_64 random_;
  double seconds_;
  int64_t cut_ = 0;
};

TEST_CASE("a killed training goes on and ends in the same bits") {
  const World& world = World::get();
  const Clock::time_point begin = Clock::now();
  const test::Finished undisturbed = world.run(training("undisturbed"));
  INFO(undisturbed.err);
  REQUIRE(undisturbed.code == 0);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const int64_t kills = kills_wanted();
  Killer killer(kills, static_cast<uint64_t>(number_of("VERACE_KILL_SEED", 1)), seconds);
  int64_t rounds = 0, anew = 0, resumed = 0;
  while (killer.left() > 0) {
    const std::string name = "killed" + std::to_string(rounds++), run = world / name;
    fs::create_directories(run);
    int64_t stored = -1;
    for (bool ended = false; !ended;) {
      Words words = training(name);
      if (stored >= 0) {
        words = {"train", "--resume", run, "--quiet"};
        ++resumed;
      } else if (!fs::is_empty(run)) {
        words.push_back("--overwrite");
        ++anew;
      }
      const Watch watch(run);
      const auto process = world.start(words);
      const std::optional<test::Finished> finished = killer.kill(*process, run, watch);
      if (!finished) {
        const int64_t steps = check_whole(run);
        CHECK(steps >= stored);
        stored = steps;
        continue;
      }
      INFO(test::command_text(words), ": ", finished->out, finished->err);
      // Where the kill came after the last file there was nothing left to do.
      const bool done = finished->err.find("all 3 epochs are done") != std::string::npos;
      REQUIRE((finished->code == 0 || done));
      if (done) CHECK(world.run({"report", run}).code == 0);
      ended = true;
    }
    CHECK(first_run_difference(world / "undisturbed", run) == "");
    CHECK(fs::exists(run + "/report.html"));
    fs::remove_all(run);
  }
  MESSAGE(kills, " kills in ", rounds, " runs of ", seconds, " s: ", resumed, " times resumed, ",
          anew, " times begun anew (nothing was stored yet), ", killer.cut(),
          " files left half written");
  CHECK(resumed > kills / 4);
  if (kills >= 100) CHECK(killer.cut() > kills / 10);
}

}  // namespace
}  // namespace verace::killed_training_test
