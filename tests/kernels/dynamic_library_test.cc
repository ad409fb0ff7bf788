// Finding shared libraries: where they are looked for, in which order, and what is said of missing
// ones.
#include "kernels/dynamic_library.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "kernels/check.h"
#include "tests/support/files.h"

namespace verace::kernels::dynamic_library_test {
namespace {

using test::TempFolder;

// An environment variable with another value, until it goes out of scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (before_) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

std::string refusal(const std::string& file, const std::vector<std::string>& folders) {
  try {
    DynamicLibrary("Some Library 9", file, folders);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInput);
    return error.what();
  }
  return "not refused";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a library is loaded, and its functions run") {
  const DynamicLibrary library("the mathematics library", "libm.so.6", {});
  CHECK(library.handle() != nullptr);
  CHECK(holds(library.path(), "libm"));
  CHECK(library.path().starts_with("/"));
  const auto square_root = library.function<double(double)>("sqrt");
  CHECK(square_root(9.0) == 3.0);
}

TEST_CASE("a missing library: one line with its name, every place, what to do") {
  const TempFolder a, b;
  const Variable folders("VERACE_CUDA_LIBRARIES", a.path().string());
  const std::string text =
      refusal("libverace_missing.so.9", {b.path().string(), a.path().string()});
  for (const std::string& part :
       {std::string("Some Library 9"), std::string("libverace_missing.so.9"), a.path().string(),
        b.path().string(), std::string("the loader's search path"),
        std::string("set VERACE_CUDA_LIBRARIES")}) {
    CHECK_MESSAGE(holds(text, part), part, " is not in: ", text);
  }
  CHECK(text.find('\n') == std::string::npos);
  CHECK(text.find(a.path().string()) == text.rfind(a.path().string()));  // each place once
}

TEST_CASE("a file that is no library is told apart from a missing one") {
  const TempFolder folder;
  test::write_text(folder / "libverace_broken.so.9", "not a library");
  const std::string text = refusal("libverace_broken.so.9", {folder.path().string()});
  CHECK(holds(text, "does not load"));
  CHECK(holds(text, (folder / "libverace_broken.so.9").string()));
}

TEST_CASE("a function that the library lacks is named") {
  const DynamicLibrary library("the mathematics library", "libm.so.6", {});
  try {
    library.function<void()>("verace_no_such_function");
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInput);
    CHECK(holds(error.what(), "verace_no_such_function"));
    CHECK(holds(error.what(), "libm"));
  }
}

TEST_CASE("the folder that the user names comes before all others") {
  const TempFolder mine, other;
  // Two copies of one library: the path tells which was loaded.
  const DynamicLibrary original("the mathematics library", "libm.so.6", {});
  for (const TempFolder* folder : {&mine, &other}) {
    std::filesystem::copy_file(original.path(), *folder / "libverace_copy.so.6");
  }
  const Variable folders("VERACE_CUDA_LIBRARIES", mine.path().string());
  const DynamicLibrary library("a copy", "libverace_copy.so.6", {other.path().string()});
  CHECK(library.path() == (mine / "libverace_copy.so.6").string());
}

TEST_CASE("folders of CUDA's libraries: the user's, the toolkit's, NVIDIA's wheels") {
  const TempFolder root;
  const auto make = [&](const std::string& name) {
    std::filesystem::create_directories(root / name);
    return (root / name).string();
  };
  const std::string mine = make("mine"), toolkit = make("toolkit/lib64");
  const std::string packages = "env/lib/python3.11/site-packages/nvidia/";
  const std::string cudnn = make(packages + "cudnn/lib"), cu13 = make(packages + "cu13/lib");
  const Variable folders("VERACE_CUDA_LIBRARIES",
                         mine + ":" + (root / "not_there").string() + ":" + mine);
  const Variable home("CUDA_HOME", (root / "toolkit").string());
  const Variable python("VIRTUAL_ENV", (root / "env").string());
  const std::vector<std::string> found = cuda_library_folders();
  const auto place = [&](const std::string& folder) {
    return std::ranges::find(found, folder) - found.begin();
  };
  CHECK(std::ranges::count(found, mine) == 1);
  CHECK(place(mine) == 0);
  CHECK(place(toolkit) == 1);
  CHECK(place(cudnn) > 1);
  CHECK(place(cu13) > place(cudnn));
  CHECK(place(cu13) < static_cast<std::ptrdiff_t>(found.size()));
  CHECK(place((root / "not_there").string()) == static_cast<std::ptrdiff_t>(found.size()));
}

TEST_CASE("the python3 in PATH has wheels, too") {
  const TempFolder root;
  std::filesystem::create_directories(root / "bin");
  const std::string wheel = (root / "lib/python3.12/site-packages/nvidia/cudnn/lib").string();
  std::filesystem::create_directories(wheel);
  test::write_text(root / "bin/python3", "");
  const Variable path("PATH", (root / "nowhere").string() + ":" + (root / "bin").string());
  const std::vector<std::string> found = cuda_library_folders();
  CHECK(std::ranges::count(found, wheel) == 1);
}

}  // namespace
}  // namespace verace::kernels::dynamic_library_test
