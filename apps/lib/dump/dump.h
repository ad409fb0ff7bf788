// One step of a network, with every tensor written to files: values for programs, pictures for
// people, and an index of both.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/lib/dump/tensor_list.h"
#include "apps/lib/dump/tensor_summary.h"
#include "apps/lib/teaching_network.h"
#include "kernels/exec.h"
#include "layers/classifier.h"

namespace verace::apps {

// kTraining: what the layer table says is trainable is differentiated, batch norms as in training;
// the loss is the mean over the pictures. kInference: folded batch norms, and the gradient of the
// summed loss down to the pictures, as the attack takes it.
enum class DumpMode { kTraining, kInference };

struct DumpOptions {
  DumpMode mode = DumpMode::kTraining;
  layers::FrozenBatchNorm frozen_batch_norm = layers::FrozenBatchNorm::kInference;
  std::string layer = {};  // only these (select_layer()); empty: all
  bool pictures = true;    // PNG files beside the .npy files
};

// One row of the index.
struct DumpedTensor {
  ListedTensor tensor;
  TensorSummary summary;
  std::string npy, png;      // names in the folder; png empty without pictures
  double low = 0, high = 0;  // the picture's range
  std::string shown;         // what part of the tensor it shows
};

// A step that is planned and knows what it will write.
class Dump {
 public:
  // Plans the step for these pictures, whose size is the network's. The network must outlive it; a
  // training step allocates the gradients of what is trainable. Throws Error(kInput) for a layer
  // that is none, and in training where a batch norm would see one value of each channel.
  Dump(layers::Classifier& network, const kernels::Exec& exec, const LabelledPictures& pictures,
       DumpOptions options);

  int64_t tensor_count() const { return static_cast<int64_t>(tensors_.size()); }
  int64_t npy_bytes() const;              // exactly
  int64_t picture_bytes_at_most() const;  // 0 without pictures

  // Runs the step once and writes NNNN_TENSOR.npy and .png for each tensor into `folder`, which
  // must exist. Running statistics of trained batch norms move, in the network, as in any step of
  // training. Throws Error(kInput) naming the file when the system refuses.
  std::vector<DumpedTensor> run(const std::filesystem::path& folder);

  // The mean of the pictures' losses; after run().
  double loss() const;

 private:
  std::vector<float> values_of(const ListedTensor& tensor) const;

  DumpOptions options_;
  int64_t count_;
  engine::Step step_;
  engine::Value loss_;
  std::vector<ListedTensor> tensors_;
};

}  // namespace verace::apps
