// Progress of long work for people: a bar on a terminal, a line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

namespace verace::apps {

// How progress is shown.
struct ProgressStyle {
  enum class Kind { kNone, kLines, kBar };
  Kind kind = Kind::kNone;
  std::ostream* out = nullptr;
  int columns = 80;            // of the terminal, for kBar; 0: ask it each time
  double line_seconds = 10.0;  // at most one line in this time
};
// kNone if quiet, kBar if stderr is a terminal, else kLines; on std::cerr.
ProgressStyle default_progress(bool quiet);

// "epoch 1 [#####.....] 320/1803  12.4 pictures/s  2m 03s left  loss 0.31". Not thread-safe.
class Progress {
 public:
  // `total` units of work (0: unknown) called `unit` ("pictures"); `label` stands in front.
  Progress(ProgressStyle style, std::string label, std::string unit, int64_t total);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` units so far; `note` is shown at the end. Draws at most ten times a second.
  void update(int64_t done, const std::string& note = "");
  // Clears the bar, so that following output starts on a clean line. Further updates do nothing.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void draw(int64_t done, double seconds, const std::string& note);

  ProgressStyle style_;
  std::string label_, unit_;
  int64_t total_;
  int64_t first_ = -1;  // units done at the first update: the rate counts from there
  Clock::time_point start_, last_drawn_;
  bool drawn_ = false, finished_ = false;
};

// "42s", "3m 07s", "2h 05m".
std::string duration_text(double seconds);

// The text of one update without control characters, at most `columns` wide; `bar`: with the bar,
// else as a line. For tests.
struct ProgressState {
  std::string label, unit, note;
  int64_t done = 0, total = 0;
  double rate = 0;  // units per second
};
std::string progress_text(const ProgressState& state, bool bar, int columns);

}  // namespace verace::apps
