// Comparing names with numbers in them.
#include "data/natural_order.h"

#include <cstddef>

#include "data/text.h"

namespace verace::data {
namespace {

// The digits at `at` without leading zeros; `at` moves behind them.
std::string_view number_at(std::string_view text, size_t& at) {
  size_t begin = at;
  while (at < text.size() && is_digit(text[at])) ++at;
  while (begin + 1 < at && text[begin] == '0') ++begin;
  return text.substr(begin, at - begin);
}

}  // namespace

bool natural_less(std::string_view a, std::string_view b) {
  size_t i = 0, k = 0;
  while (i < a.size() && k < b.size()) {
    if (is_digit(a[i]) && is_digit(b[k])) {
      const std::string_view x = number_at(a, i), y = number_at(b, k);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else if (a[i] != b[k]) {
      return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[k]);
    } else {
      ++i;
      ++k;
    }
  }
  const size_t left_a = a.size() - i, left_b = b.size() - k;
  if (left_a != left_b) return left_a < left_b;
  if (a.size() != b.size()) return a.size() < b.size();
  return a < b;  // equal but for where their zeros stand
}

}  // namespace verace::data
