// Formatting of inspection reports.
#include "weights/inspect.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/name_map.h"
#include "weights/safetensors_checksum.h"

namespace verace::weights {
namespace {

struct Statistics {
  double minimum = std::numeric_limits<double>::infinity();
  double maximum = -std::numeric_limits<double>::infinity();
  double sum = 0;
  int64_t finite = 0;
  int64_t not_finite = 0;

  double mean() const { return sum / static_cast<double>(finite); }
};

// Nothing for types that we do not convert.
std::optional<Statistics> statistics_of(const WeightFile& file, const TensorView& tensor) {
  if (!is_exact_in_f32(tensor.dtype)) return std::nullopt;
  Statistics out;
  for (const float value : file.read_f32(tensor.name)) {
    if (!std::isfinite(value)) {
      ++out.not_finite;
      continue;
    }
    out.minimum = std::min<double>(out.minimum, value);
    out.maximum = std::max<double>(out.maximum, value);
    out.sum += value;
    ++out.finite;
  }
  return out;
}

// 1234567 -> "1,234,567".
std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), 1, ',');
  return digits;
}

int64_t byte_count(const TensorView& tensor) {
  return tensor.element_count() * size_of(tensor.dtype);
}

// A name for a table cell: without the quotes of in_quotes().
std::string cell(const std::string& text) {
  const std::string safe = in_quotes(text);
  return safe.substr(1, safe.size() - 2);
}

std::string statistics_text(const WeightFile& file, const TensorView& tensor) {
  const auto statistics = statistics_of(file, tensor);
  if (!statistics) return "";
  std::string out = statistics->finite == 0
                        ? std::string(36, ' ')
                        : text::format("{:>12.5g}{:>12.5g}{:>12.5g}", statistics->minimum,
                                       statistics->maximum, statistics->mean());
  if (statistics->not_finite > 0)
    out += text::format("  {} NOT FINITE", grouped(statistics->not_finite));
  return out;
}

constexpr std::string_view kStored = "stored as";

std::string tensor_lines(const WeightFile& file, bool statistics) {
  size_t name_width = 4, shape_width = 5, stored_width = 0;  // 0: no such column
  for (const TensorView& tensor : file.tensors()) {
    name_width = std::max(name_width, cell(tensor.name).size());
    if (!tensor.stored_name.empty())
      stored_width = std::max({stored_width, cell(tensor.stored_name).size(), kStored.size()});
    shape_width = std::max(shape_width, shape_text(tensor.shape).size());
  }
  const auto stored = [stored_width](const std::string& text) {
    return stored_width == 0 ? "" : text::format("{:<{}}  ", text, stored_width);
  };
  std::string out = text::format("{:<{}}  {}{:<7}  {:<{}}  {:>13}{}\n", "name", name_width,
                                 stored(std::string(kStored)), "dtype", "shape", shape_width,
                                 "bytes", statistics ? "         min         max        mean" : "");
  for (const TensorView& tensor : file.tensors()) {
    out += text::format("{:<{}}  {}{:<7}  {:<{}}  {:>13}{}\n", cell(tensor.name), name_width,
                        stored(cell(tensor.name_in_file())), to_string(tensor.dtype),
                        shape_text(tensor.shape), shape_width, grouped(byte_count(tensor)),
                        statistics ? statistics_text(file, tensor) : "");
  }
  return out;
}

std::string total_line(const WeightFile& file) {
  int64_t elements = 0, bytes = 0;
  std::map<std::string, int64_t> by_dtype;
  for (const TensorView& tensor : file.tensors()) {
    elements += tensor.element_count();
    bytes += byte_count(tensor);
    ++by_dtype[std::string(to_string(tensor.dtype))];
  }
  std::string types;
  for (const auto& [dtype, count] : by_dtype) {
    types += text::format("{}{} {}", types.empty() ? "" : ", ", count, dtype);
  }
  return text::format("total: {} tensors ({}), {} values, {} bytes of data in a file of {} bytes\n",
                      file.tensors().size(), types, grouped(elements), grouped(bytes),
                      grouped(file.file_bytes()));
}

std::string network_lines(const Inspection& seen) {
  std::string out = "\nnetwork\n";
  if (!seen.network) return out + "  REFUSED: " + seen.refusal + "\n";
  for (const Finding& finding : seen.network->findings) {
    out += text::format("  {:<26}{:<12}{:<12}{}\n", finding.what, one_line(finding.value),
                        to_string(finding.source), one_line(finding.why));
  }
  const bool whole = seen.mismatch.empty();
  return out + "  " + (whole ? "all tensors of ResNet-50 are there" : seen.mismatch) + "\n";
}

