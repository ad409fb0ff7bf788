// Finding and loading shared libraries.
#include "kernels/dynamic_library.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <sstream>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::kernels {
namespace {

namespace fs = std::filesystem;
constexpr const char* kFoldersVariable = "VERACE_CUDA_LIBRARIES";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ':');) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

void add_folder(std::vector<std::string>& folders, const fs::path& folder) {
  std::error_code error;  // whatever is wrong with a folder: nothing can be loaded from it
  if (!fs::is_directory(folder, error)) return;
  const std::string name = folder.lexically_normal().string();
  if (std::ranges::find(folders, name) == folders.end()) folders.push_back(name);
}

// The library folders of NVIDIA's wheels under PREFIX/lib/python3*/{site,dist}-packages.
void add_wheels(std::vector<std::string>& folders, const fs::path& prefix) {
  std::error_code error;
  std::vector<fs::path> pythons;
  for (const fs::directory_entry& entry : fs::directory_iterator(prefix / "lib", error)) {
    if (entry.path().filename().string().starts_with("python3")) pythons.push_back(entry.path());
  }
  std::ranges::sort(pythons, std::greater<>());
  for (const fs::path& python : pythons) {
    for (const char* packages : {"site-packages", "dist-packages"}) {
      for (const char* wheel : {"cudnn", "cu13", "cublas", "cuda_nvrtc", "cuda_runtime"}) {
        add_folder(folders, python / packages / "nvidia" / wheel / "lib");
      }
    }
  }
}

// The prefix of the python3 that a shell would run: two folders above it.
std::optional<fs::path> python_prefix() {
  std::error_code error;
  for (const std::string& folder : split(environment("PATH"))) {
    const fs::path python = fs::path(folder) / "python3";
    if (fs::exists(python, error)) return python.parent_path().parent_path();
  }
  return std::nullopt;
}

std::string loader_error() {
  const char* text = dlerror();
  return text == nullptr ? "unknown error" : text;
}

std::string path_of(void* handle, const std::string& otherwise) {
  const link_map* map = nullptr;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || map == nullptr || map->l_name == nullptr) {
    return otherwise;
  }
  return map->l_name;
}

std::string list_of(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

}  // namespace

std::vector<std::string> cuda_library_folders() {
  std::vector<std::string> folders;
  for (const std::string& folder : split(environment(kFoldersVariable))) {
    add_folder(folders, folder);
  }
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    const std::string home = environment(variable);
    if (!home.empty()) add_folder(folders, fs::path(home) / "lib64");
  }
  add_folder(folders, "/usr/local/cuda/lib64");
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    const std::string prefix = environment(variable);
    if (!prefix.empty()) add_wheels(folders, prefix);
  }
  if (const std::optional<fs::path> prefix = python_prefix()) add_wheels(folders, *prefix);
  const std::string home = environment("HOME");
  if (!home.empty()) add_wheels(folders, fs::path(home) / ".local");
  add_wheels(folders, "/usr/local");
  add_wheels(folders, "/usr");
  return folders;
}

DynamicLibrary::DynamicLibrary(const std::string& name, const std::string& file,
                               const std::vector<std::string>& folders)
    : name_(name) {
  std::vector<std::string> looked_in, broken;
  // Global: cuDNN's parts and cuBLASLt then find what is loaded already by its name.
  const auto load_from = [&](const std::string& folder) {
    const std::string path = (fs::path(folder) / file).string();
    looked_in.push_back(folder);
    std::error_code error;
    if (!fs::exists(path, error)) return;
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle_ == nullptr) broken.push_back(loader_error());
  };
  for (const std::string& folder : split(environment(kFoldersVariable))) {
    if (handle_ == nullptr) load_from(folder);
  }
  if (handle_ == nullptr) {
    handle_ = dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL);
    looked_in.push_back("the loader's search path");
  }
  for (const std::string& folder : folders) {
    if (handle_ == nullptr && std::ranges::find(looked_in, folder) == looked_in.end()) {
      load_from(folder);
    }
  }
  if (handle_ != nullptr) {
    path_ = path_of(handle_, file);
    return;
  }
  if (!broken.empty()) {
    fail_input(
        text::format("{} ({}) was found but does not load: {}", name, file, list_of(broken)));
  }
  fail_input(
      text::format("{} ({}) was not found: looked in {}; install it, or set {} to its folder", name,
                   file, list_of(looked_in), kFoldersVariable));
}

void* DynamicLibrary::address(const char* symbol) const {
  VERACE_CHECK(handle_ != nullptr, name_);
  void* found = dlsym(handle_, symbol);
  if (found == nullptr) {
    fail_input(
        text::format("{} has no function {}: it is another version of {} than this program "
                     "was made for",
                     path_, symbol, name_));
  }
  return found;
}

}  // namespace verace::kernels
