// Fences as snapshots of what a thread is ordered after; knowledge as a count for each atomic
// variable.
#include "kernels/simt/emulator/fences.h"

#include <algorithm>
#include <utility>

namespace verace::simt::emulator::checker {
namespace {

void merge(Known& to, const Known& from) {
  if (to.size() < from.size()) to.resize(from.size(), 0);
  for (size_t i = 0; i < from.size(); ++i) to[i] = std::max(to[i], from[i]);
}

}  // namespace

bool Fence::covers(SegmentId id, const Segment& segment) const {
  if (segment.block != block) return false;
  if (segment.epoch < epoch) return true;
  if (segment.thread == thread) return id < next;
  return segment.thread / 32 == thread / 32 && seen[segment.thread % 32] >= segment.clock;
}

void Fences::begin_launch() {
  index_.clear();
  variables_.clear();
  begin_block();
}

void Fences::begin_block() {
  fences_.clear();
  own_.clear();
  block_.clear();
}

Known Fences::known_to(uint32_t thread) const {
  Known known = block_;
  if (const auto own = own_.find(thread); own != own_.end()) merge(known, own->second);
  return known;
}

void Fences::fence(Fence fence) {
  fence.known = known_to(fence.thread);
  fences_[fence.thread] = std::move(fence);
}

void Fences::atomic(uint32_t thread, uintptr_t variable) {
  const auto [found, is_new] = index_.try_emplace(variable, variables_.size());
  const size_t index = found->second;
  if (is_new) variables_.emplace_back();
  Variable& here = variables_[index];
  if (here.publications > 0) {
    Known& own = own_[thread];
    merge(own, here.known);
    if (own.size() <= index) own.resize(index + 1, 0);
    own[index] = here.publications;
  }
  const auto last = fences_.find(thread);
  if (last == fences_.end()) return;
  merge(here.known, last->second.known);
  here.by_block[last->second.block].push_back({here.publications++, last->second});
}

void Fences::barrier() {
  for (const auto& [thread, known] : own_) merge(block_, known);
  own_.clear();
}

void Fences::sync_warp(unsigned warp, uint32_t mask) {
  Known all;
  for (uint32_t l = 0; l < 32; ++l) {
    const auto own = own_.find(warp * 32 + l);
    if ((mask >> l & 1) != 0 && own != own_.end()) merge(all, own->second);
  }
  if (all.empty()) return;
  for (uint32_t l = 0; l < 32; ++l) {
    if ((mask >> l & 1) != 0) own_[warp * 32 + l] = all;
  }
}

bool Fences::is_known(uint32_t thread, SegmentId id, const Segment& segment) const {
  if (variables_.empty()) return false;
  const Known known = known_to(thread);
  for (size_t i = 0; i < known.size(); ++i) {
    const auto from = variables_[i].by_block.find(segment.block);
    if (from == variables_[i].by_block.end()) continue;
    for (const Publication& publication : from->second) {
      if (publication.number >= known[i]) break;
      if (publication.fence.covers(id, segment)) return true;
    }
  }
  return false;
}

}  // namespace verace::simt::emulator::checker