nlohmann::ordered_json tensor_json(const WeightFile& file, const TensorView& tensor,
                                   bool statistics) {
  nlohmann::ordered_json out{{"name", tensor.name},
                             {"dtype", to_string(tensor.dtype)},
                             {"shape", tensor.shape},
                             {"bytes", byte_count(tensor)}};
  if (!tensor.stored_name.empty()) out["stored_name"] = tensor.stored_name;
  const auto values = statistics ? statistics_of(file, tensor) : std::nullopt;
  if (values && values->finite > 0) {
    out["min"] = values->minimum;
    out["max"] = values->maximum;
    out["mean"] = values->mean();
  }
  if (values) out["not_finite"] = values->not_finite;
  return out;
}

nlohmann::ordered_json network_json(const ModelDescription& d, const Naming& naming) {
  return {{"variant", engine::to_string(d.variant)},
          {"pool", engine::to_string(d.pool)},
          {"bn_epsilon", d.bn_epsilon},
          {"bn_momentum", d.bn_momentum},
          {"running_variance", engine::to_string(d.running_variance)},
          {"input_scale", engine::to_string(d.input_scale)},
          {"input_size", d.input_size},
          {"width", d.width},
          {"stem_channels", d.stem_channels},
          {"head_hidden", d.head_hidden},
          {"head_slope", d.head_slope},
          {"classes", d.classes},
          {"class_names", d.class_names},
          {"conv_bias_present", d.conv_bias_present},
          {"names", to_string(naming.family)},
          {"name_prefix", naming.prefix}};
}

// Empty: the file has nothing to tell it by.
std::string checksum_verdict(const WeightFile& file) {
  if (!file.metadata().contains(kChecksumKey)) return "";
  // A checksum that is not where ours stands is none of ours any more.
  return check_checksum(file.path()) == Checksum::kRight ? "right" : "wrong";
}

}  // namespace

Inspection inspect(const WeightFile& file, const Overrides& overrides) {
  Inspection seen{file, {}, "", "", checksum_verdict(file)};
  try {
    seen.network = describe(file, overrides);
    seen.mismatch = find_mismatch(file, *seen.network);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    seen.refusal = error.what();  // a file of another network can be looked at as well
  }
  return seen;
}

std::string inspect_table(const Inspection& seen, bool statistics) {
  const WeightFile& file = seen.file;
  std::string out = text::format("{}: {}\n", file.path(), to_string(file.format())) +
                    tensor_lines(file, statistics) + total_line(file);
  if (!file.metadata().empty()) out += "\nmetadata\n";
  for (const auto& [key, value] : file.metadata()) {
    out += text::format("  {:<26}{}\n", cell(key), cell(value));
  }
  if (seen.checksum == "right") out += "\nchecksum: every byte is as it was written\n";
  if (seen.checksum == "wrong")
    out += "\nchecksum: WRONG: the file was damaged after it was written\n";
  return out + network_lines(seen);
}

std::string inspect_json(const Inspection& seen, bool statistics) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
  };
  const WeightFile& file = seen.file;
  nlohmann::ordered_json out{
      {"file", file.path()}, {"format", to_string(file.format())}, {"bytes", file.file_bytes()}};
  out["metadata"] = file.metadata();
  out["checksum"] = text_or_null(seen.checksum);
  out["tensors"] = nlohmann::ordered_json::array();
  for (const TensorView& tensor : file.tensors()) {
    out["tensors"].push_back(tensor_json(file, tensor, statistics));
  }
  out["network"] = nullptr;
  out["findings"] = nlohmann::ordered_json::array();
  if (seen.network) {
    out["network"] = network_json(*seen.network, file.naming());
    for (const Finding& finding : seen.network->findings) {
      out["findings"].push_back({{"what", finding.what},
                                 {"value", finding.value},
                                 {"source", to_string(finding.source)},
                                 {"why", finding.why}});
    }
  }
  out["refusal"] = text_or_null(seen.refusal);
  out["mismatch"] = text_or_null(seen.mismatch);
  out["usable"] = seen.is_usable();
  // The path may hold bytes that are not UTF-8.
  return out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace verace::weights
