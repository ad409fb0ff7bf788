// Choices of operations that networks, weight files and runs speak of, without the operations.
#pragma once

namespace verace::kernels {

// How pixels become network input (Keras' preprocess_input modes and the plain one; semantics.md
// A.3). For channel ch of the network input: z = pixel[source] * scale - shift, pixel in [0, 1]
// RGB, source = 2 - ch for BGR (kCaffe, kCaffeRounded), else ch. kCaffeRounded subtracts whole
// means, as Caffe's detectors and those after them do (semantics.md C.1).
enum class PixelScale { kCaffe, kTorch, kTf, kUnit, kCaffeRounded };

// Which variance enters the running average (semantics.md A.6): N/(N-1) times the batch's (PyTorch,
// cuDNN, tf.keras), the batch's own (Keras 3), or N/(N-1-epsilon) times it on top of N/(N-1)
// (multi-backend Keras 2.2/2.3).
enum class RunningVariance { kUnbiased, kBiased, kKeras2 };

// How the loss is computed (semantics.md A.6). kLogits: -log_softmax(logits)[label], any size of
// logits. kClippedProbability: Keras' fallback, p clipped to [1e-7, 1 - 1e-7] after renormalising,
// -ln p.
enum class CrossEntropyForm { kLogits, kClippedProbability };

}  // namespace verace::kernels
