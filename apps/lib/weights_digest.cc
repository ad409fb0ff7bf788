// FNV-1a over tensors in the order of their names.
#include "apps/lib/weights_digest.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/format.h"
#include "kernels/hash.h"
#include "weights/weight_file.h"

namespace verace::apps {

std::string weights_digest(const std::string& path) {
  const weights::WeightFile file(path);
  std::vector<const weights::TensorView*> tensors;
  for (const weights::TensorView& tensor : file.tensors()) tensors.push_back(&tensor);
  std::ranges::sort(tensors, {}, [](const weights::TensorView* t) { return t->name; });
  uint64_t digest = kFnv1aStart;
  std::vector<std::byte> buffer;
  for (const weights::TensorView* tensor : tensors) {
    const std::span name(tensor->name.data(), tensor->name.size() + 1);
    digest = fnv1a(std::as_bytes(name), digest);
    digest = fnv1a(weights::dense_bytes(*tensor, buffer), digest);
  }
  return text::format("{:016x}", digest);
}

}  // namespace verace::apps
