// The table. Whoever adds a file: the digest has to come from the publisher, or from two who have
// fetched it independently; what it comes from stands beside it.
#include "apps/lib/published_weights.h"

#include <algorithm>
#include <array>

#include "kernels/format.h"

namespace verace::apps {
namespace {

using engine::Variant;

constexpr HashKind kSha256 = HashKind::kSha256, kMd5 = HashKind::kMd5;
constexpr const char* kHe = "MIT (Kaiming He)";  // whose Caffe model they are ported from

constexpr auto kTable = std::to_array<PublishedWeights>({
    // torchvision/models/resnet.py; the first 8 digits stand in the file's name, the others are
    // what several projects that pin the file have written down.
    {"torchvision-imagenet1k-v1", "resnet50-0676ba61.pth",
     "https://download.pytorch.org/models/resnet50-0676ba61.pth", 102530333, kSha256,
     "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", Variant::kV15,
     "torchvision", "BSD-3-Clause", "top-1 76.1 % on ImageNet"},
    {"torchvision-imagenet1k-v2", "resnet50-11ad3fa6.pth",
     "https://download.pytorch.org/models/resnet50-11ad3fa6.pth", 102540417, kSha256,
     "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca", Variant::kV15,
     "torchvision", "BSD-3-Clause", "top-1 80.9 % on ImageNet, by a longer recipe"},
    // MD5 from keras/applications/resnet.py; Keras publishes no other digest. Both generations have
    // the same file names.
    {"keras", "resnet50-keras.h5",
     "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
     "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
     102967424, kMd5, "2cb95161c43110f7111970584f804107", Variant::kV1, "Keras, new", kHe,
     "input in 'caffe' mode (BGR minus mean), epsilon 1.001e-5"},
    {"keras-notop", "resnet50-keras-notop.h5",
     "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
     "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
     94765736, kMd5, "4d473c1dd8becc155b73f8504c6f6626", Variant::kV1, "Keras, new", kHe,
     "without the head; input in 'caffe' mode (BGR minus mean), epsilon 1.001e-5"},
    // MD5 from keras_applications/resnet50.py before 1.0.8 (and fchollet/deep-learning-models).
    {"keras-old", "resnet50-keras-old.h5",
     "https://github.com/fchollet/deep-learning-models/releases/download/v0.2/"
     "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
     102853048, kMd5, "a7b3fe01876f51b976af0dea6bc144eb", Variant::kV1, "Keras, old", kHe,
     "input in 'caffe' mode (BGR minus mean), epsilon 1e-3"},
    {"keras-old-notop", "resnet50-keras-old-notop.h5",
     "https://github.com/fchollet/deep-learning-models/releases/download/v0.2/"
     "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
     94653016, kMd5, "a268eb855778b3df3c7506639542a6af", Variant::kV1, "Keras, old", kHe,
     "without the head; input in 'caffe' mode (BGR minus mean), epsilon 1e-3"},
    // The digest is the Git LFS identity of the file in its repository.
    {"timm-a1-in1k", "resnet50.a1_in1k.safetensors",
     "https://huggingface.co/timm/resnet50.a1_in1k/resolve/"
     "93271f4677dbf7b4d7f7e7d9d7811bd66c327e56/model.safetensors",
     102469840, kSha256, "773525d5821de224f8f30c33377b7a795d7863e08522698200d3217d3f2a41bb",
     Variant::kV15, "torchvision", "Apache-2.0", "recipe A1 of \"ResNet strikes back\""},
    {"timm-tv-in1k", "resnet50.tv_in1k.safetensors",
     "https://huggingface.co/timm/resnet50.tv_in1k/resolve/"
     "78f3ecfdb38e06d9b8397f662e7ab8fee96026fa/model.safetensors",
     102469840, kSha256, "5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888",
     Variant::kV15, "torchvision", "BSD-3-Clause", "the numbers of torchvision-imagenet1k-v1"},
    {"microsoft-resnet-50", "microsoft-resnet-50.safetensors",
     "https://huggingface.co/microsoft/resnet-50/resolve/"
     "34c2154c194f829b11125337b98c8f5f9965ff19/model.safetensors",
     102482854, kSha256, "9c6061af1f450bb0847e529fd742aa5066017be379c71bbf5546b198e5b13a1e",
     Variant::kV15, "Hugging Face", "Apache-2.0", "converted from timm"},
    // Digests of the files at these commits.
    {"retinaface-mobilenet025",
     "Final_Retinaface.pth",
     "https://raw.githubusercontent.com/biubug6/Pytorch_Retinaface/"
     "3c31dcd0049aff7fce28394ca96257be0657d17c/weights/Final_Retinaface.pth",
     1789735,
     kSha256,
     "78b0533ceea681a290e98efca85e3a2815b22310f1fe7e287788e7f55f0743a9",
     {},
     "RetinaFace",
     "MIT",
     "MobileNet 0.25 with ReLU; anchors from 16 pixels"},
    {"retinaface-mobilenet025-1mb",
     "retinaface-1mb.pth",
     "https://raw.githubusercontent.com/biubug6/Face-Detector-1MB-with-landmark/"
     "7f49cebe8c46c0d36debf2f4776dff35dd59a071/weights/mobilenet0.25_Final.pth",
     1789735,
     kSha256,
     "ed6fa7d45a5179f03cb5ce82c73b0c6711372968e53782e88395acee88d319e1",
     {},
     "RetinaFace",
     "MIT",
     "MobileNet 0.25 with ReLU; anchors from 10 pixels, for small pictures"},
});

std::string network_text(const PublishedWeights& weights) {
  if (!weights.variant) return "face detector";
  return text::format("ResNet-50 {}", engine::to_string(*weights.variant));
}

}  // namespace

std::span<const PublishedWeights> published_weights() { return kTable; }

const PublishedWeights* find_published(std::string_view name) {
  const auto* const found = std::ranges::find(
      kTable, name, [](const PublishedWeights& weights) { return std::string_view(weights.name); });
  return found == kTable.end() ? nullptr : found;
}

std::string published_table() {
  constexpr const char* row = "{:<27}  {:>6}  {:<14}  {:<12}  {:<11}  {}\n";
  std::string out =
      text::format(row, "name", "MB", "network", "layer names", "verified by", "licence");
  for (const PublishedWeights& weights : kTable) {
    out += text::format(
        row, weights.name, text::format("{:.1f}", static_cast<double>(weights.bytes) / 1e6),
        network_text(weights), weights.names, to_string(weights.hash_kind), weights.licence);
  }
  return out;
}

std::string published_details(const PublishedWeights& weights) {
  return text::format(
      "{}\n  network      {}, layer names of {}\n  note         {}\n  licence      {}\n"
      "  size         {} bytes\n  {:<11}  {}\n  URL          {}\n  stored as    {}\n",
      weights.name, network_text(weights), weights.names, weights.note, weights.licence,
      weights.bytes, to_string(weights.hash_kind), weights.hash, weights.url, weights.file);
}

}  // namespace verace::apps
