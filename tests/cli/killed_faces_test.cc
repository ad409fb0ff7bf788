// `verace faces` under kill -9 at random instants: no half record, and in the end the bytes of a
// run that nobody disturbed.
//
// VERACE_KILLS: how many (default 10); VERACE_KILL_SEED: of the instants (default 1).
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <map>
#include <thread>

#include "apps/lib/faces/record.h"
#include "tests/cli/faces_support.h"
#include "tests/support/sanitized.h"

namespace verace::killed_faces_test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using test::FacesProgram;
using test::Finished;
using test::read_text;

int64_t number_of(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoll(text);
}

int64_t kills_wanted() { return number_of("VERACE_KILLS", test::is_sanitized() ? 4 : 10); }

std::map<std::string, std::string> contents(const fs::path& root) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string name = entry.path().lexically_relative(root).generic_string();
    files[name] = entry.is_regular_file() ? read_text(entry.path()) : "folder";
  }
  return files;
}

// What stands there at any instant: whole records whose crops are there, and the outputs of the
// end, if any, as they shall be. Returns the number of records.
int64_t check_whole(const fs::path& out, const std::map<std::string, std::string>& expected) {
  if (!fs::exists(out)) return 0;
  int64_t records = 0;
  for (const auto& [name, bytes] : contents(out)) {
    const bool is_temporary = name.find(".verace-tmp-") != std::string::npos;
    if (is_temporary || bytes == "folder") continue;
    CAPTURE(name);
    REQUIRE(expected.contains(name));
    CHECK(bytes == expected.at(name));
    if (!name.starts_with("videos/")) continue;
    ++records;
    const std::string folder = "faces/" + name.substr(7, name.size() - 7 - 5) + "/";
    for (const apps::FaceEntry& face : apps::record_from(bytes, name).faces) {
      CHECK(fs::exists(out / (folder + face.file)));
    }
  }
  return records;
}

// Half of the kills come anywhere, half of them after so many videos, at an instant of the next.
void wait_for_instant(const test::Process& process, const fs::path& out, double seconds,
                      const std::function<double()>& share) {
  if (share() < 0.5) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds * share()));
    return;
  }
  const auto wanted = static_cast<int64_t>(1 + 14 * share());
  const auto finished = [&out] {
    int64_t records = 0;
    for (const char* label : {"real", "fake"}) {
      std::error_code none;
      for (fs::directory_iterator it(out / "videos" / label, none), end; !none && it != end;
           it.increment(none)) {
        records += it->path().extension() == ".json" ? 1 : 0;
      }
    }
    return records;
  };
  siginfo_t info = {};
  while (finished() < wanted) {
    REQUIRE(::waitid(P_PID, static_cast<id_t>(process.id()), &info, WEXITED | WNOHANG | WNOWAIT) ==
            0);
    if (info.si_pid == process.id()) return;  // it has ended before
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(0.02 * share()));
}

TEST_CASE("killed at random instants, the work goes on and ends with the same bytes") {
  const FacesProgram program;
  test::write_coarse_set(program.path() / "set", 8, 8);
  test::write_text(program.path() / "set/fake/broken.mp4", "no video");
  const std::vector<std::string> flags = {
      "--faces-per-video", "real=6,fake=4", "--all-faces", "--splits", "video", "--workers", "2"};
  const Clock::time_point begin = Clock::now();
  const Finished undisturbed = program.run({"set"}, "undisturbed", flags);
  INFO(undisturbed.err);
  REQUIRE(undisturbed.code == 0);
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const auto expected = contents(program / "undisturbed");
  std::mt19937_64 random(static_cast<uint64_t>(number_of("VERACE_KILL_SEED", 1)));
  const auto share = [&random] { return static_cast<double>(random() >> 11) * 0x1p-53; };
  int64_t left = kills_wanted(), rounds = 0, in_work = 0, cut = 0;
  const int64_t kills = left;
  while (left > 0) {
    const std::string out = "killed" + std::to_string(rounds++);
    for (bool ended = false; !ended;) {
      const auto process = program.start(program.words({"set"}, out, flags));
      if (left > 0) {
        wait_for_instant(*process, program / out, seconds, share);
        process->signal(SIGKILL);
      }
      const Finished finished = process->wait();
      ended = finished.code != 128 + SIGKILL;
      if (ended) {
        INFO(finished.err);
        REQUIRE(finished.code == 0);
        continue;
      }
      --left;
      const int64_t records = check_whole(program / out, expected);
      in_work += records > 0 && records < 16 ? 1 : 0;
      for (const auto& [name, bytes] : fs::exists(program / out)
                                           ? contents(program / out)
                                           : std::map<std::string, std::string>{}) {
        if (name.find(".verace-tmp-") == std::string::npos) continue;
        ++cut;
        break;
      }
    }
    const auto there = contents(program / out);
    CHECK(there.size() == expected.size());
    check_whole(program / out, expected);
  }
  MESSAGE(kills, " kills in ", rounds, " runs of ", seconds, " s: ", in_work, " amid the videos, ",
          cut, " with a file half written");
  if (kills >= 10) CHECK(in_work >= kills / 10);
}

}  // namespace
}  // namespace verace::killed_faces_test
