// How different libraries name the tensors of a ResNet-50, and what their networks are like.
//
// Everything behind WeightFile knows one naming, torchvision's, with filters as [out, in, height,
// width]. A family is a table of name patterns; translating changes names, shapes and strides of
// views and moves no data.
#pragma once

#include <string>
#include <string_view>

#include "engine/network_options.h"
#include "weights/tensor_table.h"

namespace verace::weights {

enum class NameFamily {
  kUnknown,      // names are left as they are
  kTorchvision,  // conv1, layer1.0.conv1 ...; timm has the same
  kHuggingFace,  // resnet.encoder.stages.0.layers.0.layer.0.convolution ... (microsoft/resnet-50)
  kKeras,        // conv1_conv, conv2_block1_1_conv ... (since keras-applications 1.0.7, tf.keras)
  kOldKeras,     // conv1, res2a_branch2a, bn2a_branch2a ... (Keras up to 2.2, Caffe's names)
};

// For people: "torchvision", "Hugging Face", "Keras", "old Keras", "unknown".
std::string_view to_string(NameFamily family);

struct Naming {
  NameFamily family = NameFamily::kUnknown;
  std::string prefix;  // what stood before all names of the backbone ("module.", "resnet50/" ...)
};

// Finds the family by its names of the first convolution and of the first block, behind any
// sequence of the usual wrappers (module. model. backbone. resnet. ...), and translates all tensors
// that it knows; a translated tensor keeps the file's spelling in stored_name. Keras' kernels
// [h, w, in, out] and [in, out] become strided views [out, in, h, w] and [out, in].
//
// One or two dense layers of any name that lead on from the backbone are its head: "fc", or "fc.0"
// and "fc.2". Other tensors stay as they are. Throws Error(kInput) naming `path` when two tensors
// get the same name.
Naming translate_names(TensorTable& table, const std::string& path);

// The name of a layer in `family` ("conv3_block1_1_conv") as torchvision's ("layer2.0.conv1");
// empty for a layer that it does not know.
std::string our_layer_name(NameFamily family, const std::string& stored);

// What a family's networks are where the file does not say it.
struct FamilyDefaults {
  engine::Variant variant;
  engine::PoolMode pool;
  double bn_epsilon;
  double bn_momentum;  // weight of the new value, as in PyTorch
  engine::RunningVariance running_variance;
  engine::InputScale input_scale;
  const char* convention;  // whose it is: "torchvision's convention"
};
const FamilyDefaults& defaults_of(NameFamily family);

}  // namespace verace::weights
