// What a network is built for: the switches that every layer reads.
#pragma once

#include <string>

namespace verace::layers {

// What a frozen batch norm does in training (semantics.md A.6): kInference normalises with its
// running statistics (tf.keras >= 2, Keras 3); kBatch with the batch's, without moving the running
// ones (multi-backend Keras <= 2.3).
enum class FrozenBatchNorm { kInference, kBatch };

struct BuildOptions {
  // false: nothing is trainable and every batch norm uses its running statistics, whatever the
  // layer table says.
  bool training = false;
  FrozenBatchNorm frozen_batch_norm = FrozenBatchNorm::kInference;
  // Not null: only the running statistics of trainable batch norms are wanted ("precise batch
  // norm", Wu & Johnson 2021, arXiv 2105.07576, section 3): forward with batch statistics, moved
  // with *recalibration_momentum instead of the layers' own momentum; nothing needs a gradient.
  const double* recalibration_momentum = nullptr;
};

}  // namespace verace::layers
