// All choices of a training run, and the TOML file that records them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/resample.h"
#include "engine/device.h"
#include "engine/precision.h"
#include "kernels/choices.h"
#include "kernels/scalar_math.h"
#include "layers/build_options.h"
#include "layers/init.h"
#include "weights/model_description.h"

namespace verace::apps {

// Defaults are the report's: 3 epochs, batch 64, Adam 1e-4 in Keras' form.
struct TrainOptions {
  // Data.
  std::filesystem::path data;  // directory or CSV (data/dataset.h)
  bool allow_leak = false;     // accept videos or identities that stand in two splits
  bool strict = false;         // a broken picture is an error instead of being skipped
  data::Fit fit = data::Fit::kStretch;
  data::ResizeFilter resize = data::ResizeFilter::kBilinear;
  int64_t workers = 2;   // decoding threads; 0: none
  int64_t cache_mb = 0;  // keep decoded pictures if they fit into so many MB; 0: never
  bool flip = false;     // mirror half of the training pictures
  bool balanced_sampling = false;
  // Share of the real training pictures that get a pseudo-fake beside them in each epoch
  // (data/pseudo_fakes/), [0, 1]; 1: real and pseudo-fake in pairs.
  double pseudo_fakes = 0;

  // Network.
  std::filesystem::path weights;  // empty: from scratch
  bool keep_head = false;         // go on with the file's head instead of a new one
  weights::Overrides overrides;   // of the file; from scratch: the network itself
  std::optional<int64_t> input_size;
  int64_t stem_channels = 64;  // from scratch only
  int64_t head_hidden = 0;     // new head: neurons of the hidden layer; 0: none
  double head_slope = 0;       // new head: leaky ReLU slope; 0: ReLU
  layers::Initialisation initialisation = layers::Initialisation::kKeras;
  std::string freeze = "none";  // optim/freeze.h
  layers::FrozenBatchNorm frozen_bn = layers::FrozenBatchNorm::kInference;

  // Optimisation.
  int64_t epochs = 3;
  int64_t batch = 64;
  double learning_rate = 1e-4;
  kernels::AdamEpsilon adam = kernels::AdamEpsilon::kKeras;
  std::optional<double> adam_epsilon;  // empty: 1e-7 (Keras) or 1e-8 (PyTorch)
  kernels::CrossEntropyForm loss = kernels::CrossEntropyForm::kLogits;
  // none | balanced (n / (2 n_class)) | R:F (weights of real and fake)
  std::string class_weights = "none";
  // Training pictures that renew the statistics of trained batch norms before each evaluation; 0:
  // none (Keras and PyTorch do not: their moving averages need some hundred steps to follow the
  // weights).
  int64_t recalibrate = 1024;
  uint64_t seed = 1;
  // False-positive rate on val that the best model's thresholds are chosen for and stored with it
  // (threshold.h), in [0, 1); empty: none are stored.
  std::optional<double> fpr;

  // Machine and output.
  engine::DeviceChoice device;
  engine::Launch launch = engine::Launch::kGraph;
  engine::Plans plans = engine::Plans::kHeuristic;
  engine::Precision precision = engine::Precision::kFp32;
  int threads = 0;               // 0: all processors
  std::filesystem::path out;     // the run folder; empty with resume: that of the resumed run
  std::filesystem::path resume;  // a last.safetensors to go on with; empty: a new run
  std::filesystem::path trace;   // Chrome trace of a few steps; empty: none
  bool synthetic = false;        // the faces are drawn by this program; told to run.json alone
  bool print_plan = false;       // print every operation and buffer of the step
  bool quiet = false;
  int64_t max_steps = 0;  // stop (resumable) after so many steps of this process; 0: no limit
  // Store the state every so many steps of an epoch, too; 0 or empty: after each epoch.
  std::optional<int64_t> save_every;
  // With resume: end after so many epochs instead of the recorded number.
  std::optional<int64_t> resume_epochs;
  // With resume: go on there instead of on the recorded device.
  std::optional<engine::DeviceChoice> resume_device;
};

// What a resumed run goes by: `recorded` for everything that enters the numbers; from `given` out
// (if empty: the folder of given.resume), data and threads (if not empty or 0), launch, workers,
// cache, trace, print_plan, quiet, max_steps, save_every (if not empty), resume_epochs,
// resume_device.
TrainOptions resumed_options(const TrainOptions& recorded, const TrainOptions& given);

// Spellings for flags and files: "keras" | "pytorch" (Adam and initialisation), "inference" |
// "batch", "logits" | "probabilities", "bilinear" | "nearest", "stretch" | "crop"; of a device as
// engine::to_string ("auto" is read as engine::automatic_device()).
std::string to_text(kernels::AdamEpsilon value);
std::string to_text(layers::Initialisation value);
std::string to_text(layers::FrozenBatchNorm value);
std::string to_text(kernels::CrossEntropyForm value);
std::string to_text(data::ResizeFilter value);
std::string to_text(data::Fit value);
// Throw Error(kInput) "WHERE: 'TEXT' is not known: use A or B".
void parse_text(const std::string& text, const std::string& where, kernels::AdamEpsilon& out);
void parse_text(const std::string& text, const std::string& where, layers::Initialisation& out);
void parse_text(const std::string& text, const std::string& where, layers::FrozenBatchNorm& out);
void parse_text(const std::string& text, const std::string& where, kernels::CrossEntropyForm& out);
void parse_text(const std::string& text, const std::string& where, data::ResizeFilter& out);
void parse_text(const std::string& text, const std::string& where, data::Fit& out);
void parse_text(const std::string& text, const std::string& where, engine::DeviceChoice& out);
void parse_text(const std::string& text, const std::string& where, engine::Launch& out);
void parse_text(const std::string& text, const std::string& where, engine::Plans& out);
void parse_text(const std::string& text, const std::string& where, engine::Precision& out);

// The head's activation: "relu" (slope 0) or "leaky:SLOPE" with a slope in [0, 1].
std::string activation_text(double slope);
double parse_activation(const std::string& text, const std::string& where);

// Throws Error(kInput) naming the flag for a value out of range or a contradiction.
void check_options(const TrainOptions& options);

// Weights of [real, fake] for the loss; empty for "none". counts: training pictures of each class.
// Throws Error(kInput) naming --class-weights.
std::vector<float> class_weights(const std::string& text, int64_t real_count, int64_t fake_count);

// The options as TOML, one line each, keys as the flags without dashes: data, allow-leak, strict,
// fit, resize, workers, cache-mb, flip, balanced-sampling, pseudo-fakes, weights, keep-head,
// variant, pool, input-scale, bn-epsilon, force, input-size, stem-channels, head, activation, init,
// freeze, frozen-bn, epochs, batch, lr, adam, adam-epsilon, loss, class-weights, recalibrate, seed,
// fpr, device, launch, plans, precision, threads, out, resume, trace, print-plan, quiet, max-steps,
// save-every. Absent optional ones are left out.
std::string config_text(const TrainOptions& options);
// Sets what the TOML text gives, leaves the rest. Throws Error(kInput) naming `where` and the line
// for bad syntax, an unknown key or a value of a wrong type.
void read_config(const std::string& text, const std::string& where, TrainOptions& options);

}  // namespace verace::apps
