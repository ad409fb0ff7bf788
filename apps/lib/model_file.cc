// Between weight files and classifiers.
#include "apps/lib/model_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/transfer.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/mapped_file.h"
#include "weights/name_map.h"
#include "weights/safetensors_checksum.h"
#include "weights/safetensors_header.h"

namespace verace::apps {
namespace {

using weights::ExpectedTensor;
using weights::ModelDescription;
using weights::TensorRole;
using weights::WeightFile;

engine::Parameter& parameter_called(const engine::LayerTable& table, const std::string& name) {
  const size_t dot = name.rfind('.');
  engine::Layer* layer = table.find(name.substr(0, dot));
  VERACE_CHECK(layer != nullptr, name);
  return layer->parameter(name.substr(dot + 1));
}

// The table's tensors among the file's expected ones, head optional.
void read_tensors(const WeightFile& file, const ModelDescription& stored,
                  const engine::LayerTable& table, bool with_head) {
  for (const ExpectedTensor& expected : weights::expected_tensors(stored)) {
    const bool head = expected.name.starts_with("fc.");
    if ((head && !with_head) || expected.role == TensorRole::kConvBias) continue;
    read_stored_tensor(file, expected.name, parameter_called(table, expected.name).value);
  }
}

// Biases of convolutions become part of the running means.
void fold_convolution_biases(const WeightFile& file, const ModelDescription& stored,
                             const engine::LayerTable& table) {
  if (!stored.conv_bias_present) return;
  for (const ExpectedTensor& expected : weights::expected_tensors(stored)) {
    if (expected.role != TensorRole::kBnMean) continue;
    weights::subtract_convolution_bias(file, expected.name,
                                       parameter_called(table, expected.name).value.f32_span());
  }
}

void check_widths(const std::string& path, const ModelDescription& d) {
  if (std::llround(64 * d.width) == d.stem_channels) return;
  fail_input(text::format(
      "{}: the stem has {} channels but the blocks {:g}: networks whose stem is not as wide as the "
      "first blocks are not supported; choose another file",
      path, d.stem_channels, 64 * d.width));
}

// Thresholds and temperature of a file. Thresholds of other probabilities are not taken: programs
// that knew no temperature have stored them.
void read_verdict_metadata(const WeightFile& file, const std::string& path, LoadedModel& model) {
  model.thresholds = thresholds_in_metadata(file.metadata(), path);
  model.calibration = calibration_in_metadata(file.metadata(), path);
  const double temperature = model.calibration ? model.calibration->temperature : 1;
  if (!model.thresholds || model.thresholds->temperature == temperature) return;
  model.description.findings.push_back(
      {"threshold", text::format("{:g}", kFakeThreshold), weights::Source::kAssumption,
       text::format("the file's own was chosen with temperature {:.6g}, but its temperature is "
                    "{:.6g}: choose it again with verace threshold",
                    model.thresholds->temperature, temperature)});
  model.thresholds.reset();
}

}  // namespace

layers::ClassifierOptions network_of(const ModelDescription& d) {
  layers::ClassifierOptions options;
  options.backbone.variant = d.variant;
  options.backbone.pool = d.pool;
  options.backbone.stem_channels = d.stem_channels;
  options.backbone.batch_norm = {d.bn_epsilon, d.bn_momentum, d.running_variance};
  options.input_scale = d.input_scale;
  options.input_size = d.input_size;
  options.head_hidden = d.head_hidden;
  options.head_slope = d.head_slope;
  options.classes = d.classes;
  options.class_names = d.class_names;
  return options;
}

ModelDescription describe_network(const layers::ClassifierOptions& options) {
  ModelDescription d;
  d.variant = options.backbone.variant;
  d.pool = options.backbone.pool;
  d.bn_epsilon = options.backbone.batch_norm.epsilon;
  d.bn_momentum = options.backbone.batch_norm.momentum;
  d.running_variance = options.backbone.batch_norm.running_variance;
  d.input_scale = options.input_scale;
  d.input_size = options.input_size;
  d.stem_channels = options.backbone.stem_channels;
  d.width = static_cast<double>(d.stem_channels) / 64;
  d.head_hidden = options.head_hidden;
  d.head_slope = options.head_slope;
  d.classes = options.classes;
  d.class_names = options.class_names;
  return d;
}

LoadedModel load_model(const std::string& path, const weights::Overrides& overrides) {
  const WeightFile file(path);
  LoadedModel model;
  model.description = weights::describe(file, overrides);
  read_verdict_metadata(file, path, model);
  model.crop = crop_in_metadata(file.metadata(), path);
  weights::check_against(file, model.description);
  check_widths(path, model.description);
  if (model.description.classes == 0) {
    fail_input(path + ": holds a backbone without a head: train one first (train --weights)");
  }
  model.classifier = std::make_unique<layers::Classifier>(network_of(model.description));
  read_tensors(file, model.description, model.classifier->table(), true);
  fold_convolution_biases(file, model.description, model.classifier->table());
  return model;
}

LoadedModel load_backbone(const std::string& path, const weights::Overrides& overrides,
                          const HeadOptions& head) {
  const WeightFile file(path);
  LoadedModel model;
  const ModelDescription stored = weights::describe(file, overrides, weights::Use::kBackbone);
  weights::check_against(file, stored);
  check_widths(path, stored);
  model.description = stored;
  model.description.head_hidden = head.hidden;
  model.description.head_slope = head.hidden > 0 ? head.slope : 0.0;
  model.description.classes = head.classes;
  model.description.class_names = head.class_names;
  if (head.input_size) model.description.input_size = *head.input_size;
  // What was found out about the old head does not concern the new one.
  std::erase_if(model.description.findings, [&](const weights::Finding& finding) {
    return finding.what == "classes" || finding.what == "class names" ||
           finding.what.find("head") != std::string::npos ||
           (head.input_size && finding.what == "input size");
  });
  model.classifier = std::make_unique<layers::Classifier>(network_of(model.description));
  read_tensors(file, stored, model.classifier->table(), false);
  fold_convolution_biases(file, stored, model.classifier->table());
  model.classifier->initialise_head(head.initialisation, head.seed);
  return model;
}

LoadedModel make_model(const layers::ClassifierOptions& options, layers::Initialisation how,
                       uint64_t seed) {
  LoadedModel model{std::make_unique<layers::Classifier>(options), describe_network(options), {}};
  model.classifier->initialise_all(how, seed);
  return model;
}

StoredNetwork stored_network(const layers::Classifier& classifier) {
  StoredNetwork stored;
  stored.metadata = weights::metadata_of(describe_network(classifier.options()));
  const std::vector<engine::Parameter*> parameters = classifier.table().parameters();
  stored.owned.reserve(parameters.size());
  for (const engine::Parameter* parameter : parameters) {
    stored.tensors.push_back(stored_tensor(parameter->name, parameter->value, stored.owned));
  }
  return stored;
}

weights::TensorToWrite stored_tensor(const std::string& name, const engine::Tensor& tensor,
                                     std::vector<std::vector<float>>& owned) {
  const engine::Shape& s = tensor.shape();
  const bool on_host = tensor.memory() == engine::MemoryKind::kHost;
  std::vector<float> copy;
  if (!on_host) copy = engine::read(tensor);
  const std::span<const float> from = on_host ? tensor.f32_span() : std::span<float>(copy);
  if (s.size() != 4) {
    if (!on_host) owned.push_back(std::move(copy));  // `from` stays where it is
    return {name, s, from};
  }
  const std::vector<int64_t> oihw = {s[0], s[3], s[1], s[2]};
  std::vector<float>& values = owned.emplace_back(static_cast<size_t>(tensor.count()));
  weights::ohwi_to_oihw(from, oihw, values);
  return {name, oihw, values};
}

void read_stored_tensor(const WeightFile& file, const std::string& name,
                        const engine::Tensor& target) {
  const engine::Shape& s = target.shape();
  const bool filter = s.size() == 4;
  const std::vector<int64_t> wanted =
      filter ? std::vector<int64_t>{s[0], s[3], s[1], s[2]} : std::vector<int64_t>(s);
  const weights::TensorView& tensor = file.at(name);
  if (tensor.shape != wanted) {
    fail_input(text::format("{}: tensor '{}' has shape {}, expected {}: the file is of another run",
                            file.path(), name, weights::shape_text(tensor.shape),
                            weights::shape_text(wanted)));
  }
  const bool on_host = target.memory() == engine::MemoryKind::kHost;
  std::vector<float> copy(on_host ? 0 : static_cast<size_t>(target.count()));
  const std::span<float> values = on_host ? target.f32_span() : std::span<float>(copy);
  if (filter) {
    file.read_filter_f32(name, values);
  } else {
    file.read_f32(name, values);
  }
  // A ReLU makes 0 of them, so that the network's answers would not show them.
  const auto bad = std::ranges::count_if(values, [](float v) { return !std::isfinite(v); });
  if (bad > 0) {
    fail_input(
        text::format("{}: tensor '{}': {} of {} values are not finite: the training that made the "
                     "file has failed, or it is damaged; take another",
                     file.path(), name, bad, values.size()));
  }
  if (!on_host) engine::write(target, copy);
}

void save_model(const std::string& path, const layers::Classifier& classifier,
                const std::optional<ChosenThresholds>& thresholds,
                const std::optional<CropRecord>& crop) {
  StoredNetwork stored = stored_network(classifier);
  if (thresholds) stored.metadata[kThresholdKey] = thresholds_to_metadata(*thresholds);
  if (crop) stored.metadata[kCropKey] = crop_to_metadata(*crop);
  weights::write_safetensors(path, stored.tensors, stored.metadata);
}

FileVersion file_version(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {status.st_ino, int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

void check_keeps_thresholds(const std::string& path) {
  if (WeightFile(path).format() == weights::Format::kSafetensors) return;
  fail_input(path +
             ": only a safetensors file can keep thresholds: convert it first (verace weights "
             "convert)");
}

void store_thresholds(const std::string& path, const std::string& target,
                      const VerdictMetadata& stored, const FileVersion& chosen_with) {
  const weights::MappedFile file(path);
  if (file_version(path) != chosen_with) {
    fail_input(text::format(
        "{}: the file has been replaced while it was judged: run the command again", path));
  }
  check_keeps_thresholds(path);
  if (weights::check_checksum(path) == weights::Checksum::kWrong) {  // else the copy's were right
    fail_input(path +
               ": is damaged: its bytes are not those that were written (checksum): take another "
               "file");
  }
  // As the file spells them, not as WeightFile translates them.
  weights::TensorTable table = weights::parse_safetensors(file.bytes(), path);
  std::vector<weights::TensorToWrite> tensors;
  for (const weights::TensorView& tensor : table.tensors) {
    tensors.emplace_back(tensor.name, tensor.shape, tensor.dtype, tensor.bytes);
  }
  std::map<std::string, std::string>& metadata = table.metadata;
  metadata.erase(kThresholdKey);
  metadata.erase(kCalibrationKey);
  if (stored.thresholds) metadata[kThresholdKey] = thresholds_to_metadata(*stored.thresholds);
  if (stored.calibration) metadata[kCalibrationKey] = calibration_to_metadata(*stored.calibration);
  weights::write_safetensors(target, tensors, metadata);
}

ClassIndices class_indices(const layers::ClassifierOptions& options, const std::string& path) {
  const std::vector<std::string>& names = options.class_names;
  if (options.classes == 2) {
    if (names.empty() || names == std::vector<std::string>{"real", "fake"}) return {0, 1};
    if (names == std::vector<std::string>{"fake", "real"}) return {1, 0};
  }
  fail_input(
      text::format("{}: the network tells {} classes apart ({}), not real and fake: train a "
                   "head for them first (train --weights)",
                   path, options.classes, names.empty() ? "unnamed" : names.front() + " ..."));
}

}  // namespace verace::apps
