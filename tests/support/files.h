// Files in tests: a folder that vanishes, whole files as text, and errors that must name them.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/check.h"

namespace verace::test {

// An empty folder of its own below the system's temporary one; removed with all it holds.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "verace-test-XXXXXX").string();
    VERACE_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      out.push_back(entry.path().filename().string());
    }
    return out;
  }

 private:
  std::filesystem::path path_;
};

inline std::string read_text(const std::filesystem::path& path) {
  // In blocks: letter by letter takes a third of some tests' time.
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return std::move(text).str();
}

// Makes the folders of `path` too.
inline void write_text(const std::filesystem::path& path, std::string_view text) {
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  VERACE_CHECK(file.good());
}

// Runs `action`; the message of its Error(kInput), which must be one line; "" if it throws nothing.
template <typename Action>
std::string input_error_if_any(Action action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK_MESSAGE(error.kind() == ErrorKind::kInput, message);
    CHECK_MESSAGE(message.find('\n') == std::string::npos, message);
    CHECK_FALSE(message.empty());
    return message;
  }
  return {};
}

// The same of an action that must throw.
template <typename Action>
std::string input_error(Action action) {
  const std::string message = input_error_if_any(action);
  CHECK_MESSAGE(!message.empty(), "no error was thrown");
  return message;
}

inline bool contains(std::string_view text, std::string_view part) {
  const bool found = text.find(part) != std::string_view::npos;
  if (!found) MESSAGE("'", std::string(text), "' does not contain '", std::string(part), "'");
  return found;
}

}  // namespace verace::test
