// Throwing the one exception type.
#include "kernels/check.h"

namespace verace {

void fail_input(const std::string& message) { throw Error(ErrorKind::kInput, message); }

void fail_check(const char* expression, const char* file, int line, const std::string& detail) {
  std::string message =
      std::string(file) + ":" + std::to_string(line) + ": CHECK(" + expression + ") failed";
  if (!detail.empty()) message += ": " + detail;
  throw Error(ErrorKind::kInternal, message);
}

}  // namespace verace
