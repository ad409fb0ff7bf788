// oneDNN at run time: the one engine and stream, its threads, and primitives bound to memory.
#include "kernels/onednn/runtime.h"

#include <omp.h>

namespace verace::kernels::onednn {

const dnnl::engine& engine() {
  static const dnnl::engine the_engine(dnnl::engine::kind::cpu, 0);
  return the_engine;
}

dnnl::stream& stream() {
  static dnnl::stream the_stream(engine());
  return the_stream;
}

ThreadScope::ThreadScope(int threads) : before_(omp_get_max_threads()) {
  if (threads != before_) omp_set_num_threads(threads);
}

ThreadScope::~ThreadScope() {
  if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
}

Call::Call(const dnnl::primitive& primitive, Arguments arguments) : primitive_(primitive) {
  for (const auto& [argument, desc] : arguments) {
    if (desc.get_size() == 0) continue;
    arguments_.emplace(argument, dnnl::memory(desc, engine(), nullptr));
  }
}

void Call::bind(int argument, const void* data) {
  const auto found = arguments_.find(argument);
  if (found == arguments_.end()) return;
  // oneDNN 2 clears the padding of a blocked layout at each new address: not twice at the same one.
  if (found->second.get_data_handle() != data) {
    found->second.set_data_handle(const_cast<void*>(data));
  }
}

void Call::execute() const {
  primitive_.execute(stream(), arguments_);
  stream().wait();
}

Reorder::Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to,
                 const dnnl::primitive_attr& attr) {
  const dnnl::reorder::primitive_desc desc(engine(), from, engine(), to, attr);
  scratch_bytes_ = round_up_64(desc.scratchpad_desc().get_size());
  call_ = Call(dnnl::reorder(desc), {{DNNL_ARG_FROM, desc.src_desc()},
                                     {DNNL_ARG_TO, desc.dst_desc()},
                                     {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
}

void Reorder::run(const float* from, float* to, std::byte* scratch) const {
  call_.bind(DNNL_ARG_FROM, from);
  call_.bind(DNNL_ARG_TO, to);
  call_.bind(DNNL_ARG_SCRATCHPAD, scratch);
  call_.execute();
}

dnnl::primitive_attr user_scratch_attr() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

}  // namespace verace::kernels::onednn
