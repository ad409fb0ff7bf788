// What several commands share: the model and its overrides, the device, the data, output folders.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/cli/flags.h"
#include "apps/lib/model_file.h"
#include "data/dataset.h"
#include "data/resample.h"
#include "engine/device.h"
#include "engine/precision.h"

namespace verace::cli {

// What the flags of these names may be at most.
inline constexpr int64_t kMostPictures = 65536;  // --batch
inline constexpr int64_t kMostWorkers = 256;
inline constexpr int kMostThreads = 4096;

struct DeviceFlags {
  std::optional<engine::DeviceChoice> named;  // a usable one; empty: auto
  int threads = 0;
  std::optional<engine::Launch> launch;  // CUDA only; empty: not given
  std::optional<engine::Plans> plans;
  engine::Precision precision = engine::Precision::kFp32;
};
// --precision: for commands that run a network in any.
void declare_precision(Flags& flags, engine::Precision& precision);
// --device, --threads. A device that cannot be used is refused with the flags, before any work.
void declare_device(Flags& flags, DeviceFlags& device);
// The same, and --launch and --plans: for commands that run planned steps on any device.
void declare_execution(Flags& flags, DeviceFlags& device);
// Throws Error(kInput) naming --precision where the device that a network shall run on does not
// have it: before any work.
void check_precision(const DeviceFlags& device);
// The device that a network shall run on. Says on stderr what "auto" took unless `quiet`.
engine::DeviceChoice choose_device(const DeviceFlags& device, bool quiet);
// The same, opened. What runs on its exec() needs it alive.
engine::Device open_device(const DeviceFlags& device, bool quiet);
// Moves the network to the opened device, to work there in the flags' precision; what to plan its
// steps with.
kernels::Exec place(layers::Classifier& classifier, const engine::Device& device,
                    const DeviceFlags& flags);
// For a command that looks into a step's memory while it runs: auto is the CPU, and a CUDA device
// is refused with `why`.
engine::Device open_host_device(const DeviceFlags& device, const std::string& why);

// --variant, --pool, --input-scale, --bn-epsilon, --force.
void declare_backbone_overrides(Flags& flags, weights::Overrides& overrides);
// The same, and --head-slope, --class-order.
void declare_overrides(Flags& flags, weights::Overrides& overrides);

struct ModelFlags {
  std::filesystem::path file;
  weights::Overrides overrides;
};
void declare_model(Flags& flags, ModelFlags& model);
// What an argument that model_file() takes says of itself.
std::string weight_file_help();
// A folder stands for its best.safetensors.
std::filesystem::path model_file(const std::filesystem::path& file_or_folder);
// Loads it; says on stderr what had to be assumed unless `quiet`.
apps::LoadedModel load(ModelFlags& model, bool quiet);

struct DataFlags {
  std::filesystem::path data;
  data::Split split = data::Split::kTest;
  data::Fit fit = data::Fit::kStretch;
  data::ResizeFilter filter = data::ResizeFilter::kBilinear;
  int64_t workers = 2;
  bool strict = false;
};
void declare_fit(Flags& flags, data::Fit& fit, data::ResizeFilter& filter);
// --fit, --resize, --workers, --strict.
void declare_loading(Flags& flags, DataFlags& data);
// --data, --split, and those of loading.
void declare_data(Flags& flags, DataFlags& data);
// --fpr of what chooses a threshold.
void declare_fpr(Flags& flags, std::optional<double>& rate);
std::vector<data::Sample> load_samples(const DataFlags& data);

// Throws Error(kInput) naming `flag` if the folder holds anything, unless `overwrite`. Makes
// nothing. An empty path: not wanted.
void check_output_folder(const std::filesystem::path& folder, const std::string& flag,
                         bool overwrite);
// An output that may replace what an earlier call has written, and nothing else.
struct OutputFile {
  std::string flag;
  std::filesystem::path file;  // empty: not wanted
  std::string beginning;       // of all such outputs
  std::filesystem::path data;  // the data set, whose manifest may begin alike
};
// Throws Error(kInput) naming the flag, before any work is done, if the file cannot be written or
// something of value would be lost.
void check_output_file(const OutputFile& output);
// Makes it with its parents. Throws Error(kInput) naming `flag`.
void make_folder(const std::filesystem::path& folder, const std::string& flag);

// Names skipped pictures on stderr: the first few and how many.
void report_broken(const std::vector<std::string>& messages);

}  // namespace verace::cli
