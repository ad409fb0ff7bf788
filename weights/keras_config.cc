// Walking the layers of a Keras model_config.
#include "weights/keras_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

#include "kernels/format.h"
#include "weights/name_families.h"
#include "weights/tensor_table.h"

namespace verace::weights {
namespace {

using engine::InputScale;
using engine::PoolMode;
using engine::Variant;
using Json = nlohmann::json;

struct Layer {
  std::string kind;  // the class: "Conv2D"
  std::string name;
  const Json* config;
};

std::string text_at(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

const Json* child(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::optional<double> number_at(const Json& object, const char* key) {
  const Json* value = child(object, key);
  if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>())) return {};
  return value->get<double>();
}

// Depth first, so that the layers of a model within the model stand where it stands. The text's
// depth is limited, so that recursion is.
void collect(const Json& model, std::vector<Layer>& layers) {
  const Json* config = child(model, "config");
  // Very old Sequential models have the list of layers as their config.
  const Json* list = config == nullptr || config->is_array() ? config : child(*config, "layers");
  if (list == nullptr || !list->is_array()) return;
  for (const Json& entry : *list) {
    const Json* inner = child(entry, "config");
    if (inner == nullptr) continue;
    if (inner->is_array() || child(*inner, "layers") != nullptr) {
      collect(entry, layers);
    } else {
      layers.push_back({text_at(entry, "class_name"), text_at(*inner, "name"), inner});
    }
  }
}

// The one value of all batch norms, or a contradiction.
std::optional<double> common(const std::vector<Layer>& layers, const char* key,
                             std::vector<std::string>& contradictions) {
  std::optional<double> value;
  for (const Layer& layer : layers) {
    if (!layer.kind.starts_with("BatchNormalization")) continue;
    const std::optional<double> own = number_at(*layer.config, key);
    if (!own) continue;
    if (value && *value != *own) {
      contradictions.push_back(
          text::format("batch norms with different {}: {} and {}", key, *value, *own));
      return value;
    }
    value = own;
  }
  return value;
}

int64_t stride_of(const Layer& layer) {
  const Json* strides = child(*layer.config, "strides");
  if (strides == nullptr || !strides->is_array() || strides->empty()) return 1;
  return (*strides)[0].is_number_integer() ? (*strides)[0].get<int64_t>() : 1;
}

// torchvision's name of the layer, whichever Keras named it; empty: none of the backbone's.
std::string our_name(const Layer& layer) {
  const std::string name = our_layer_name(NameFamily::kKeras, layer.name);
  return name.empty() ? our_layer_name(NameFamily::kOldKeras, layer.name) : name;
}

// What our network computes otherwise: TensorFlow's "same" pads a picture that is halved behind its
// end only, ours on both sides; and each later stage halves it.
void check_strides(const std::vector<Layer>& layers, std::vector<std::string>& contradictions) {
  std::array<int, 3> described{}, halved{};  // of stages 2 to 4: convolutions 1 and 2 of block 0
  for (const Layer& layer : layers) {
    const std::string name = our_name(layer);
    const bool second = name.ends_with(".conv2");
    if (stride_of(layer) == 2 && (name == "conv1" || second) &&
        text_at(*layer.config, "padding") == "same") {
      contradictions.push_back("a convolution " + in_quotes(layer.name) +
                               " of stride 2 with padding 'same'");
      return;
    }
    for (size_t stage = 0; stage < described.size(); ++stage) {
      const std::string block = text::format("layer{}.0.", stage + 2);
      if (name != block + "conv1" && name != block + "conv2") continue;
      ++described[stage];
      halved[stage] += stride_of(layer) == 2 ? 1 : 0;
    }
  }
  for (size_t stage = 0; stage < described.size(); ++stage) {
    if (described[stage] < 2 || halved[stage] > 0) continue;
    contradictions.push_back(text::format("a stage {} that does not halve the picture", stage + 2));
  }
}

// The stages' first blocks: v1 halves the picture in their first convolution, v1.5 in the second.
std::optional<Variant> variant_of(const std::vector<Layer>& layers,
                                  std::vector<std::string>& contradictions) {
  std::optional<Variant> variant;
  for (const Layer& layer : layers) {
    const std::string name = our_name(layer);
    const bool later_stage = name.starts_with("layer") && !name.starts_with("layer1");
    if (!later_stage || stride_of(layer) != 2) continue;
    std::optional<Variant> own;
    if (name.ends_with(".0.conv1")) own = Variant::kV1;
    if (name.ends_with(".0.conv2")) own = Variant::kV15;
    if (own && variant && *own != *variant) {
      contradictions.push_back("strides of v1 in one stage and of v1.5 in another");
      return variant;
    }
    if (own) variant = own;
  }
  return variant;
}

// TensorFlow's "same" pads an even picture behind its end only: what our ceil mode does.
std::optional<PoolMode> pool_of(const std::vector<Layer>& layers,
                                std::vector<std::string>& contradictions) {
  const auto pool = std::ranges::find(layers, "MaxPooling2D", &Layer::kind);
  if (pool == layers.end()) return std::nullopt;
  if (text_at(*pool->config, "padding") == "same") return PoolMode::kCeil;
  // Behind the first convolution, which often has an unnamed padding of its own.
  const auto stem =
      std::find_if(layers.begin(), pool, [](const Layer& l) { return our_name(l) == "conv1"; });
  if (std::any_of(stem, pool, [](const Layer& l) { return l.kind == "ZeroPadding2D"; })) {
    return PoolMode::kPadded;
  }
  contradictions.push_back("a pooling of the stem without padding, which gives 55 for 112");
  return std::nullopt;
}

std::optional<InputScale> input_scale_of(const std::vector<Layer>& layers,
                                         std::vector<std::string>& contradictions) {
  const auto layer = std::ranges::find(layers, "Rescaling", &Layer::kind);
  if (layer == layers.end()) return std::nullopt;
  const std::optional<double> scale = number_at(*layer->config, "scale");
  const Json* stated = child(*layer->config, "offset");
  const std::optional<double> offset = stated == nullptr ? 0 : number_at(*layer->config, "offset");
  const auto near = [&](double wanted) { return scale && std::abs(*scale / wanted - 1) < 1e-6; };
  if (near(1 / 255.0) && offset == 0) return InputScale::kUnit;
  if (near(1 / 127.5) && offset == -1) return InputScale::kTf;
  contradictions.push_back("a Rescaling that is none of x/255 and x/127.5 - 1");
  return std::nullopt;
}

std::optional<int64_t> input_size_of(const std::vector<Layer>& layers,
                                     std::vector<std::string>& contradictions) {
  const auto layer = std::ranges::find(layers, "InputLayer", &Layer::kind);
  if (layer == layers.end()) return std::nullopt;
  const Json* shape = child(*layer->config, "batch_input_shape");
  if (shape == nullptr) shape = child(*layer->config, "batch_shape");  // Keras 3
  if (shape == nullptr || !shape->is_array() || shape->size() != 4) return std::nullopt;
  const Json &height = (*shape)[1], &width = (*shape)[2];
  if (!height.is_number_integer() || !width.is_number_integer()) return std::nullopt;
  if (height != width) {
    contradictions.push_back("an input that is not square: " + shape->dump());
    return std::nullopt;
  }
  return height.get<int64_t>();
}

// The slope of an activation for negative numbers; empty for one that is no ReLU.
std::optional<double> slope_of(const std::string& kind, const Json* config) {
  if (kind == "relu" || kind == "ReLU") {
    return config == nullptr ? 0 : number_at(*config, "negative_slope").value_or(0);
  }
  if (kind == "leaky_relu" || kind == "LeakyReLU") {
    const Json nothing;
    const Json& object = config == nullptr ? nothing : *config;
    if (const auto slope = number_at(object, "negative_slope")) return slope;  // Keras 3
    if (const auto slope = number_at(object, "alpha")) return slope;
    return kind == "LeakyReLU" ? 0.3 : 0.2;  // the layer's and the function's default
  }
  return std::nullopt;
}

// Of a layer's "activation": a name, or a layer of its own.
std::string activation_name(const Layer& layer, const Json** config) {
  const Json* activation = child(*layer.config, "activation");
  if (activation == nullptr) return {};
  if (activation->is_string()) return activation->get<std::string>();
  *config = child(*activation, "config");
  const std::string name = text_at(*activation, "class_name");
  return name.empty() ? text_at(*activation, "name") : name;
}

std::optional<double> head_slope_of(const std::vector<Layer>& layers,
                                    std::vector<std::string>& contradictions) {
  if (std::ranges::count(layers, "Dense", &Layer::kind) != 2) return std::nullopt;
  auto layer = std::ranges::find(layers, "Dense", &Layer::kind);
  const Json* config = nullptr;
  std::string name = activation_name(*layer, &config);
  // A layer of its own behind the dense one.
  for (++layer; layer->kind != "Dense" && (name.empty() || name == "linear"); ++layer) {
    if (layer->kind == "ReLU" || layer->kind == "LeakyReLU") {
      name = layer->kind;
      config = layer->config;
    } else if (layer->kind == "Activation") {
      name = activation_name(*layer, &config);
    }
  }
  const std::optional<double> slope = slope_of(name, config);
  if (!slope) {
    contradictions.push_back("a hidden dense layer with the activation " +
                             (name.empty() ? "linear" : in_quotes(name)));
  }
  return slope;
}

Json parse_flat(const std::string& text) {
  if (text.size() > kMaxKerasConfigBytes) return {};
  const auto limited = [](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxKerasConfigDepth) throw std::length_error("nested");
    return true;
  };
  try {
    return Json::parse(text, limited);
  } catch (const Json::exception&) {
  } catch (const std::length_error&) {
  }
  return {};
}

}  // namespace

KerasConfig read_keras_config(const std::string& text) {
  const Json model = parse_flat(text);
  std::vector<Layer> layers;
  collect(model, layers);
  KerasConfig out;
  out.understood = !layers.empty();
  if (!out.understood) return out;
  out.variant = variant_of(layers, out.contradictions);
  check_strides(layers, out.contradictions);
  out.pool = pool_of(layers, out.contradictions);
  out.bn_epsilon = common(layers, "epsilon", out.contradictions);
  out.bn_momentum = common(layers, "momentum", out.contradictions);
  // 1 - 0.99 is 0.010000000000000009 in binary.
  if (out.bn_momentum) out.bn_momentum = std::round((1 - *out.bn_momentum) * 1e12) / 1e12;
  out.input_scale = input_scale_of(layers, out.contradictions);
  out.head_slope = head_slope_of(layers, out.contradictions);
  out.input_size = input_size_of(layers, out.contradictions);
  if (std::ranges::find(layers, "GlobalMaxPooling2D", &Layer::kind) != layers.end()) {
    out.contradictions.push_back("a maximum over the last feature map instead of a mean");
  }
  return out;
}

}  // namespace verace::weights
