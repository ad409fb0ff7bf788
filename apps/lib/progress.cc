// Drawing of progress on terminals and in logs.
#include "apps/lib/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <utility>

#include "kernels/format.h"

namespace verace::apps {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr int kLongestBar = 30, kShortestBar = 5;

int terminal_columns() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string bar_of(int64_t done, int64_t total, int width) {
  const double share = std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
  const auto full = static_cast<size_t>(std::floor(share * width));
  return "[" + std::string(full, '#') + std::string(static_cast<size_t>(width) - full, '.') + "]";
}

// `text` without control characters, at most `columns` bytes and no half UTF-8 character.
std::string clean(std::string text, int columns) {
  std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  auto size = static_cast<size_t>(std::max(columns, 0));
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  return text.substr(0, size);
}

}  // namespace

ProgressStyle default_progress(bool quiet) {
  ProgressStyle style;
  style.out = &std::cerr;
  style.columns = 0;
  if (quiet) {
    style.kind = ProgressStyle::Kind::kNone;
  } else {
    style.kind =
        isatty(STDERR_FILENO) == 1 ? ProgressStyle::Kind::kBar : ProgressStyle::Kind::kLines;
  }
  return style;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::clamp(seconds, 0.0, 1e9)));
  if (whole < 60) return text::format("{}s", whole);
  if (whole < 3600) return text::format("{}m {:02}s", whole / 60, whole % 60);
  return text::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
}

std::string progress_text(const ProgressState& s, bool bar, int columns) {
  const bool known = s.total > 0;
  std::string tail = known ? text::format("{}/{} {}", s.done, s.total, s.unit)
                           : text::format("{} {}", s.done, s.unit);
  if (s.rate > 0) {
    tail += text::format("  {:.{}f}/s", s.rate, s.rate < 100 ? 1 : 0);
    if (known && s.done < s.total) {
      tail += "  " + duration_text(static_cast<double>(s.total - s.done) / s.rate) + " left";
    }
  }
  if (!s.note.empty()) tail += "  " + s.note;
  std::string text = s.label;
  // The numbers matter more than the bar: it takes what room is left.
  const int room = columns - static_cast<int>(s.label.size() + tail.size()) - 4;
  if (bar && known && room >= kShortestBar) {
    text += " " + bar_of(s.done, s.total, std::min(room, kLongestBar));
  }
  return clean(text + " " + tail, columns);
}

Progress::Progress(ProgressStyle style, std::string label, std::string unit, int64_t total)
    : style_(style),
      label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      start_(Clock::now()),
      last_drawn_(start_) {}

void Progress::update(int64_t done, const std::string& note) {
  if (finished_ || style_.kind == ProgressStyle::Kind::kNone || style_.out == nullptr) return;
  const Clock::time_point now = Clock::now();
  if (first_ < 0) {
    // What was done before the first report (a resumed epoch's part) says nothing about the rate.
    first_ = done;
    start_ = now;
  }
  const bool lines = style_.kind == ProgressStyle::Kind::kLines;
  const double pause = std::chrono::duration<double>(now - last_drawn_).count();
  const bool first_bar = !lines && !drawn_;
  if (!first_bar && pause < (lines ? style_.line_seconds : kRedrawSeconds)) return;
  last_drawn_ = now;
  drawn_ = true;
  draw(done, std::chrono::duration<double>(now - start_).count(), note);
}

void Progress::draw(int64_t done, double seconds, const std::string& note) {
  ProgressState state{label_, unit_, note, done, total_, 0};
  if (seconds > 0) state.rate = static_cast<double>(done - first_) / seconds;
  if (style_.kind == ProgressStyle::Kind::kLines) {
    *style_.out << progress_text(state, false, 1000) << '\n' << std::flush;
    return;
  }
  // One column less than the terminal has, so that no line wraps; the old text is erased.
  const int columns = (style_.columns > 0 ? style_.columns : terminal_columns()) - 1;
  *style_.out << '\r' << progress_text(state, true, columns) << "\x1b[K" << std::flush;
}

void Progress::finish() {
  if (std::exchange(finished_, true)) return;
  if (drawn_ && style_.kind == ProgressStyle::Kind::kBar) *style_.out << "\r\x1b[K" << std::flush;
}

}  // namespace verace::apps
