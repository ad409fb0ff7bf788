// Shared libraries that are found and loaded while the program runs: one binary starts without
// them.
//
// The CUDA libraries (cuDNN, cuBLASLt: hundreds of megabytes) are wanted only where there is a GPU,
// so no program of ours is linked with them.
#pragma once

#include <string>
#include <vector>

namespace verace::kernels {

// Folders where CUDA's libraries lie beside the loader's own search path, best first, existing ones
// only: those of VERACE_CUDA_LIBRARIES (a list separated by colons), CUDA_HOME and CUDA_PATH, the
// toolkit's usual place, and NVIDIA's wheels in Python's site-packages (of VIRTUAL_ENV,
// CONDA_PREFIX, the python3 in PATH, the user, the system).
std::vector<std::string> cuda_library_folders();

class DynamicLibrary {
 public:
  DynamicLibrary() = default;
  // Loads `file` ("libcudnn.so.9") from the folders of VERACE_CUDA_LIBRARIES if set, else from the
  // loader's search path, else from one of `folders`. It stays loaded until the program ends.
  // Throws Error(kInput) in one line: `name` ("cuDNN 9"), where it was looked for, what to do.
  DynamicLibrary(const std::string& name, const std::string& file,
                 const std::vector<std::string>& folders);

  void* handle() const { return handle_; }
  const std::string& path() const { return path_; }  // of the loaded file

  // The address of a function. Throws Error(kInput) where the library has none of that name (it is
  // another version).
  template <typename Function>
  Function* function(const char* symbol) const {
    return reinterpret_cast<Function*>(address(symbol));
  }

 private:
  void* address(const char* symbol) const;

  std::string name_, path_;
  void* handle_ = nullptr;
};

}  // namespace verace::kernels
