// The access checker's memory of memory: for every byte that kernels may touch, who touched it
// last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

namespace verace::simt::emulator::checker {

// A segment is what one thread does between two synchronisations; 0: none.
using SegmentId = uint32_t;
// The access was atomic; part of the ids in a cell.
inline constexpr SegmentId kAtomic = 0x80000000u;

struct Cell {
  SegmentId writer, reader, other_reader;
  uint32_t state;  // kUnwritten, kWritten, kForbidden; in shared memory the block that wrote it
  uint32_t writer_code, reader_code;  // where in the program
};
inline constexpr uint32_t kUnwritten = 0, kWritten = 1, kForbidden = ~0u;

struct Unmap {
  size_t bytes = 0;
  void operator()(Cell* cells) const;
};

// One cell for each byte of [base, base + size); pages of cells that are never used cost nothing.
class Region {
 public:
  Region() = default;
  Region(const void* base, size_t size, bool shared);

  bool contains(uintptr_t p) const { return p - base_ < size_; }
  Cell* cell(uintptr_t p) { return cells_.get() + (p - base_); }
  uintptr_t base() const { return base_; }
  size_t size() const { return size_; }
  uintptr_t end() const { return base_ + size_; }
  bool shared() const { return shared_; }
  void forget_accesses();

 private:
  uintptr_t base_ = 0;
  size_t size_ = 0;
  bool shared_ = false;
  std::unique_ptr<Cell, Unmap> cells_;
};

class Shadow {
 public:
  Shadow();
  // The region that p lies in, nullptr if none.
  Region* find(uintptr_t p);
  // What ends at or before p, nearest to it: a device allocation, a shared array or the dynamic
  // shared memory; nullptr if nothing is near.
  const Region* before(uintptr_t p) const;
  bool is_shared_array(const Region& region) const { return arrays_.count(region.end()) != 0; }

  void add(const void* base, size_t size);
  void remove(const void* base);
  void set_dynamic_shared(const void* base, size_t size);
  void forget_accesses();

 private:
  // By their end:
  std::map<uintptr_t, Region> global_;  // device allocations
  std::map<uintptr_t, Region> arrays_;  // in shared memory
  Region dynamic_shared_;
  Region* last_ = nullptr;
};

}  // namespace verace::simt::emulator::checker
