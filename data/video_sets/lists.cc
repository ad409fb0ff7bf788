// Two small parsers that know their line number.
#include "data/video_sets/lists.h"

#include <algorithm>

#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view without_mark(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// What a message shows of a line that may be anything.
std::string shown(std::string_view text) {
  constexpr size_t kMost = 60;
  return one_line(text.substr(0, kMost)) + (text.size() > kMost ? "..." : "");
}

class PairParser {
 public:
  PairParser(std::string_view text, const std::string& name)
      : text_(without_mark(text)), name_(name) {}

  std::vector<std::array<std::string, 2>> pairs() {
    std::vector<std::array<std::string, 2>> result;
    take('[');
    if (next() == ']') fail("the list is empty");
    do {
      take('[');
      std::array<std::string, 2>& pair = result.emplace_back();
      pair[0] = video();
      take(',');
      pair[1] = video();
      take(']');
    } while (take_if(','));
    take(']');
    if (next() != '\0' || at_ != text_.size()) fail("text after the end of the list");
    return result;
  }

 private:
  // The next character that is no white space; 0 at the end.
  char next() {
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') {
        ++line_;
      } else if (!is_blank(text_[at_])) {
        return text_[at_];
      }
    }
    return '\0';
  }

  bool take_if(char c) {
    if (next() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }

  void take(char c) {
    if (!take_if(c)) fail(text::format("'{}' is missing before '{}'", c, shown(rest())));
  }

  std::string video() {
    take('"');
    const size_t begin = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    std::string result(text_.substr(begin, at_ - begin));
    if (result.empty() || result.size() > 9 || at_ == text_.size() || text_[at_] != '"') {
      at_ = begin;
      fail(text::format("'{}' is not the number of a video", shown(rest())));
    }
    ++at_;
    return result;
  }

  std::string_view rest() const {
    return text_.substr(at_, std::min(text_.size(), text_.find('\n', at_)) - at_);
  }

  [[noreturn]] void fail(const std::string& what) const {
    fail_input(text::format(
        "{}:{}: {}; FaceForensics++'s splits are lists of pairs, [[\"071\", \"054\"], ...]", name_,
        line_, what));
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

}  // namespace

std::vector<TestListEntry> parse_test_list(std::string_view text, const std::string& name) {
  std::vector<TestListEntry> entries;
  text = without_mark(text);
  for (int64_t line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view written = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (written.empty()) continue;
    const std::string_view path = written.size() > 1 ? trimmed(written.substr(1)) : "";
    const size_t slash = path.find('/');
    const bool good = written.size() > 1 && (written[0] == '0' || written[0] == '1') &&
                      is_blank(written[1]) && slash != std::string_view::npos && slash > 0 &&
                      slash + 1 < path.size() && path.find('\0') == std::string_view::npos;
    if (!good) {
      fail_input(text::format(
          "{}:{}: '{}' is not '<label> <folder>/<file>' with label 1 (real) or 0 (fake), as in "
          "Celeb-DF's List_of_testing_videos.txt",
          name, line, shown(written)));
    }
    entries.push_back({line, written[0] == '1', std::string(path.substr(0, slash)),
                       std::string(path.substr(slash + 1))});
  }
  if (entries.empty()) {
    fail_input(text::format("{}: holds no videos; fetch Celeb-DF's list again", name));
  }
  return entries;
}

std::vector<std::array<std::string, 2>> parse_split_pairs(std::string_view text,
                                                          const std::string& name) {
  return PairParser(text, name).pairs();
}

}  // namespace verace::data
