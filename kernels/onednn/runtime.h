// oneDNN at run time: the one engine and stream, its threads, and primitives bound to memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <unordered_map>
#include <utility>

#include "kernels/onednn/compat.h"

namespace verace::kernels::onednn {

const dnnl::engine& engine();
dnnl::stream& stream();

// While it lives, oneDNN (which follows OpenMP) uses `threads` threads. A primitive's scratch is
// laid out for the number of threads it was made with, so plans keep that number and run under it.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

// A primitive together with its memory objects, all made at plan time: at run time they are only
// pointed at the caller's data.
class Call {
 public:
  using Arguments = std::initializer_list<std::pair<int, dnnl::memory::desc>>;
  Call() = default;
  Call(const dnnl::primitive& primitive, Arguments arguments);
  // `data` may be const: oneDNN takes inputs and outputs alike as void*. Arguments that the
  // primitive does not have (an empty scratchpad) are ignored.
  void bind(int argument, const void* data);
  void execute() const;

 private:
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

// Copies between two layouts of one tensor. With user_scratch_attr() it needs scratch_bytes().
class Reorder {
 public:
  Reorder() = default;
  Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to,
          const dnnl::primitive_attr& attr = {});
  int64_t scratch_bytes() const { return scratch_bytes_; }
  void run(const float* from, float* to, std::byte* scratch = nullptr) const;

 private:
  mutable Call call_;  // its memory objects are re-pointed by each run
  int64_t scratch_bytes_ = 0;
};

// Attributes that make the library take its scratch memory from the caller.
dnnl::primitive_attr user_scratch_attr();

// Scratch pieces start on cache lines.
inline int64_t round_up_64(size_t bytes) { return (static_cast<int64_t>(bytes) + 63) / 64 * 64; }

}  // namespace verace::kernels::onednn
