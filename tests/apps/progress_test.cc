// Texts of progress, and what is drawn when.
#include "apps/lib/progress.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

namespace verace::apps::progress_test {
namespace {

const ProgressState kHalf{"epoch 1/3", "pictures", "loss 0.3", 50, 100, 10.0};

TEST_CASE("durations") {
  CHECK(duration_text(0) == "0s");
  CHECK(duration_text(42.4) == "42s");
  CHECK(duration_text(187) == "3m 07s");
  CHECK(duration_text(7500) == "2h 05m");
  CHECK(duration_text(-1) == "0s");
}

TEST_CASE("the bar fills the room that is left, never more") {
  const std::string wide = progress_text(kHalf, true, 120);
  CHECK(wide ==
        "epoch 1/3 [###############...............] 50/100 pictures  10.0/s  5s left  loss 0.3");
  for (int columns = 0; columns < 130; ++columns) {
    CHECK(progress_text(kHalf, true, columns).size() <= static_cast<size_t>(columns));
  }
  CHECK(progress_text(kHalf, true, 55).find('[') == std::string::npos);
  CHECK(progress_text(kHalf, false, 120).find('[') == std::string::npos);
}

TEST_CASE("unknown totals and strange labels") {
  CHECK(progress_text({"a\x1b\r\n", "faces", "", 7, 0, 0}, true, 80) == "a 7 faces");
  CHECK(progress_text({"\xC3\xA8\xC3\xA8", "x", "", 1, 2, 0}, true, 3) == "\xC3\xA8");
  CHECK(progress_text({"x", "p", "", 300, 200, 1}, true, 80).find("left") == std::string::npos);
}

TEST_CASE("a quiet run draws nothing") {
  std::ostringstream out;
  Progress progress({ProgressStyle::Kind::kNone, &out, 80, 0}, "x", "p", 10);
  progress.update(5);
  progress.finish();
  CHECK(out.str().empty());
}

TEST_CASE("a terminal sees one line that is rewritten and erased") {
  std::ostringstream out;
  {
    Progress progress({ProgressStyle::Kind::kBar, &out, 60, 0}, "x", "p", 10);
    progress.update(1);
    progress.update(2);  // too soon
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
    progress.update(3);
  }
  const std::string text = out.str();
  CHECK(text.find('\n') == std::string::npos);
  CHECK(text.find("1/10") != std::string::npos);
  CHECK(text.find("2/10") == std::string::npos);
  CHECK(text.find("3/10") != std::string::npos);
  CHECK(text.ends_with("\r\x1b[K"));
}

TEST_CASE("elsewhere there are plain lines, not too many") {
  std::ostringstream out;
  {
    Progress progress({ProgressStyle::Kind::kLines, &out, 60, 0.05}, "x", "p", 10);
    for (int i = 0; i < 4; ++i) {
      progress.update(i);
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
    }
  }
  const std::string text = out.str();
  CHECK(text.find('\r') == std::string::npos);
  const auto lines = std::count(text.begin(), text.end(), '\n');
  CHECK(lines >= 1);
  CHECK(lines <= 2);
}

}  // namespace
}  // namespace verace::apps::progress_test
