// Throwing the one exception type.
#include "kernels/check.h"

namespace verace {

std::string one_line(std::string_view text) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      result += "\\n";
    } else if (c == '\r') {
      result += "\\r";
    } else if (c == '\t') {
      result += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      result += c;
    }
  }
  return result;
}

void fail_input(const std::string& message) { throw Error(ErrorKind::kInput, one_line(message)); }

void fail_check(const char* expression, const char* file, int line, const std::string& detail) {
  std::string message =
      std::string(file) + ":" + std::to_string(line) + ": CHECK(" + expression + ") failed";
  if (!detail.empty()) message += ": " + detail;
  throw Error(ErrorKind::kInternal, message);
}

}  // namespace verace
