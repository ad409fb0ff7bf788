// The size of a tensor.
#include "weights/tensor_table.h"

namespace verace::weights {

int64_t TensorView::element_count() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

}  // namespace verace::weights
