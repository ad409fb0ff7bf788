// Parsing of the index: SAX, because a hostile one could nest deep or repeat names.
#include "weights/safetensors_index.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/tensor_table.h"

namespace verace::weights {
namespace {

using Json = nlohmann::json;

constexpr const char* kIndexAdvice = "fetch the index again, or name a safetensors file";
constexpr int kMaxDepth = 8;  // "metadata" is free, but nobody nests it

// A name of a file in the same folder and nothing else.
bool is_plain_file_name(const std::string& name) {
  const bool only_name = name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
  return !name.empty() && name.size() <= 255 && only_name && name.front() != '.';
}

class IndexSax final : public nlohmann::json_sax<Json> {
 public:
  IndexSax(SafetensorsIndex& index, const std::string& path) : index_(index), path_(path) {}

  bool null() override { return scalar("null"); }
  bool boolean(bool) override { return scalar("a boolean"); }
  bool number_integer(number_integer_t) override { return scalar("a number"); }
  bool number_unsigned(number_unsigned_t) override { return scalar("a number"); }
  bool number_float(number_float_t, const string_t&) override { return scalar("a number"); }
  bool binary(binary_t&) override { return scalar("binary data"); }

  bool string(string_t& value) override {
    if (!in_map_) return scalar("a string");
    if (!is_plain_file_name(value)) {
      fail_input(
          text::format("{}: tensor {} is in {}, which is not the name of a file beside the "
                       "index: {}",
                       path_, in_quotes(key_), in_quotes(value), kIndexAdvice));
    }
    shards_.insert(value);
    if (shards_.size() > kMaxShards) {
      fail_input(text::format("{}: names more than {} files: {}", path_, kMaxShards, kIndexAdvice));
    }
    index_.shard_of[key_] = std::move(value);
    return true;
  }

  bool start_object(size_t) override {
    if (in_map_) refuse("an object in weight_map");
    if (++depth_ > kMaxDepth) refuse("objects nested too deep");
    if (depth_ == 2 && key_ == "weight_map") in_map_ = has_map_ = true;
    return true;
  }
  bool end_object() override {
    in_map_ = false;
    --depth_;
    return true;
  }
  bool start_array(size_t) override {
    if (in_map_ || depth_ == 0) refuse("a list");
    if (++depth_ > kMaxDepth) refuse("lists nested too deep");
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool key(string_t& value) override {
    const bool repeated =
        in_map_ ? index_.shard_of.contains(value) : depth_ == 1 && !top_keys_.insert(value).second;
    if (repeated) {
      fail_input(text::format("{}: names {} twice: {}", path_, in_quotes(value), kIndexAdvice));
    }
    key_ = value;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception&) override {
    fail_input(
        text::format("{}: is not valid JSON (at its byte {}): {}", path_, position, kIndexAdvice));
  }

  void finish() {
    if (!has_map_ || shards_.empty()) {
      fail_input(
          text::format("{}: is JSON, but no index of a safetensors model (it has no "
                       "weight_map): name a weight file",
                       path_));
    }
    index_.shards.assign(shards_.begin(), shards_.end());
  }

 private:
  bool scalar(const char* found) {
    if (in_map_) refuse(found + std::string(" in weight_map"));
    if (depth_ == 1 && key_ == "weight_map") refuse(found + std::string(" as weight_map"));
    return true;
  }
  [[noreturn]] void refuse(const std::string& found) const {
    fail_input(text::format("{}: the index has {}: {}", path_, found, kIndexAdvice));
  }

  SafetensorsIndex& index_;
  const std::string& path_;
  int depth_ = 0;
  bool in_map_ = false, has_map_ = false;
  std::string key_;
  std::set<std::string> top_keys_, shards_;
};

}  // namespace

bool looks_like_index(std::span<const std::byte> file) {
  constexpr size_t kLook = 8;
  if (file.size() < kLook) return false;
  const std::string_view head(reinterpret_cast<const char*>(file.data()), kLook);
  const size_t start = head.find_first_not_of(" \t\r\n");
  return start != std::string_view::npos && head[start] == '{' && head.back() != '\0';
}

SafetensorsIndex parse_safetensors_index(std::span<const std::byte> file, const std::string& path) {
  if (file.size() > kMaxIndexBytes) {
    fail_input(text::format("{}: begins like an index of shards but has {} bytes (at most {}): {}",
                            path, file.size(), kMaxIndexBytes, kIndexAdvice));
  }
  const std::string text(reinterpret_cast<const char*>(file.data()), file.size());
  // The parser takes a NUL for the end of its input and would ignore what follows.
  if (text.find('\0') != std::string::npos) {
    fail_input(text::format("{}: is not valid JSON (it has a NUL byte): {}", path, kIndexAdvice));
  }
  SafetensorsIndex index;
  IndexSax sax(index, path);
  Json::sax_parse(text, &sax);
  sax.finish();
  return index;
}

}  // namespace verace::weights
