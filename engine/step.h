// The planned step: operations, the lifetime of every buffer and the peak of memory are known
// before anything runs.
//
// Layers append operations to a StepBuilder in the order of execution; each operation names the
// values that it reads and writes. plan() derives when each value lives, places all values in one
// arena (values whose lives do not overlap share bytes) and returns a Step, which runs any number
// of times without allocating. The builder also holds the tape of the backward pass: a layer that
// appends its forward operations registers what appends its backward ones, and backward() calls
// these in reverse. Whether a gradient is wanted is known then: a value `needs gradient` when a
// trainable parameter or a wanted input gradient lies behind it; for all others nothing is computed
// and nothing kept.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/memory.h"
#include "engine/tensor.h"
#include "engine/trace.h"
#include "engine/transfer.h"
#include "kernels/exec.h"

namespace verace::engine {

// A buffer of the step, by number.
struct Value {
  int32_t id = -1;
  bool operator==(const Value&) const = default;
};

// Where the values are while a step runs: in memory of its device.
class StepMemory {
 public:
  StepMemory(std::byte* base, const std::vector<int64_t>& offsets)
      : base_(base), offsets_(offsets) {}
  std::byte* base() const { return base_; }
  std::byte* bytes(Value v) const { return base_ + offsets_[static_cast<size_t>(v.id)]; }
  float* f32(Value v) const { return as<float>(v); }
  int32_t* i32(Value v) const { return reinterpret_cast<int32_t*>(bytes(v)); }
  uint8_t* u8(Value v) const { return reinterpret_cast<uint8_t*>(bytes(v)); }
  // nullptr for an absent value.
  float* f32(const std::optional<Value>& v) const { return as<float>(v); }
  // The same for a storage type; it must be the value's.
  template <typename T>
  T* as(Value v) const {
    return reinterpret_cast<T*>(bytes(v));
  }
  template <typename T>
  T* as(const std::optional<Value>& v) const {
    return v ? as<T>(*v) : nullptr;
  }

 private:
  std::byte* base_;
  const std::vector<int64_t>& offsets_;
};

// Reads only what the device has when it runs (or what never changes), unless host_dependent.
struct Operation {
  std::string name;  // "layer1.0.conv2 forward": what it belongs to, a space, what it does
  std::string kind;  // "conv forward"
  std::vector<Value> reads;
  std::vector<Value> writes;  // overwritten completely, unless also in reads
  int64_t flops = 0;
  std::function<void(const StepMemory&)> run;
  std::vector<const Tensor*> gradients = {};  // of parameters; it writes them outside the arena
  bool host_dependent = false;  // its work depends on memory of the host at the time of each run
};

namespace cuda {
class Graph;
}

// What a value means to someone who looks at it: what the network computes from its pictures, the
// loss' gradient with respect to such a value, the statistics of a batch norm, or what only one
// operation understands (scratch, weights packed for a device, winners of a pooling).
enum class ValueRole { kActivation, kGradient, kStatistic, kAuxiliary };

struct ValueInfo {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  bool input = false;    // the caller writes it before each run
  bool kept = false;     // lives during the whole step: an input, or an output that must survive
  int32_t storage = -1;  // the value whose bytes this one uses (itself unless made by in_place)
  bool needs_gradient = false;
  ValueRole role = ValueRole::kActivation;
  int32_t gradient_of = -1;  // the value of whose gradient this is a contribution, or all of it
  int64_t bytes() const { return element_count(shape) * size_of(dtype); }
};

// What a plan says of its memory, in bytes.
struct PlanSummary {
  int64_t operations = 0, values = 0;
  int64_t arena = 0;      // peak: what the arena must hold
  int64_t unshared = 0;   // what it would take if no bytes were shared
  int64_t constants = 0;  // prepared weights that the step owns
  int64_t flops = 0;      // per run
};

// Where the plan put a buffer, and when it lives: from operation `first` to `last`, both included;
// `last` is the number of operations for what must survive the step.
struct PlannedBuffer {
  std::string name;
  int64_t bytes = 0, offset = 0;
  int32_t first = 0, last = 0;
};

class Step {
 public:
  // Recomputes what depends on parameters but not on inputs (folded and packed frozen weights).
  // Must be called before the first run and after every change of a parameter that this step takes
  // as frozen.
  void prepare();
  // Runs all operations in order; on a CUDA device it enqueues them on the stream of its exec:
  // from the second run on as one captured graph (to the same bits), unless exec.graphs is off,
  // the stream is the default one, or an operation is host_dependent. With exec.checked each
  // operation is waited for. What an operation throws gets its name in front; a failure that only
  // shows while somebody waits, here or in read(), is not known to be that of one operation.
  // `trace`, if given, receives one event per operation; `observe`, if given, is called after each
  // operation with it and the memory: every value can be looked at while it lives. With either of
  // them each operation is waited for.
  using Observer = std::function<void(const Operation&, const StepMemory&)>;
  void run(Trace* trace = nullptr, const Observer& observe = {}) const;

