// What a training run takes of memory, told before it runs, and refused if it does not fit.
#pragma once

#include <cstdint>
#include <ostream>
#include <set>
#include <string>

#include "apps/lib/trainer_setup.h"

namespace verace::apps {

// Bytes, by use.
struct MemoryPlan {
  int64_t batch = 0;       // pictures
  int64_t operations = 0;  // of the training step
  int64_t arena = 0;       // shared by training and evaluation
  int64_t parameters = 0, gradients = 0, adam = 0;
  int64_t prepared = 0;    // weights that training and evaluation plans have folded or packed
  int64_t pictures = 0;    // batches read ahead, and the cache
  int64_t saving = 0;      // copies while a checkpoint is written
  int64_t staged = 0;      // inputs on their way to a GPU, in memory of both sides
  bool on_device = false;  // all but pictures and copies lies in a GPU's memory
  int64_t network() const { return arena + parameters + gradients + adam + prepared; }
  int64_t device() const { return on_device ? network() + staged : 0; }
  int64_t host() const { return pictures + saving + staged + (on_device ? 0 : network()); }
};

// The sizes of batch that evaluation asks for, when training has batches of `batch`; not empty.
std::set<int64_t> evaluation_batches(const TrainingSetup& setup, int64_t batch);

// "plan: batch 64, ...", one line.
std::string memory_text(const MemoryPlan& plan);

// Plans the training step for the largest batch and the evaluation step, prints what they take, and
// throws Error(kInput) if that is more than `available` (of the host; 0: no limit) plus what this
// process holds already, or more than a GPU has free: how many bytes are missing, and the largest
// --batch that would fit. On a GPU the arena is taken now, so that what does not fit is told before
// anything runs.
MemoryPlan plan_memory(TrainingSetup& setup, int64_t available, std::ostream& out);

// For a run whose GPU turned out to be full while it ran: the largest batch that would fit now, or
// that none does. The run's plans are gone then.
std::string gpu_advice(TrainingSetup& setup);

}  // namespace verace::apps
