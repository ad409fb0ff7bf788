// Putting a description together: names and shapes first, then one rule for every choice.
#include "weights/model_description.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/metadata_reading.h"
#include "weights/name_map.h"

namespace verace::weights {
namespace {

std::string text_of(double value) { return text::format("{}", value); }
std::string text_of(int64_t value) { return text::format("{}", value); }
template <typename Enum>
requires std::is_enum_v<Enum> std::string text_of(Enum value) {
  return std::string(engine::to_string(value));
}

// The choices that names and shapes do not show.
class Resolver {
 public:
  Resolver(const WeightFile& file, const Overrides& overrides, std::vector<Finding>& findings)
      : path_(file.path()), force_(overrides.force), findings_(findings) {}

  // Override, else metadata, else `target`'s default as an assumption because of `why`.
  template <typename T>
  void choose(const char* what, T& target, const std::optional<Stated<T>>& stated,
              const std::optional<T>& wish, const char* flag, const char* why) {
    if (wish && stated && *wish != stated->value && !force_) {
      fail_input(
          text::format("{}: {} {} contradicts the file's metadata ({} says {}): leave it out, or "
                       "add --force",
                       path_, flag, text_of(*wish), stated->key, text_of(stated->value)));
    }
    if (wish) {
      target = *wish;
      const std::string against = stated && *wish != stated->value
                                      ? text::format("{} against metadata {} = {}", flag,
                                                     stated->key, text_of(stated->value))
                                      : flag;
      findings_.push_back({what, text_of(target), Source::kOverride, against});
    } else if (stated) {
      target = stated->value;
      findings_.push_back({what, text_of(target), Source::kMetadata, stated->key});
    } else {
      findings_.push_back({what, text_of(target), Source::kAssumption, why});
    }
  }

 private:
  const std::string& path_;
  bool force_;
  std::vector<Finding>& findings_;
};

void check_range(const std::string& path, const char* what, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    fail_input(text::format("{}: {} {} is outside {} to {}: correct the flag or the metadata", path,
                            what, value, low, high));
  }
}

// The extent `axis` of a tensor that must have rank `rank` and no zero extent.
int64_t extent(const WeightFile& file, const TensorView& tensor, size_t rank, size_t axis) {
  if (tensor.shape.size() != rank || tensor.element_count() == 0) {
    fail_input(
        text::format("{}: tensor {} has shape {}, expected {} extents above 0: choose a ResNet-50 "
                     "file",
                     file.path(), in_quotes(tensor.name), shape_text(tensor.shape), rank));
  }
  return tensor.shape[axis];
}

void describe_backbone(const WeightFile& file, ModelDescription& out) {
  const TensorView* stem = file.find("conv1.weight");
  const TensorView* block = file.find("layer1.0.conv1.weight");
  if (stem == nullptr || block == nullptr) {
    const std::string hint = wrong_network_hint(file);
    fail_input(text::format(
        "{}: has no tensor '{}'{}: choose a ResNet-50 file of torchvision, timm, Hugging Face or "
        "Keras",
        file.path(), stem ? "layer1.0.conv1.weight" : "conv1.weight",
        hint.empty() ? "" : " (" + hint + ")"));
  }
  const Naming& naming = file.naming();
  const std::string wrapper =
      naming.prefix.empty() ? "" : ", without " + in_quotes(naming.prefix) + " before them";
  out.findings.push_back({"names", std::string(to_string(naming.family)), Source::kShapes,
                          block->name_in_file() + wrapper});
  out.stem_channels = extent(file, *stem, 4, 0);
  out.width = static_cast<double>(extent(file, *block, 4, 0)) / 64;
  out.findings.push_back(
      {"stem channels", text_of(out.stem_channels), Source::kShapes, stem->name_in_file()});
  out.findings.push_back({"width", text_of(out.width), Source::kShapes, block->name_in_file()});
  out.conv_bias_present =
      std::any_of(file.tensors().begin(), file.tensors().end(),
                  [](const TensorView& t) { return is_conv_bias_name(t.name); });
  out.findings.push_back({"convolution biases", out.conv_bias_present ? "yes" : "no",
                          Source::kShapes, "names ending in .bias"});
}

void describe_head(const WeightFile& file, ModelDescription& out) {
  const TensorView* plain = file.find("fc.weight");
  const TensorView* hidden = file.find("fc.0.weight");
  const TensorView* last = file.find("fc.2.weight");
  out.head_hidden = 0;
  out.classes = 0;
  std::string why = "no fc tensors: a backbone without head";
  if (plain != nullptr) {
    out.classes = extent(file, *plain, 2, 0);
    why = plain->name_in_file();
  } else if (hidden != nullptr && last != nullptr) {
    out.head_hidden = extent(file, *hidden, 2, 0);
    out.classes = extent(file, *last, 2, 0);
    why = hidden->name_in_file() + ", " + last->name_in_file();
  }
  out.findings.push_back({"classes", text_of(out.classes), Source::kShapes, why});
  out.findings.push_back(
      {"hidden units of the head", text_of(out.head_hidden), Source::kShapes, why});
}

void describe_classes(const WeightFile& file, const MetadataReading& stated,
                      const Overrides& overrides, ModelDescription& out) {
  const auto size = [](const auto& list) { return static_cast<int64_t>(list.size()); };
  const auto& wish = overrides.class_names;
  if (wish && size(*wish) != out.classes) {
    fail_input(text::format("{}: --class-order: the network has {} classes, not {}: leave it out",
                            file.path(), out.classes, size(*wish)));
  }
  if (wish && stated.class_names && *wish != stated.class_names->value && !overrides.force) {
    fail_input(
        text::format("{}: --class-order {} contradicts the file's metadata ({} says {}): "
                     "leave it out, or add --force",
                     file.path(), text::join(*wish, ","), stated.class_names->key,
                     text::join(stated.class_names->value, ",")));
  }
  if (wish) {
    out.class_names = *wish;
    out.findings.push_back(
        {"class names", text::join(*wish, ", "), Source::kOverride, "--class-order"});
    return;
  }
  if (stated.class_names) {
    out.class_names = stated.class_names->value;
    if (size(out.class_names) != out.classes) {
      fail_input(text::format(
          "{}: metadata {} has {} names, the tensors {} classes: export the file again",
          file.path(), stated.class_names->key, size(out.class_names), out.classes));
    }
    out.findings.push_back({"class names", text::format("{} names", size(out.class_names)),
                            Source::kMetadata, stated.class_names->key});
  } else if (out.classes == 2) {
    out.class_names = {"real", "fake"};
    out.findings.push_back(
        {"class names", "real, fake", Source::kAssumption, "two classes: 0 = real, 1 = fake"});
  }
}

}  // namespace

