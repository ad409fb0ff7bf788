// The dots in names of layers.
#include "engine/layer_names.h"

namespace verace::engine {

bool lies_in(const std::string& layer, const std::string& group) {
  return layer == group || layer.starts_with(group + ".");
}

std::vector<std::string> layer_names(const LayerTable& table) {
  std::vector<std::string> names;
  for (const auto& layer : table.layers()) {
    names.push_back(layer->name);
    if (!layer->keras_name.empty()) names.push_back(layer->keras_name);
  }
  return names;
}

std::vector<std::string> with_groups(const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      all.push_back(name.substr(0, dot));
    }
    all.push_back(name);
  }
  return all;
}

}  // namespace verace::engine
