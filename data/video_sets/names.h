// Reading the names of videos piece by piece: "id1_id0_0007".
#pragma once

#include <string_view>

namespace verace::data {

class NameReader {
 public:
  explicit NameReader(std::string_view name) : rest_(name) {}

  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  // One or more digits; empty: there are none.
  std::string_view number() {
    size_t size = 0;
    while (size < rest_.size() && rest_[size] >= '0' && rest_[size] <= '9') ++size;
    const std::string_view digits = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return digits;
  }

  std::string_view rest() const { return rest_; }
  bool done() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

}  // namespace verace::data
