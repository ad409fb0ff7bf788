// Collecting the tensors, and what the new file says about them.
#include "apps/lib/weights_convert.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <vector>

#include "apps/lib/crop_record.h"
#include "apps/lib/threshold.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/metadata_reading.h"
#include "weights/name_map.h"
#include "weights/safetensors.h"
#include "weights/torch/torch_write.h"
#include "weights/weight_file.h"

namespace verace::apps {
namespace {

using weights::Dtype;
using weights::ExpectedTensor;
using weights::TensorRole;
using weights::TensorView;
using weights::WeightFile;

// The tensors to write and the buffers of those that are not the file's own bytes.
struct Content {
  std::vector<weights::TensorToWrite> tensors;
  std::deque<std::vector<std::byte>> owned;  // a deque: its elements do not move
};

void check_finite(const WeightFile& file, const TensorView& tensor) {
  const std::vector<float> values = file.read_f32(tensor.name);
  const auto bad = std::ranges::count_if(values, [](float v) { return !std::isfinite(v); });
  if (bad == 0) return;
  fail_input(
      text::format("{}: tensor {}: {} of {} values are not finite: the training that made "
                   "the file has failed, or it is damaged; take another",
                   file.path(), weights::in_quotes(tensor.name_in_file()), bad, values.size()));
}

void add_as_it_is(const TensorView& tensor, Content& content) {
  std::vector<std::byte> buffer;
  std::span<const std::byte> bytes = weights::dense_bytes(tensor, buffer);
  if (!buffer.empty()) bytes = content.owned.emplace_back(std::move(buffer));
  content.tensors.emplace_back(tensor.name, tensor.shape, tensor.dtype, bytes);
}

// Whether there was a bias to fold.
bool add_mean(const WeightFile& file, const TensorView& tensor, Content& content) {
  std::vector<float> mean = file.read_f32(tensor.name);
  if (!weights::subtract_convolution_bias(file, tensor.name, mean)) {
    add_as_it_is(tensor, content);
    return false;
  }
  const auto bytes = std::as_bytes(std::span(mean));
  content.owned.emplace_back(bytes.begin(), bytes.end());
  content.tensors.emplace_back(tensor.name, tensor.shape, Dtype::kF32, content.owned.back());
  return true;
}

// Keys whose meaning is in our own ones now.
bool is_replaced(const std::string& key) {
  if (key == kThresholdKey || key == kCalibrationKey || key == kCropKey) return false;
  for (const char* start : {"verace.", "keras.", "torch."}) {
    if (key.starts_with(start)) return true;
  }
  return weights::is_free_text_key(key);
}

std::map<std::string, std::string> metadata_for(const WeightFile& file,
                                                const weights::ModelDescription& description) {
  std::map<std::string, std::string> metadata = file.metadata();
  std::erase_if(metadata, [](const auto& entry) { return is_replaced(entry.first); });
  for (auto& [key, value] : weights::metadata_of(description)) metadata[key] = value;
  return metadata;
}

}  // namespace

Converted convert_weights(const ConvertOptions& options) {
  const WeightFile file(options.input);
  Converted out;
  out.description = weights::describe(file, options.overrides);
  weights::check_against(file, out.description);
  Content content;
  for (const ExpectedTensor& expected : weights::expected_tensors(out.description)) {
    const TensorView* tensor = file.find(expected.name);
    if (tensor == nullptr) continue;  // an optional one: check_against() was satisfied
    check_finite(file, *tensor);
    const bool fold = !options.keep_conv_biases;
    if (fold && expected.role == TensorRole::kConvBias) continue;
    if (fold && expected.role == TensorRole::kBnMean) {
      out.folded_biases += add_mean(file, *tensor, content) ? 1 : 0;
      // PyTorch's counter stands behind the statistics.
    } else {
      add_as_it_is(*tensor, content);
    }
    if (expected.role != TensorRole::kBnVariance) continue;
    const std::string layer = expected.name.substr(0, expected.name.rfind('.'));
    if (const TensorView* counter = file.find(layer + ".num_batches_tracked"))
      add_as_it_is(*counter, content);
  }
  for (const TensorView& tensor : file.tensors())
    out.left_out += tensor.name.starts_with("optimizer.") ? 1 : 0;
  out.tensors = static_cast<int64_t>(content.tensors.size());
  if (!options.keep_conv_biases) out.description.conv_bias_present = false;
  const auto metadata = metadata_for(file, out.description);
  switch (options.to) {
    case WeightsFormat::kSafetensors:
      weights::write_safetensors(options.output, content.tensors, metadata);
      return out;
    case WeightsFormat::kPth:
      weights::write_torch_zip(options.output, content.tensors, metadata);
      return out;
  }
  fail_check("format is in its enum", __FILE__, __LINE__, "");
}

}  // namespace verace::apps
