// A run's metrics as an event file for TensorBoard.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "apps/lib/run_folder.h"
#include "apps/lib/tensorboard/event.h"

namespace verace::apps::tensorboard {

// All numbers of one epoch that are defined, under the keys of metrics.jsonl in groups:
// train/{loss, accuracy, learning_rate}, {val,test}/{loss, accuracy, balanced_accuracy, auc ...},
// speed/{images_per_second, seconds, loader_wait_share}.
std::vector<Scalar> scalars_of(const EpochMetrics& epoch);

// The whole file: the version, then one event per epoch whose step is the epoch's number. Depends
// on nothing but its argument (times are the epochs' own); a longer history only adds to the end.
std::string event_file(std::span<const EpochMetrics> epochs);

// Makes the folder of the event file `path`. Throws Error(kInput) naming what is in the way: a file
// of the folder's name, or something else than a file at `path`; or if the folder cannot be made.
void make_event_folder(const std::filesystem::path& path);

// Makes `path` (and its folder) hold event_file(epochs). What is missing at the end is appended to
// the file, also where an earlier process was stopped in the middle of that; a file with any other
// content is replaced atomically. Appended, not renamed into place as our other files are: a
// running TensorBoard keeps the file open and would go on reading the old one.
// Throws Error(kInput) naming the file when the system refuses.
void write_events(const std::filesystem::path& path, std::span<const EpochMetrics> epochs);

}  // namespace verace::apps::tensorboard
