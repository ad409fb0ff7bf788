// Loading cuDNN, and its handles.
#include "kernels/cudnn/library.h"

#include <cudnn.h>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::kernels::cudnn {
namespace {

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const auto text = library().function<decltype(cudnnGetErrorString)>("cudnnGetErrorString");
  fail_input(text::format("cuDNN ({}): {} failed: {}", library().path(), what, text(status)));
}

class Handle {
 public:
  Handle() {
    check(library().function<decltype(cudnnCreate)>("cudnnCreate")(&handle_), "cudnnCreate");
  }
  ~Handle() { library().function<decltype(cudnnDestroy)>("cudnnDestroy")(handle_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  cudnnContext* get() const { return handle_; }

 private:
  cudnnHandle_t handle_ = nullptr;
};

}  // namespace

const DynamicLibrary& library() {
  static const DynamicLibrary the_library("cuDNN 9", "libcudnn.so.9", cuda_library_folders());
  return the_library;
}

cudnnContext* handle(CUstream_st* stream) {
  static const auto set_stream = library().function<decltype(cudnnSetStream)>("cudnnSetStream");
  thread_local const Handle mine;
  VERACE_CHECK(set_stream(mine.get(), stream) == CUDNN_STATUS_SUCCESS, "cudnnSetStream");
  return mine.get();
}

}  // namespace verace::kernels::cudnn
