// Walking the layers of a Keras file.
#include "weights/hdf5/keras.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/format.h"
#include "weights/hdf5/advice.h"
#include "weights/hdf5/attribute.h"
#include "weights/hdf5/dataset.h"
#include "weights/hdf5/keras_layers.h"
#include "weights/hdf5/objects.h"

namespace verace::weights {
namespace hdf5 {
namespace {

// ResNet-50's has 70,000 bytes.
constexpr size_t kMaxConfigBytes = 16 << 20;
// Of models inside of models.
constexpr int kMaxDepth = 16;

using Strings = std::vector<std::string_view>;

class KerasReader {
 public:
  KerasReader(std::span<const std::byte> bytes, const std::string& path)
      : file_(bytes, path), heaps_(file_), objects_(file_) {}

  TensorTable read() {
    const Object root = objects_.root();
    Object top = root;
    if (const auto model = objects_.find(root, "model_weights")) top = *model;
    const std::optional<Strings> layers = strings(top, "layer_names");
    read_metadata(root, top);
    if (layers) {
      table_.metadata["keras.root"] = top.path;
      read_listed_layers(top, *layers);
    } else if (const auto first = objects_.find(root, "layers")) {
      table_.metadata["keras.root"] = first->path;
      read_layer_groups(*first, 0);
    } else {
      file_.source().unsupported("is HDF5, but no Keras weights (it lacks 'layer_names')",
                                 "name a file that Keras wrote, or " + std::string(kResave));
    }
    check_tensors();
    return std::move(table_);
  }

 private:
  // The attribute `name`, or joined what Keras divided into NAME0, NAME1 ... (HDF5 headers hold
  // 64 kB).
  std::optional<Strings> strings(const Object& object, const std::string& name) {
    std::optional<Strings> all = read_strings(file_, heaps_, object.messages, name);
    if (all) return all;
    for (int part = 0;; ++part) {
      const std::optional<Strings> more =
          read_strings(file_, heaps_, object.messages, text::format("{}{}", name, part));
      if (!more) return all;
      if (!all) all.emplace();
      all->insert(all->end(), more->begin(), more->end());
    }
  }

  std::optional<std::string_view> one_string(const Object& object, const char* name) {
    const std::optional<Strings> all = read_strings(file_, heaps_, object.messages, name);
    if (!all || all->size() != 1) return {};
    return all->front();
  }

  void read_metadata(const Object& root, const Object& top) {
    constexpr std::pair<const char*, const char*> kKeys[] = {
        {"keras_version", "keras.version"},
        {"backend", "keras.backend"},
        {"model_config", "keras.model_config"},
    };
    for (const auto& [stored, key] : kKeys) {
      std::optional<std::string_view> value = one_string(top, stored);
      if (!value) value = one_string(root, stored);
      if (!value) continue;
      if (value->size() > kMaxConfigBytes) {
        file_.source().unsupported(text::format("attribute '{}' has {} bytes, at most {} are read",
                                                stored, value->size(), kMaxConfigBytes),
                                   kResave);
      }
      table_.metadata[key] = std::string(*value);
    }
  }

  void check_name(std::string_view name) const {
    if (name.empty() || name.size() > kMaxNameBytes) {
      file_.source().unsupported(
          text::format("holds a name of {} bytes, not of 1 to {}", name.size(), kMaxNameBytes),
          kFetch);
    }
  }

  // Of layers' groups and of datasets. A file may give one of them a thousand names, and is not to
  // take the memory of a thousand.
  void require_new(const Object& object) {
    const auto [place, is_new] = used_.emplace(object.address, object.path);
    if (is_new) return;
    file_.source().unsupported(text::format("{} is {} under another name", in_quotes(object.path),
                                            in_quotes(place->second)),
                               kResave);
  }

  KerasWeight weight(const Object& object) {
    require_new(object);
    return {object.path, read_dataset(file_, object.messages, object.path)};
  }

