// SAX parsing of the header: one function per JSON event, the state says which may come.
#include "weights/header_sax.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/safetensors_header.h"

namespace verace::weights {
namespace {

using Json = nlohmann::json;

class HeaderSax final : public nlohmann::json_sax<Json> {
 public:
  HeaderSax(Header& header, const std::string& path) : header_(header), path_(path) {}

  bool null() override { refuse("null"); }
  bool boolean(bool) override { refuse("a boolean"); }
  bool number_integer(number_integer_t) override { refuse("a negative number"); }
  bool number_float(number_float_t, const string_t& text) override {
    refuse("the number " + text + " (not a 64-bit integer)");
  }
  bool binary(binary_t&) override { refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kShape && place_ != Place::kOffsets) refuse("a number");
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<int64_t>::max())) {
      refuse("the number " + std::to_string(value) + " (beyond 2^63 - 1)");
    }
    auto& list = place_ == Place::kShape ? entry().shape : entry().offsets;
    if (list.size() == (place_ == Place::kShape ? kMaxRank : 2)) refuse("too many numbers");
    list.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      header_.metadata[key_] = std::move(value);
      return true;
    }
    if (place_ != Place::kEntry || key_ != "dtype") refuse("a string");
    const auto dtype = parse_dtype(value);
    if (!dtype) {
      fail_input(
          text::format("{}: tensor {} has the unknown dtype {}: convert it to F32, F16 or BF16",
                       path_, in_quotes(entry().name), in_quotes(value)));
    }
    entry().dtype = *dtype;
    return true;
  }

  bool start_object(size_t) override {
    keys_.clear();  // the keys of the innermost object; names have their own set
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop && key_ == "__metadata__") {
      place_ = Place::kMetadata;
    } else if (place_ == Place::kTop) {
      place_ = Place::kEntry;
      header_.entries.push_back({key_, {}, {}, {}});
    } else {
      refuse("an object");
    }
    return true;
  }

  bool key(string_t& value) override {
    const bool is_new = (place_ == Place::kTop ? names_ : keys_).insert(value).second;
    if (!is_new) {
      fail_input(text::format("{}: the header names {} twice{}: {}", path_, in_quotes(value),
                              where(), kExportAgain));
    }
    if (place_ == Place::kEntry && value != "dtype" && value != "shape" &&
        value != "data_offsets") {
      refuse("the unknown key " + in_quotes(value));
    }
    key_ = value;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kEntry && keys_.size() != 3) {
      fail_input(text::format("{}: tensor {} lacks dtype, shape or data_offsets: {}", path_,
                              in_quotes(entry().name), kExportAgain));
    }
    place_ = place_ == Place::kTop ? Place::kDone : Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ == Place::kEntry && key_ == "shape") {
      place_ = Place::kShape;
    } else if (place_ == Place::kEntry && key_ == "data_offsets") {
      place_ = Place::kOffsets;
    } else {
      refuse("a list");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && entry().offsets.size() != 2) refuse("fewer than two numbers");
    place_ = Place::kEntry;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const Json::exception&) override {
    fail_input(text::format("{}: the header is not valid JSON (at its byte {}): {}", path_,
                            position, kExportAgain));
  }

 private:
  enum class Place { kStart, kTop, kEntry, kMetadata, kShape, kOffsets, kDone };

  HeaderEntry& entry() { return header_.entries.back(); }

  std::string where() const {
    switch (place_) {
      case Place::kMetadata:
        return " in __metadata__ (which maps strings to strings)";
      case Place::kEntry:
        return text::format(" in tensor {}", in_quotes(header_.entries.back().name));
      case Place::kShape:
        return text::format(" in the shape of tensor {}", in_quotes(header_.entries.back().name));
      case Place::kOffsets:
        return text::format(" in the data_offsets of tensor {}",
                            in_quotes(header_.entries.back().name));
      case Place::kTop:
        return key_.empty() ? "" : text::format(" as the entry {}", in_quotes(key_));
      default:
        return "";
    }
  }

  [[noreturn]] void refuse(const std::string& found) const {
    fail_input(text::format("{}: the header has {}{}: {}", path_, found, where(), kExportAgain));
  }

  Header& header_;
  const std::string& path_;
  Place place_ = Place::kStart;
  std::string key_;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> keys_;
};

}  // namespace

Header parse_header_json(const std::string& text, const std::string& path) {
  // The parser takes a NUL for the end of its input and would ignore what follows.
  if (text.find('\0') != std::string::npos) {
    fail_input(text::format("{}: the header is not valid JSON (it has a NUL byte): {}", path,
                            kExportAgain));
  }
  Header header;
  HeaderSax sax(header, path);
  Json::sax_parse(text, &sax);
  return header;
}

}  // namespace verace::weights