std::string_view to_string(Source source) {
  switch (source) {
    case Source::kMetadata:
      return "metadata";
    case Source::kShapes:
      return "shapes";
    case Source::kAssumption:
      return "ASSUMPTION";
    case Source::kOverride:
      return "override";
  }
  fail_check("source is in its enum", __FILE__, __LINE__, "");
}

ModelDescription describe(const WeightFile& file, const Overrides& overrides, Use use) {
  const MetadataReading stated = read_metadata(file);
  std::vector<std::string> against = stated.contradictions;
  if (use == Use::kWhole) {
    against.insert(against.end(), stated.head_contradictions.begin(),
                   stated.head_contradictions.end());
  }
  if (!against.empty() && !overrides.force) {
    fail_input(text::format("{}: the metadata has {}: correct them, or add --force", file.path(),
                            against.front()));
  }
  ModelDescription out;
  describe_backbone(file, out);
  describe_head(file, out);
  if (use == Use::kWhole && stated.head_hidden && stated.head_hidden->value != out.head_hidden) {
    fail_input(text::format(
        "{}: metadata verace.head_hidden says {}, the tensors {}: export the file again",
        file.path(), stated.head_hidden->value, out.head_hidden));
  }
  const FamilyDefaults& usual = defaults_of(file.naming().family);
  out.variant = usual.variant;
  out.pool = usual.pool;
  out.bn_epsilon = usual.bn_epsilon;
  out.bn_momentum = usual.bn_momentum;
  out.running_variance = usual.running_variance;
  out.input_scale = usual.input_scale;
  std::string silent = text::format("the metadata does not say; {}", usual.convention);
  for (const std::string& key : stated.not_understood) silent += "; not understood: " + key;
  const char* why = silent.c_str();
  Resolver resolver(file, overrides, out.findings);
  resolver.choose("variant", out.variant, stated.variant, overrides.variant, "--variant", why);
  resolver.choose("pool", out.pool, stated.pool, overrides.pool, "--pool", why);
  resolver.choose("batch-norm epsilon", out.bn_epsilon, stated.bn_epsilon, overrides.bn_epsilon,
                  "--bn-epsilon", why);
  resolver.choose("batch-norm momentum", out.bn_momentum, stated.bn_momentum, {}, "", why);
  resolver.choose("running variance", out.running_variance, stated.running_variance, {}, "", why);
  resolver.choose("input scale", out.input_scale, stated.input_scale, overrides.input_scale,
                  "--input-scale", why);
  resolver.choose("input size", out.input_size, stated.input_size, {}, "", why);
  if (out.head_hidden > 0 && use == Use::kWhole) {
    resolver.choose("head slope", out.head_slope, stated.head_slope, overrides.head_slope,
                    "--head-slope", "the metadata does not say; ReLU");
  } else if (overrides.head_slope && use == Use::kWhole) {
    fail_input(file.path() +
               ": --head-slope: the network has no hidden layer in its head: leave it out");
  }
  check_range(file.path(), "batch-norm epsilon", out.bn_epsilon, 1e-12, 1);
  check_range(file.path(), "batch-norm momentum", out.bn_momentum, 0, 1);
  check_range(file.path(), "head slope", out.head_slope, 0, 1);
  check_range(file.path(), "input size", static_cast<double>(out.input_size), 32, 4096);
  if (use == Use::kWhole) describe_classes(file, stated, overrides, out);
  return out;
}

std::map<std::string, std::string> metadata_of(const ModelDescription& description) {
  const ModelDescription& d = description;
  std::map<std::string, std::string> out{
      {"format", "pt"},  // the layout of names and dimensions, as other tools spell it
      {"verace.format", "1"},
      {"verace.variant", text_of(d.variant)},
      {"verace.pool", text_of(d.pool)},
      {"verace.bn_epsilon", text_of(d.bn_epsilon)},
      {"verace.bn_momentum", text_of(d.bn_momentum)},
      {"verace.running_variance", text_of(d.running_variance)},
      {"verace.input_scale", text_of(d.input_scale)},
      {"verace.input_size", text_of(d.input_size)},
      {"verace.head_hidden", text_of(d.head_hidden)},
      {"verace.head_slope", text_of(d.head_slope)}};
  if (!d.class_names.empty()) {
    try {
      out["verace.class_names"] = nlohmann::json(d.class_names).dump();
    } catch (const nlohmann::json::exception&) {
      fail_input("class names must be UTF-8: rename the class folders or the entries of the list");
    }
  }
  return out;
}

}  // namespace verace::weights
