// What a weight file says about its network: by metadata, by shapes, and by assumption.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/network_options.h"
#include "weights/weight_file.h"

namespace verace::weights {

using engine::InputScale;
using engine::PoolMode;
using engine::RunningVariance;
using engine::Variant;

// How a property of the network became known. kAssumption is a guess that people should see.
enum class Source { kMetadata, kShapes, kAssumption, kOverride };
std::string_view to_string(Source source);  // "metadata", "shapes", "ASSUMPTION", "override"

// One property, for reports: what ("variant"), value ("v1"), source, why (one phrase).
struct Finding {
  std::string what;
  std::string value;
  Source source;
  std::string why;
};

// All that is needed to build the network and to store it again.
struct ModelDescription {
  Variant variant = Variant::kV15;
  PoolMode pool = PoolMode::kPadded;
  double bn_epsilon = 1e-5;
  double bn_momentum = 0.1;  // weight of the new value in running statistics, as in PyTorch
  RunningVariance running_variance = RunningVariance::kUnbiased;
  InputScale input_scale = InputScale::kTorch;
  int64_t input_size = 224;  // pixels, height = width
  double width = 1;  // multiplier of the blocks' channels: layer1 has 64 * width inner channels
  int64_t stem_channels = 64;
  int64_t head_hidden = 0;               // units of the hidden dense layer; 0: none
  double head_slope = 0;                 // leaky ReLU slope behind the hidden layer; 0: ReLU
  int64_t classes = 1000;                // 0: a backbone without head
  std::vector<std::string> class_names;  // empty, or one per class
  bool conv_bias_present = false;        // some convolution has a stored bias (Keras does)
  std::vector<Finding> findings;
};

// Flags of the command line: they win over assumptions, and over metadata only with `force`.
struct Overrides {
  std::optional<Variant> variant;         // --variant
  std::optional<PoolMode> pool;           // --pool
  std::optional<InputScale> input_scale;  // --input-scale
  std::optional<double> head_slope;       // --head-slope, in [0, 1]
  std::optional<double> bn_epsilon;       // --bn-epsilon, in (0, 1)
  // --class-order, of a network with two classes.
  std::optional<std::vector<std::string>> class_names;
  bool force = false;  // --force
};

// What is going to be used of a network. Where that is the backbone alone, what the metadata say of
// the head and of the classes is not looked at.
enum class Use { kWhole, kBackbone };

// Order of trust: the shapes (which nothing overrides), overrides, our own metadata keys
// ("verace.variant" ...), the configuration that Keras stores ("keras.model_config"), free text of
// known converters ("variant", "max_pool", "batch_norm_epsilon", "input"), the conventions of the
// library whose names the tensors have (name_families.h) as an assumption. Throws Error(kInput)
// for: a file of another network (with a hint at what it is), an own key that cannot be read or
// contradicts the shapes, an override out of range, and without `force` an override against the
// metadata, or metadata that contradict each other or describe what our network does not do.
// Whether all tensors are there is check_against's question (name_map.h).
ModelDescription describe(const WeightFile& file, const Overrides& overrides = {},
                          Use use = Use::kWhole);

// Our own metadata keys for a description, so that describe() of the written file gives the same
// network without assumptions.
std::map<std::string, std::string> metadata_of(const ModelDescription& description);

}  // namespace verace::weights
