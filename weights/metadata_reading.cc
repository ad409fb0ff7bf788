// Metadata keys and the words of free text that we know.
#include "weights/metadata_reading.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/keras_config.h"

namespace verace::weights {
namespace {

using engine::InputScale;
using engine::PoolMode;
using engine::Variant;

// Lower case, without blanks: what the word searches below work on.
std::string squeezed(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (!std::isspace(byte)) out += static_cast<char>(std::tolower(byte));
  }
  return out;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// Looks up keys in one file's metadata and names file and key in every complaint.
class KeyReader {
 public:
  explicit KeyReader(const WeightFile& file) : file_(file) {}

  const std::string* find(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    return found == file_.metadata().end() ? nullptr : &found->second;
  }

  std::string where(const std::string& key) const { return file_.path() + ": metadata " + key; }

  // An own key through `parse(text, where)`.
  template <typename Parse>
  auto own(const std::string& key, Parse parse) const {
    std::optional<Stated<decltype(parse(std::string_view(), std::string_view()))>> out;
    if (const std::string* text = find(key)) out = {parse(*text, where(key)), key};
    return out;
  }

  // A free-text key, when the own one is silent.
  template <typename T, typename Parse>
  void free_text(const std::string& key, std::optional<Stated<T>>& out, Parse parse,
                 std::vector<std::string>& not_understood) const {
    const std::string* text = find(key);
    if (out || text == nullptr) return;
    if (const std::optional<T> value = parse(*text)) {
      out = {*value, key};
    } else {
      not_understood.push_back(key);
    }
  }

 private:
  const WeightFile& file_;
};

[[noreturn]] void refuse(std::string_view where, std::string_view text, const char* wanted) {
  fail_input(std::string(where) + " is " + in_quotes(std::string(text)) + ", not " + wanted +
             ": correct the metadata or export the file again");
}

double parse_number(std::string_view text, std::string_view where) {
  const auto value = number_in_text(text);
  if (!value) refuse(where, text, "a number");
  return *value;
}

int64_t parse_integer(std::string_view text, std::string_view where) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) refuse(where, text, "an integer");
  return value;
}

std::vector<std::string> parse_names(std::string_view text, std::string_view where) {
  constexpr const char* kWanted = "a JSON list of strings";
  // No nesting is needed, so none is parsed: a hostile text could go deep.
  const auto flat = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > 1) throw std::length_error("nested");
    return true;
  };
  std::vector<std::string> names;
  try {
    const auto list = nlohmann::json::parse(text, flat);
    if (!list.is_array()) refuse(where, text, kWanted);
    for (const auto& name : list) {
      if (!name.is_string()) refuse(where, text, kWanted);
      names.push_back(name.get<std::string>());
    }
  } catch (const nlohmann::json::exception&) {
    refuse(where, text, kWanted);
  } catch (const std::length_error&) {
    refuse(where, text, kWanted);
  }
  return names;
}

}  // namespace

