// Where cached files go, by the environment.
#include "kernels/cache_folder.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <optional>
#include <string>

namespace verace::test::cache_folder_test {
namespace {

using kernels::cache_folder;

// A variable of the environment, for one scope; without a value: unset.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void set(const char* value) {
    if (value == nullptr) {
      ::unsetenv(name_);
    } else {
      ::setenv(name_, value, 1);
    }
  }
  const char* name_;
  std::optional<std::string> before_;
};

std::string folder(const char* ours, const char* caches, const char* home) {
  const Variable one("VERACE_CACHE", ours), two("XDG_CACHE_HOME", caches), three("HOME", home);
  return cache_folder();
}

TEST_CASE("VERACE_CACHE comes first, then XDG_CACHE_HOME, then HOME") {
  CHECK(folder("/ours", "/caches", "/h/me") == "/ours");
  CHECK(folder("relative", "/caches", "/h/me") == "relative");
  CHECK(folder(nullptr, "/caches", "/h/me") == "/caches/verace");
  CHECK(folder(nullptr, nullptr, "/h/me") == "/h/me/.cache/verace");
}

TEST_CASE("a relative XDG_CACHE_HOME does not count, as its specification says") {
  CHECK(folder(nullptr, "caches", "/h/me") == "/h/me/.cache/verace");
  CHECK(folder(nullptr, "", "/h/me") == "/h/me/.cache/verace");
}

TEST_CASE("there may be no folder") {
  CHECK(folder("off", "/caches", "/h/me") == "");
  CHECK(folder("", "/caches", "/h/me") == "");
  CHECK(folder(nullptr, nullptr, nullptr) == "");
  CHECK(folder(nullptr, nullptr, "") == "");
}

}  // namespace
}  // namespace verace::test::cache_folder_test
