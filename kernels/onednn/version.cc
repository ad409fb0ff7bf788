// The version of the loaded library.
#include "kernels/onednn/version.h"

#include <oneapi/dnnl/dnnl.hpp>

#include "kernels/format.h"

namespace verace::kernels {

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return text::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

}  // namespace verace::kernels
