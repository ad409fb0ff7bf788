// A small RFC 4180 reader that knows its line number.
#include "data/csv.h"

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

class Parser {
 public:
  Parser(std::string_view text, const std::string& name) : text_(text), name_(name) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  std::vector<CsvRecord> records() {
    std::vector<CsvRecord> result;
    while (at_ < text_.size()) {
      if (take_line_end()) continue;
      result.push_back(record());
      const size_t expected = result.front().fields.size();
      const CsvRecord& last = result.back();
      if (last.fields.size() != expected) {
        fail(last.line,
             text::format("{} fields where the header has {}; quote fields that hold commas",
                          last.fields.size(), expected));
      }
    }
    return result;
  }

 private:
  CsvRecord record() {
    CsvRecord result;
    result.line = line_;
    while (true) {
      const bool is_quoted = at_ < text_.size() && text_[at_] == '"';
      result.fields.push_back(is_quoted ? quoted() : plain());
      if (at_ == text_.size() || take_line_end()) return result;
      ++at_;  // the comma
    }
  }

  // Ends before a comma, a line end or the end of the text.
  std::string plain() {
    const size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && !at_line_end()) {
      if (text_[at_] == '"') {
        fail(line_, "a quote inside of a field; quote the whole field and double the quote");
      }
      if (text_[at_] == '\0') fail(line_, "a zero byte; this is not a text file");
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted() {
    const int64_t first_line = line_;
    std::string result;
    ++at_;
    while (true) {
      if (at_ == text_.size()) fail(first_line, "a quoted field is not closed");
      const char c = text_[at_++];
      if (c == '\n') ++line_;
      if (c != '"') {
        result += c;
      } else if (at_ < text_.size() && text_[at_] == '"') {
        result += '"';
        ++at_;
      } else {
        break;
      }
    }
    if (at_ < text_.size() && text_[at_] != ',' && !at_line_end()) {
      fail(line_, "text after a closing quote; double the quotes inside of a quoted field");
    }
    return result;
  }

  bool at_line_end() const {
    return text_[at_] == '\n' || (text_[at_] == '\r' && text_.substr(at_ + 1).starts_with('\n'));
  }

  bool take_line_end() {
    if (!at_line_end()) return false;
    at_ += text_[at_] == '\r' ? 2 : 1;
    ++line_;
    return true;
  }

  [[noreturn]] void fail(int64_t line, const std::string& what) const {
    fail_input(text::format("{}:{}: {}", name_, line, what));
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

}  // namespace

std::vector<CsvRecord> parse_csv(std::string_view text, const std::string& name) {
  return Parser(text, name).records();
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"') result += '"';
    result += c;
  }
  return result + '"';
}

}  // namespace verace::data