  // Inputs before a run, outputs after it, all of a value: in the order of the runs, whatever the
  // device. `from` may be changed when write() returns; read() waits for the runs before it.
  template <typename T>
  void write(Value v, std::span<const T> from) const {
    write_bytes(v, from.data(), static_cast<int64_t>(from.size_bytes()));
  }
  template <typename T>
  void read(Value v, std::span<T> to) const {
    read_bytes(v, to.data(), static_cast<int64_t>(to.size_bytes()));
  }
  // Of any real type.
  std::vector<float> read_f32(Value v) const;

  const kernels::Exec& exec() const { return exec_; }
  // True where runs are launched as one captured graph from the second one on.
  bool can_replay() const;
  // True once they are.
  bool captured() const { return replay_->graph != nullptr; }
  // Where the values are between runs, in memory of the device. Holds until another step enlarges
  // the arena.
  StepMemory memory() const { return {arena_->base(), offsets_}; }
  const ValueInfo& info(Value v) const { return values_[static_cast<size_t>(v.id)]; }
  const PlanSummary& summary() const { return summary_; }
  const std::vector<Operation>& operations() const { return operations_; }
  // All buffers in the order of their making; values that share bytes by in_place() are one.
  std::vector<PlannedBuffer> buffers() const;
  // One line per operation and value with lifetimes and offsets, and the totals.
  std::string plan_table() const;

 private:
  friend class StepBuilder;
  // What a captured run was captured with; shared, so that a step can be moved while it has one.
  struct Replay {
    bool warm = false;                // ran once, so that everything that loads late is loaded
    const std::byte* base = nullptr;  // where the arena was
    std::shared_ptr<const cuda::Graph> graph;
  };
  void run_operation(const Operation& operation, const StepMemory& here, bool wait_for_it) const;
  void run_eagerly(const StepMemory& here) const;
  void replay(const StepMemory& here) const;
  const char* hint() const;
  void write_bytes(Value v, const void* from, int64_t bytes) const;
  void read_bytes(Value v, void* to, int64_t bytes) const;

  kernels::Exec exec_;
  std::shared_ptr<Arena> arena_;
  std::vector<Operation> preparations_, operations_;
  std::deque<ValueInfo> values_;
  std::vector<int64_t> offsets_;
  std::vector<int32_t> first_use_, last_use_;  // by storage
  std::vector<std::unique_ptr<Tensor>> constants_;
  PlanSummary summary_;
  std::shared_ptr<Replay> replay_ = std::make_shared<Replay>();
};

class StepBuilder {
 public:
  explicit StepBuilder(const kernels::Exec& exec) : exec_(exec) {}
  const kernels::Exec& exec() const { return exec_; }

  // A value that the caller writes before each run; it lives during the whole step.
  Value input(const std::string& name, DType dtype, Shape shape);
  // A value that some operation writes before any reads it.
  Value temporary(const std::string& name, DType dtype, Shape shape);
  // Untyped scratch of an operation; nullopt for 0 bytes.
  std::optional<Value> scratch(const std::string& name, int64_t bytes);
  // A new value in the bytes of `old`, same shape: for operations that work in place. `old` must
  // not be read by any operation after the one that first writes the new value (plan() checks it).
  Value in_place(Value old, const std::string& name);
  // What the value means; temporary() makes activations, scratch() auxiliary ones, and in_place()
  // leaves the role as it was.
  void set_role(Value v, ValueRole role);
  // `gradient` holds d loss / d `of`; for gradients that add_gradient() does not pass on.
  void mark_gradient(Value of, Value gradient);
  // The value stays valid after the step, until its next run.
  void keep(Value v);
  const ValueInfo& info(Value v) const { return values_[static_cast<size_t>(v.id)]; }

  // A tensor in memory of the device that the step owns: written by preparations, read by
  // operations.
  Tensor& constant(const std::string& name, Shape shape, DType dtype = DType::kF32);
  void add(Operation operation) { operations_.push_back(std::move(operation)); }
  void add_preparation(Operation operation) { preparations_.push_back(std::move(operation)); }

  // The tape.
  bool needs_gradient(Value v) const { return info(v).needs_gradient; }
  void set_needs_gradient(Value v, bool needed = true);
  // Registers what appends the backward operations of what was just appended.
  void on_backward(std::function<void()> append) { tape_.push_back(std::move(append)); }
  // One contribution to the gradient of `of`; values that fork receive several.
  void add_gradient(Value of, Value gradient);
  // The contributions so far; a layer's backward takes up to two (the operations add them while
  // loading). More are summed first.
  std::vector<Value> gradients(Value of);
  // Appends the backward operations of the whole tape, last first.
  void backward();

  // Checks that every read follows a write, places all values, reserves the arena.
  Step plan(std::shared_ptr<Arena> arena) &&;

 private:
  Value new_value(ValueInfo info);
  int32_t storage(Value v) const { return info(v).storage; }

  kernels::Exec exec_;
  std::deque<ValueInfo> values_;  // a deque: references from info() outlive further values
  std::vector<Operation> preparations_, operations_;
  std::vector<std::unique_ptr<Tensor>> constants_;
  std::vector<std::function<void()>> tape_;
  std::vector<std::vector<Value>> gradients_;
};

}  // namespace verace::engine
