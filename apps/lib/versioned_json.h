// Reading the JSON files of a run, of which nothing is believed. Includes the JSON library: for .cc
// files.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {

using Json = nlohmann::ordered_json;  // keys in the order of writing: people read these files

// What no run reaches, and what sums and plots can still take.
inline constexpr double kMostLoss = 1e300, kMostSeconds = 1e12;

// As a file: indented; bytes that are no UTF-8 become U+FFFD.
inline std::string json_text(const Json& json) {
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// null for what is not there and for what JSON cannot write: infinities, NaN.
inline Json number_or_null(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? Json(*value) : Json();
}

// What a file holds instead of what it should; read_versioned() turns it into an Error.
struct BadJson : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// An object, of which every value is checked as it is taken. Throws BadJson naming the key.
class JsonReader {
 public:
  explicit JsonReader(const Json& json) : json_(json) {
    if (!json.is_object()) throw BadJson("not an object where one should be");
  }

  bool has(const char* key) const { return json_.contains(key); }
  bool is_null(const char* key) const { return at(key).is_null(); }
  std::string text(const char* key) const {
    return wanted(key, at(key).is_string()).get<std::string>();
  }
  bool flag(const char* key) const { return wanted(key, at(key).is_boolean()).get<bool>(); }
  // A whole number from 0 on, as large as its type holds: a seed.
  uint64_t whole(const char* key) const {
    return wanted(key, at(key).is_number_unsigned()).get<uint64_t>();
  }
  // A whole number from 0 to `most`.
  int64_t count(const char* key, int64_t most = std::numeric_limits<int64_t>::max()) const {
    const uint64_t number = whole(key);
    wanted(key, number <= static_cast<uint64_t>(most));
    return static_cast<int64_t>(number);
  }
  // A number from `low` to `high`.
  double number(const char* key, double low, double high) const {
    const double value = wanted(key, at(key).is_number()).get<double>();
    wanted(key, value >= low && value <= high);
    return value;
  }
  JsonReader object(const char* key) const { return JsonReader(wanted(key, at(key).is_object())); }
  const Json& array(const char* key) const { return wanted(key, at(key).is_array()); }
  // take(JsonReader) for every object of an array.
  template <typename Take>
  void for_each(const char* key, Take take) const {
    for (const Json& one : array(key)) take(JsonReader(one));
  }
  const Json& at(const char* key) const {
    const auto found = json_.find(key);
    if (found == json_.end()) throw BadJson(text::format("{} is missing", key));
    return *found;
  }

 private:
  const Json& wanted(const char* key, bool good) const {
    if (!good) throw BadJson(text::format("{} is not what it should be", key));
    return at(key);
  }

  const Json& json_;
};

// read(JsonReader of the whole) of a JSON text with "version": `version`. Throws Error(kInput)
// naming `where` for a newer version and for what cannot be read.
template <typename Read>
auto read_versioned(const std::string& json, const std::string& where, int64_t version, Read read) {
  std::string why;
  try {
    const Json parsed = Json::parse(json);
    const JsonReader object(parsed);
    if (const int64_t found = object.count("version"); found != version) {
      fail_input(text::format("{}: is of version {}, this program knows {}: {}", where, found,
                              version,
                              found > version ? "use a newer Verace" : "use the file as it was"));
    }
    return read(object);
  } catch (const BadJson& error) {
    why = error.what();
  } catch (const Json::exception&) {
    why = "not JSON";
  }
  fail_input(text::format("{}: cannot be read ({}): use the file as verace wrote it", where, why));
}

}  // namespace verace::apps
