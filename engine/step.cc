// Running a planned step.
#include "engine/step.h"

#include <algorithm>

#include "engine/graph_cuda.h"
#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/format.h"

namespace verace::engine {
namespace {

// What was thrown, with `where` in front of its message.
[[noreturn]] void throw_at(const std::string& where, const Error& error) {
  throw Error(error.kind(), text::format("{}: {}", where, error.what()));
}

}  // namespace

void Step::prepare() {
  // Preparations have no values: what is planned need not have its memory yet.
  const StepMemory nowhere(nullptr, offsets_);
  for (const Operation& operation : preparations_) operation.run(nowhere);
}

void Step::run(Trace* trace, const Observer& observe) const {
  const StepMemory here = memory();
  if (!trace && !observe) return can_replay() ? replay(here) : run_eagerly(here);
  wait(exec_);
  for (const Operation& operation : operations_) {
    const double start = trace ? trace->now_us() : 0;
    run_operation(operation, here, true);
    if (trace)
      trace->add({operation.name, operation.kind, start, trace->now_us() - start, operation.flops});
    if (observe) observe(operation, here);
  }
}

void Step::run_operation(const Operation& operation, const StepMemory& here,
                         bool wait_for_it) const {
  try {
    operation.run(here);
    if (wait_for_it) wait(exec_);
  } catch (const Error& error) {
    throw_at(operation.name, error);
  }
}

void Step::run_eagerly(const StepMemory& here) const {
  for (const Operation& operation : operations_) run_operation(operation, here, exec_.checked);
}

bool Step::can_replay() const {
  return memory_of(exec_) == MemoryKind::kDevice && exec_.graphs && !exec_.checked &&
         exec_.stream != nullptr && std::ranges::none_of(operations_, &Operation::host_dependent);
}

void Step::replay([[maybe_unused]] const StepMemory& here) const {
  if constexpr (kernels::have_cuda) {
    if (!replay_->warm) {
      run_eagerly(here);
      replay_->warm = true;
      return;
    }
    if (!replay_->graph || replay_->base != here.base()) {
      try {
        replay_->graph =
            std::make_shared<const cuda::Graph>(exec_.stream, [&] { run_eagerly(here); });
      } catch (const Error& error) {
        throw_at("capturing the step as a graph (--launch eager goes without)", error);
      }
      replay_->base = here.base();
    }
    try {
      replay_->graph->launch(exec_.stream);
    } catch (const Error& error) {
      throw_at(text::format("launching {} operations as one graph (--launch checked names the one "
                            "that fails)",
                            operations_.size()),
               error);
    }
  }
}

// What fails when somebody waits is an operation before.
const char* Step::hint() const {
  return exec_.checked ? "" : " (--launch checked names the operation)";
}

void Step::write_bytes(Value v, const void* from, int64_t bytes) const {
  VERACE_CHECK(bytes == info(v).bytes(), info(v).name);
  try {
    copy_from_host(exec_, memory().bytes(v), from, bytes);
    // CUDA promises to have read pageable memory only when the copy is done. What must not wait
    // comes by engine/staging.h.
    wait(exec_);
  } catch (const Error& error) {
    throw_at(text::format("writing {} before a step{}", info(v).name, hint()), error);
  }
}

void Step::read_bytes(Value v, void* to, int64_t bytes) const {
  VERACE_CHECK(bytes == info(v).bytes(), info(v).name);
  try {
    copy_to_host(exec_, to, memory().bytes(v), bytes);
    wait(exec_);
  } catch (const Error& error) {
    throw_at(text::format("reading {} after a step{}", info(v).name, hint()), error);
  }
}

std::vector<float> Step::read_f32(Value v) const {
  std::vector<std::byte> bytes(static_cast<size_t>(info(v).bytes()));
  read_bytes(v, bytes.data(), info(v).bytes());
  return to_f32(info(v).dtype, bytes.data(), element_count(info(v).shape));
}

std::vector<PlannedBuffer> Step::buffers() const {
  std::vector<PlannedBuffer> buffers;
  for (size_t i = 0; i < values_.size(); ++i) {
    if (first_use_[i] < 0) continue;  // never used, or an alias
    buffers.push_back(
        {values_[i].name, values_[i].bytes(), offsets_[i], first_use_[i], last_use_[i]});
  }
  return buffers;
}

std::string Step::plan_table() const {
  std::string text = text::format("{:<6}{:<44}{:<24}{:>10}\n", "#", "operation", "kind", "MFLOP");
  for (size_t i = 0; i < operations_.size(); ++i) {
    const Operation& operation = operations_[i];
    text += text::format("{:<6}{:<44}{:<24}{:>10.1f}\n", i, operation.name, operation.kind,
                         static_cast<double>(operation.flops) / 1e6);
  }
  text += text::format("\n{:<44}{:<20}{:>12}{:>8}{:>8}{:>14}\n", "buffer", "shape", "bytes", "from",
                       "to", "offset");
  for (size_t i = 0; i < values_.size(); ++i) {
    const ValueInfo& value = values_[i];
    const auto storage = static_cast<size_t>(value.storage);
    const bool alias = storage != i;
    text += text::format("{:<44}{:<20}{:>12}{:>8}{:>8}{:>14}\n", value.name, to_string(value.shape),
                         alias ? "in place" : std::to_string(value.bytes()), first_use_[storage],
                         last_use_[storage], offsets_[i]);
  }
  const auto mb = [](int64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  text += text::format(
      "\n{} operations, {:.2f} GFLOP; arena {:.1f} MB (unshared {:.1f} MB), prepared weights "
      "{:.1f} MB\n",
      summary_.operations, static_cast<double>(summary_.flops) / 1e9, mb(summary_.arena),
      mb(summary_.unshared), mb(summary_.constants));
  return text;
}

}  // namespace verace::engine
