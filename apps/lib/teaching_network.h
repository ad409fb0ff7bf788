// A small network and a few drawn faces: what the tools for looking inside work on when no files
// are given.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/exec.h"
#include "layers/classifier.h"

namespace verace::apps {

// ResNet-50 v1.5 at a sixteenth of its width (4 channels after the stem, 128 features), pictures of
// 64 x 64 pixels, a hidden dense layer of 16 neurons with a leaky ReLU of slope 0.05, outputs real
// and fake.
layers::ClassifierOptions teaching_options();

// Gives all batch norms that are trainable the statistics of 16 drawn faces, functions of the seed:
// without them the activations of a network with random weights grow from block to block.
void take_statistics(layers::Classifier& network, uint64_t seed, const kernels::Exec& exec);

// That network with initial weights (layers/init.h, kPyTorch), functions of the seed; its running
// statistics are those of 16 drawn faces, so that its answers in inference are of ordinary size.
std::unique_ptr<layers::Classifier> make_teaching_network(uint64_t seed, const kernels::Exec& exec);

// Pictures with their classes.
struct LabelledPictures {
  int64_t count = 0;
  std::vector<float> unit;         // [count, size, size, 3] RGB in [0, 1]
  std::vector<int32_t> labels;     // [count]
  std::vector<std::string> names;  // for people
};

// `count` drawn faces of size x size pixels (at least 32), functions of the seed: real (class 0)
// and fake (class 1) by turns, each of another person.
LabelledPictures draw_labelled_faces(uint64_t seed, int64_t size, int64_t count);

// Pixels [n, size, size, 3] as numbers in [0, 1].
std::vector<float> to_unit(const std::vector<uint8_t>& pixels, int64_t size);

}  // namespace verace::apps
