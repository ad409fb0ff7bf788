// Regions of shadow cells: device allocations, shared arrays (static data of the program), dynamic
// shared memory.
#include "kernels/simt/emulator/shadow.h"

#include <sys/mman.h>

#include <iterator>

#include "kernels/check.h"
#include "kernels/simt/emulator/symbols.h"

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

Shadow::Shadow() : dynamic_shared_(nullptr, 0, true) {
  for (const StaticObject& array : Symbols::get().shared_arrays()) {
    arrays_[array.address + array.size] =
        Region(reinterpret_cast<const void*>(array.address), array.size, true);
  }
}

namespace {

constexpr uintptr_t kGap = 64;  // between shared arrays, at least

// In a map by the regions' ends: the one that p lies in, the last that ends at or before p.
Region* region_of(std::map<uintptr_t, Region>& regions, uintptr_t p) {
  const auto found = regions.upper_bound(p);
  return found != regions.end() && found->second.contains(p) ? &found->second : nullptr;
}
const Region* region_before(const std::map<uintptr_t, Region>& regions, uintptr_t p) {
  const auto next = regions.upper_bound(p);
  return next == regions.begin() ? nullptr : &std::prev(next)->second;
}

}  // namespace

Region* Shadow::find(uintptr_t p) {
  if (last_ != nullptr && last_->contains(p)) return last_;
  if (dynamic_shared_.contains(p)) return last_ = &dynamic_shared_;
  for (auto* const regions : {&global_, &arrays_}) {
    if (Region* const region = region_of(*regions, p)) return last_ = region;
  }
  return nullptr;
}

const Region* Shadow::before(uintptr_t p) const {
  const Region* const array = region_before(arrays_, p);
  if (array != nullptr && p - array->end() < kGap) return array;
  const Region* nearest = region_before(global_, p);
  if (nearest == nullptr || p - dynamic_shared_.end() < p - nearest->end()) {
    nearest = &dynamic_shared_;
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
  for (auto& [end, region] : arrays_) region.forget_accesses();
  dynamic_shared_.forget_accesses();
}

}  // namespace verace::simt::emulator::checker
