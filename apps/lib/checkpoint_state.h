// What a checkpoint says besides its tensors, as text: where the run stands, and by which recipe.
//
// JSON under the metadata key "verace.checkpoint". It comes from a file that may be damaged, or
// somebody else's: every value is checked as it is read.
#pragma once

#include <string>

#include "apps/lib/checkpoint.h"

namespace verace::apps {

inline constexpr const char* kCheckpointKey = "verace.checkpoint";
// Files of the first format have no checksum.
inline constexpr int kCheckpointFormat = 2, kCheckpointFormatWithoutChecksum = 1;

// Of the current format; doubles so that reading gives the same bits. `adam`'s options, step and
// loss scale are written besides.
std::string checkpoint_text(const Checkpoint& checkpoint, const optim::Adam& adam);

struct ReadCheckpoint {
  Checkpoint checkpoint;
  int format = kCheckpointFormat;
};
// Back. Throws Error(kInput) naming `path` for another format, and for what no run writes: numbers
// out of their range, or that do not fit each other.
ReadCheckpoint read_checkpoint_text(const std::string& text, const std::string& path);

// The optimiser's step and, if it has one, its loss scale into `adam`. Throws Error(kInput) naming
// `path` for what no run writes.
void read_optimiser_text(const std::string& text, const std::string& path, optim::Adam& adam);

}  // namespace verace::apps