  void read_listed_layers(const Object& top, const Strings& layers) {
    std::set<std::string_view> seen;
    for (const std::string_view layer : layers) {
      check_name(layer);
      if (!seen.insert(layer).second) {
        file_.source().unsupported(
            text::format("lists layer {} twice", in_quotes(std::string(layer))), kFetch);
      }
      const Object group = objects_.at(top, layer);
      require_new(group);
      const std::optional<Strings> names = strings(group, "weight_names");
      if (!names) {
        file_.source().unsupported(
            text::format("group {} lacks the attribute 'weight_names'", in_quotes(group.path)),
            kFetch);
      }
      read_listed_weights(group, std::string(layer), *names);
    }
  }

  // The weights of one layer, or of the layers of a model that is used as a layer: then their names
  // say which is whose ("conv1_conv/kernel:0"), in any order between layers.
  void read_listed_weights(const Object& group, const std::string& layer, const Strings& names) {
    std::vector<std::pair<std::string_view, std::vector<KerasWeight>>> parts;
    std::map<std::string_view, size_t> index;
    for (const std::string_view name : names) {
      check_name(name);
      const size_t slash = name.rfind('/');
      const std::string_view part =
          slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
      const auto [place, is_new] = index.emplace(part, parts.size());
      if (is_new) parts.emplace_back(part, std::vector<KerasWeight>());
      parts[place->second].second.push_back(weight(objects_.at(group, name)));
    }
    for (const auto& [part, weights] : parts) {
      const std::string_view last = part.substr(part.rfind('/') + 1);
      append_layer(file_.source(), parts.size() == 1 ? layer : std::string(last), weights,
                   table_.tensors);
    }
  }

  // Keras 3: every group below `layers` is a layer with weights in vars/, or a model with layers.
  void read_layer_groups(const Object& layers, int depth) {
    if (depth == kMaxDepth) {
      file_.source().unsupported(
          text::format("group {} lies more than {} models deep", in_quotes(layers.path), kMaxDepth),
          kResave);
    }
    for (const auto& [name, link] : objects_.links(layers)) {
      check_name(name);
      const Object layer = objects_.at(layers, name);
      require_new(layer);
      if (const auto vars = objects_.find(layer, "vars")) read_variables(*vars);
      if (const auto inner = objects_.find(layer, "layers")) read_layer_groups(*inner, depth + 1);
    }
  }

  void read_variables(const Object& vars) {
    const size_t count = objects_.links(vars).size();
    if (count == 0) return;
    const std::optional<std::string_view> name = one_string(vars, "name");
    if (!name) {
      file_.source().unsupported(
          text::format("group {} does not say its layer's name", in_quotes(vars.path)), kResave);
    }
    check_name(*name);
    std::vector<KerasWeight> weights;
    for (size_t i = 0; i < count; ++i) {
      weights.push_back(weight(objects_.at(vars, text::format("{}", i))));
    }
    append_layer(file_.source(), std::string(*name), weights, table_.tensors);
  }

  void check_tensors() const {
    std::set<std::string_view> names;
    std::vector<const TensorView*> order;
    for (const TensorView& tensor : table_.tensors) {
      if (!names.insert(tensor.name).second) {
        file_.source().unsupported(
            text::format("holds {} twice, in two models within the model", in_quotes(tensor.name)),
            kResave);
      }
      if (!tensor.bytes.empty()) order.push_back(&tensor);
    }
    std::ranges::sort(order, {}, [](const TensorView* tensor) { return tensor->bytes.data(); });
    for (size_t i = 1; i < order.size(); ++i) {
      const auto& before = order[i - 1]->bytes;
      if (before.data() + before.size() > order[i]->bytes.data()) {
        file_.source().damaged(
            text::format("datasets {} and {} overlap", in_quotes(order[i - 1]->stored_name),
                         in_quotes(order[i]->stored_name)),
            order[i]->bytes.data());
      }
    }
  }

  File file_;
  GlobalHeaps heaps_;
  Objects objects_;
  std::map<uint64_t, std::string> used_;  // address and path
  TensorTable table_;
};

}  // namespace
}  // namespace hdf5

TensorTable parse_keras_hdf5(std::span<const std::byte> file, const std::string& path) {
  return hdf5::KerasReader(file, path).read();
}

}  // namespace verace::weights
