// The one exception type and the two ways to throw it: CHECK (a broken promise of our own) and
// fail_input (something the user gave us is wrong).
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace verace {

// kInput: a file, flag or value from outside is bad; the message is one line that names it and says
// what to do; commands end with exit code 2. kInternal: a promise inside the program is broken;
// exit code 1. kDevice: a device failed or is lost, which neither input nor program can help; the
// message says what to do; exit code 1.
enum class ErrorKind { kInput, kInternal, kDevice };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// `text` with control characters written as \n, \t, \x01 ..., so that names from outside (which may
// hold any byte) can neither break a line of output nor command the terminal. Bytes from 0x80 up
// (UTF-8) pass unchanged, and so does the result of an earlier call.
std::string one_line(std::string_view text);

// Throws Error(kInput). `message` names the file or flag and says what to do; one_line() is applied
// to it.
[[noreturn]] void fail_input(const std::string& message);

// Throws Error(kInternal) with the expression and its place.
[[noreturn]] void fail_check(const char* expression, const char* file, int line,
                             const std::string& detail);

}  // namespace verace

// Always on. The optional second argument is a std::string with details, evaluated only on failure.
#define VERACE_CHECK(condition, ...)                                                    \
  do {                                                                                  \
    if (!(condition)) [[unlikely]] {                                                    \
      ::verace::fail_check(#condition, __FILE__, __LINE__, ::std::string{__VA_ARGS__}); \
    }                                                                                   \
  } while (false)
