// Classifiers from and to weight files: any published ResNet-50, or one of our own with its head.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/lib/crop_record.h"
#include "apps/lib/threshold.h"
#include "layers/classifier.h"
#include "layers/init.h"
#include "weights/model_description.h"
#include "weights/safetensors.h"
#include "weights/weight_file.h"

namespace verace::apps {

// A network with its weights, and what its file says about it (description.findings: what was read,
// what was assumed; people should see the assumptions).
struct LoadedModel {
  std::unique_ptr<layers::Classifier> classifier;
  weights::ModelDescription description;
  std::optional<ChosenThresholds> thresholds = {};  // load_model's: what the file holds
  std::optional<Calibration> calibration = {};      // the same
  std::optional<CropRecord> crop =
      {};  // of the faces it was trained on: load_model's, or training's
};

// The head that replaces a file's own, and how it starts.
struct HeadOptions {
  int64_t hidden = 0;  // neurons of the hidden dense layer; 0: none
  double slope = 0.0;  // of its leaky ReLU; 0: ReLU
  int64_t classes = 2;
  std::vector<std::string> class_names = {"real", "fake"};  // empty, or one per class
  layers::Initialisation initialisation = layers::Initialisation::kKeras;
  uint64_t seed = 1;
  std::optional<int64_t> input_size;  // height and width of pictures; empty: the file's
};

// The network exactly as the file describes it, with its weights: F16 and BF16 become fp32, filters
// [o, i, h, w] become [k, r, s, c]. Biases of convolutions (Keras has them) are folded into the
// batch norm behind: running_mean -= bias, the same function in every batch-norm mode. Throws
// Error(kInput) naming the file for what weights::describe and check_against refuse, and for a file
// without a head.
LoadedModel load_model(const std::string& path, const weights::Overrides& overrides = {});

// The file's backbone with a new, initialised head; the file's own head is ignored.
// description is of the whole new network; overrides of the head are ignored.
LoadedModel load_backbone(const std::string& path, const weights::Overrides& overrides,
                          const HeadOptions& head);

// From scratch: all layers initialised.
LoadedModel make_model(const layers::ClassifierOptions& options, layers::Initialisation how,
                       uint64_t seed);

// What a weight file must say for the network to be built again (findings empty).
weights::ModelDescription describe_network(const layers::ClassifierOptions& options);
layers::ClassifierOptions network_of(const weights::ModelDescription& description);

// Writes safetensors, fp32, torchvision's tensor names and order of dimensions, with the "verace."
// metadata that load_model understands: load_model(save_model(x)) is x in every bit. Atomic: the
// old file stays until the new one is complete. Thresholds belong to these weights and no others:
// they are not taken over from the file that training began with. Throws Error(kInput) when the
// system refuses.
void save_model(const std::string& path, const layers::Classifier& classifier,
                const std::optional<ChosenThresholds>& thresholds = {},
                const std::optional<CropRecord>& crop = {});

// Tells a file from another one that a training puts in its place: inode and time of the last
// change in nanoseconds (two files within one tick of the clock have the same time). All 0 where
// there is no such file.
struct FileVersion {
  uint64_t inode = 0;
  int64_t changed = 0;
  bool operator==(const FileVersion&) const = default;
};
FileVersion file_version(const std::string& path);

// What verdicts go by, as model files hold it: thresholds are of probabilities with just this
// calibration.
struct VerdictMetadata {
  std::optional<ChosenThresholds> thresholds;
  std::optional<Calibration> calibration;
};

// Copies a safetensors file (checkpoints too) with these thresholds and this calibration in its
// metadata (and no others) and all else as it is; `target` may be `path`. Atomic. Throws as
// save_model, and Error(kInput) if the file is not the one that they were chosen with any more, or
// as check_keeps_thresholds: for any other format.
void check_keeps_thresholds(const std::string& path);
void store_thresholds(const std::string& path, const std::string& target,
                      const VerdictMetadata& stored, const FileVersion& chosen_with);

// The classes' indices in the network's outputs, by its class names: "real" and "fake" in any
// order; without names 0 and 1. Throws Error(kInput) naming `path` for a network of other classes.
struct ClassIndices {
  int32_t real = 0, fake = 1;
};
ClassIndices class_indices(const layers::ClassifierOptions& options, const std::string& path);

// For checkpoints. A network as file content; `tensors` borrows from the classifier and from
// `owned` (buffers of what had to be reordered), which must not change until it is written.
struct StoredNetwork {
  std::vector<weights::TensorToWrite> tensors;
  std::map<std::string, std::string> metadata;
  std::vector<std::vector<float>> owned;
};
StoredNetwork stored_network(const layers::Classifier& classifier);

// One tensor as file content: rank 4 is reordered from [k, r, s, c] to [k, c, r, s] into a buffer
// that is appended to `owned`.
weights::TensorToWrite stored_tensor(const std::string& name, const engine::Tensor& tensor,
                                     std::vector<std::vector<float>>& owned);
// The inverse. Throws Error(kInput) naming the file for a missing tensor or another shape.
void read_stored_tensor(const weights::WeightFile& file, const std::string& name,
                        const engine::Tensor& target);

}  // namespace verace::apps
