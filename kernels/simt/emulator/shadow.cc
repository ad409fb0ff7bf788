// Regions of shadow cells: device allocations, the program's static data (where shared arrays are),
// dynamic shared memory.
#include "kernels/simt/emulator/shadow.h"

#include <sys/mman.h>

#include <iterator>

#include "kernels/check.h"

// The linker's: the program's writable static data.
extern "C" char __data_start, _end;

namespace verace::simt::emulator::checker {

Region::Region(const void* base, size_t size, bool shared)
    : base_(reinterpret_cast<uintptr_t>(base)), size_(size), shared_(shared) {
  if (size == 0) return;
  const size_t bytes = size * sizeof(Cell);
  void* const cells = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  VERACE_CHECK(cells != MAP_FAILED, "no address space for the access checker");
  cells_ = std::unique_ptr<Cell, Unmap>(static_cast<Cell*>(cells), Unmap{bytes});
}

void Unmap::operator()(Cell* cells) const { munmap(cells, bytes); }

void Region::forget_accesses() {
  for (size_t i = 0; i < size_; ++i) {
    Cell& cell = cells_.get()[i];
    cell.writer = cell.reader = cell.other_reader = 0;
  }
}

Shadow::Shadow()
    : static_shared_(&__data_start, static_cast<size_t>(&_end - &__data_start), true),
      dynamic_shared_(nullptr, 0, true) {}

Region* Shadow::find(uintptr_t p) {
  if (last_ != nullptr && last_->contains(p)) return last_;
  if (dynamic_shared_.contains(p)) return last_ = &dynamic_shared_;
  if (static_shared_.contains(p)) return last_ = &static_shared_;
  const auto found = global_.upper_bound(p);
  if (found != global_.end() && found->second.contains(p)) return last_ = &found->second;
  return nullptr;
}

const Region* Shadow::before(uintptr_t p) const {
  const auto next = global_.upper_bound(p);
  const Region* nearest = &dynamic_shared_;
  if (next != global_.begin()) {
    const Region& region = std::prev(next)->second;
    if (p - region.end() <= p - nearest->end()) nearest = &region;
  }
  return p - nearest->end() < 4096 ? nearest : nullptr;
}

void Shadow::add(const void* base, size_t size) {
  global_[reinterpret_cast<uintptr_t>(base) + size] = Region(base, size, false);
  last_ = nullptr;
}

void Shadow::remove(const void* base) {
  last_ = nullptr;
  const auto p = reinterpret_cast<uintptr_t>(base);
  const auto found = global_.lower_bound(p);  // an empty allocation ends where it begins
  for (auto it = found; it != global_.end(); ++it) {
    if (it->second.base() != p) continue;
    global_.erase(it);
    return;
  }
}

void Shadow::set_dynamic_shared(const void* base, size_t size) {
  if (dynamic_shared_.base() == reinterpret_cast<uintptr_t>(base) &&
      dynamic_shared_.size() == size) {
    return;
  }
  last_ = nullptr;
  dynamic_shared_ = Region(base, size, true);
}

void Shadow::forget_accesses() {
  for (auto& [end, region] : global_) region.forget_accesses();
  static_shared_.forget_accesses();
  dynamic_shared_.forget_accesses();
}

}  // namespace verace::simt::emulator::checker