std::optional<double> number_in_text(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<Variant> variant_in_text(std::string_view text) {
  const std::string t = squeezed(text);
  const auto is =
      [&t](std::string_view word) {  // `word`, then the end or something that ends a version
        return t.starts_with(word) && (t.size() == word.size() ||
                                       (!std::isdigit(static_cast<unsigned char>(t[word.size()])) &&
                                        t[word.size()] != '.'));
      };
  if (is("v1.5") || is("resnetv1.5") || is("v1b") || is("resnetv1b")) return Variant::kV15;
  if (is("v1") || is("resnetv1")) return Variant::kV1;
  return std::nullopt;
}

std::optional<PoolMode> pool_in_text(std::string_view text) {
  const std::string t = squeezed(text);
  const bool none = has(t, "nopadding") || has(t, "padding0") || has(t, "padding=0");
  const bool padded = t == "padded" || has(t, "padding1") || has(t, "padding=1") || has(t, "pad1");
  const bool ceil = t == "ceil" || has(t, "ceilmode");
  if (padded && !none && !ceil) return PoolMode::kPadded;
  if (ceil && !padded) return PoolMode::kCeil;
  return std::nullopt;
}

std::optional<InputScale> input_scale_in_text(std::string_view text) {
  const std::string t = squeezed(text);
  if (t == "caffe" || (has(t, "bgr") && has(t, "103.939"))) return InputScale::kCaffe;
  if (has(t, "bgr")) return std::nullopt;
  if (t == "torch" || (has(t, "/255") && has(t, "0.485") && has(t, "0.229")))
    return InputScale::kTorch;
  if (t == "tf" || has(t, "/127.5-1")) return InputScale::kTf;
  if (t == "unit" || (has(t, "/255") && !has(t, "mean") && !has(t, "std")))
    return InputScale::kUnit;
  return std::nullopt;
}

namespace {

// A later key's value: taken where the keys before it are silent, else they must agree.
template <typename T>
void also(const char* what, const std::optional<T>& value, const char* key,
          std::optional<Stated<T>>& out, std::vector<std::string>& contradictions) {
  if (!value) return;
  if (!out) {
    out = {*value, key};
  } else if (out->value != *value) {
    contradictions.push_back(text::format("another {} in {} than in {}", what, out->key, key));
  }
}

// Multi-backend Keras and Keras 3 update the running variance in their own ways; those in between,
// inside of TensorFlow, as TensorFlow does.
std::optional<engine::RunningVariance> running_variance_of_keras(const std::string& version) {
  if (version.starts_with("3.")) return engine::RunningVariance::kBiased;
  const bool own_backend = version.find("tf") == std::string::npos;
  if ((version.starts_with("2.2.") || version.starts_with("2.3.")) && own_backend)
    return engine::RunningVariance::kKeras2;
  if (version.starts_with("2.")) return engine::RunningVariance::kUnbiased;
  return std::nullopt;
}

// What a model that was saved whole says of itself. The published files of weights have a version
// too, but not the one that they are trained on with.
void read_keras(const KeyReader& keys, MetadataReading& out) {
  constexpr const char* kModelConfig = "keras.model_config";
  const std::string* text = keys.find(kModelConfig);
  if (text == nullptr) return;
  const KerasConfig config = read_keras_config(*text);
  if (!config.understood) out.not_understood.push_back(kModelConfig);
  std::vector<std::string>& against = out.contradictions;
  also("variant", config.variant, kModelConfig, out.variant, against);
  also("pool", config.pool, kModelConfig, out.pool, against);
  also("epsilon", config.bn_epsilon, kModelConfig, out.bn_epsilon, against);
  also("momentum", config.bn_momentum, kModelConfig, out.bn_momentum, against);
  also("input scale", config.input_scale, kModelConfig, out.input_scale, against);
  also("head slope", config.head_slope, kModelConfig, out.head_slope, against);
  also("input size", config.input_size, kModelConfig, out.input_size, against);
  if (const std::string* version = keys.find("keras.version")) {
    also("running variance", running_variance_of_keras(*version), "keras.version",
         out.running_variance, against);
  }
  for (const std::string& phrase : config.contradictions)
    against.push_back(phrase + " in " + kModelConfig);
}

}  // namespace

MetadataReading read_metadata(const WeightFile& file) {
  const KeyReader keys(file);
  if (const std::string* format = keys.find("verace.format"); format != nullptr && *format != "1") {
    fail_input(keys.where("verace.format") + " is " + in_quotes(*format) +
               ", this program knows 1: use a newer Verace");
  }
  MetadataReading out;
  out.variant = keys.own("verace.variant", engine::parse_variant);
  out.pool = keys.own("verace.pool", engine::parse_pool_mode);
  out.input_scale = keys.own("verace.input_scale", engine::parse_input_scale);
  out.running_variance = keys.own("verace.running_variance", engine::parse_running_variance);
  out.bn_epsilon = keys.own("verace.bn_epsilon", parse_number);
  out.bn_momentum = keys.own("verace.bn_momentum", parse_number);
  out.head_slope = keys.own("verace.head_slope", parse_number);
  out.input_size = keys.own("verace.input_size", parse_integer);
  out.head_hidden = keys.own("verace.head_hidden", parse_integer);
  out.class_names = keys.own("verace.class_names", parse_names);
  read_keras(keys, out);
  keys.free_text("variant", out.variant, variant_in_text, out.not_understood);
  keys.free_text("max_pool", out.pool, pool_in_text, out.not_understood);
  keys.free_text("input", out.input_scale, input_scale_in_text, out.not_understood);
  keys.free_text("batch_norm_epsilon", out.bn_epsilon, number_in_text, out.not_understood);
  return out;
}

}  // namespace verace::weights
