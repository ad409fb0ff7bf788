// FNV-1a over tensors in the order of their names.
#include "apps/lib/weights_digest.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/format.h"
#include "weights/weight_file.h"

namespace verace::apps {
namespace {

// http://www.isthe.com/chongo/tech/comp/fnv/
constexpr uint64_t kStart = 0xCBF29CE484222325u, kPrime = 0x100000001B3u;

uint64_t add(uint64_t digest, std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) digest = (digest ^ static_cast<uint64_t>(byte)) * kPrime;
  return digest;
}

}  // namespace

std::string weights_digest(const std::string& path) {
  const weights::WeightFile file(path);
  std::vector<const weights::TensorView*> tensors;
  for (const weights::TensorView& tensor : file.tensors()) tensors.push_back(&tensor);
  std::ranges::sort(tensors, {}, [](const weights::TensorView* t) { return t->name; });
  uint64_t digest = kStart;
  std::vector<std::byte> buffer;
  for (const weights::TensorView* tensor : tensors) {
    digest = add(digest, std::as_bytes(std::span(tensor->name.data(), tensor->name.size() + 1)));
    digest = add(digest, weights::dense_bytes(*tensor, buffer));
  }
  return text::format("{:016x}", digest);
}

}  // namespace verace::apps
