// Reading global heaps.
#include "weights/hdf5/global_heap.h"

#include "kernels/format.h"

namespace verace::weights::hdf5 {
namespace {

constexpr const char* kHeap = "a global heap";

}  // namespace

std::span<const std::byte> GlobalHeaps::object(uint64_t address, uint32_t index) {
  auto heap = heaps_.find(address);
  if (heap == heaps_.end()) heap = heaps_.emplace(address, read(address)).first;
  const auto found = heap->second.find(index);
  if (found == heap->second.end()) {
    file_->from(address, kHeap).fail(text::format("lacks its object {}", index));
  }
  return found->second;
}

GlobalHeaps::Heap GlobalHeaps::read(uint64_t address) {
  constexpr uint64_t kHead = 16;  // of a heap, and of each of its objects
  Cursor head = file_->from(address, kHeap);
  head.expect_signature("GCOL");
  head.expect_version(1);
  head.skip(3);
  Cursor cursor = file_->at(address, head.u64(), kHeap);
  cursor.skip(kHead);
  Heap heap;
  while (cursor.left() >= kHead) {
    file_->spend(1);
    const uint16_t index = cursor.u16();
    if (index == 0) break;  // the free space, always last
    cursor.skip(2 + 4);     // the number of references; reserved
    const uint64_t size = cursor.u64();
    const auto object = cursor.take(size);
    cursor.skip((8 - size % 8) % 8);
    if (!heap.emplace(index, object).second) {
      cursor.fail(text::format("holds its object {} twice", index));
    }
  }
  return heap;
}

}  // namespace verace::weights::hdf5
