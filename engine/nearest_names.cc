// Levenshtein's distance, and the names with the smallest ones.
#include "engine/nearest_names.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace verace::engine {
namespace {

size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_names(const std::vector<std::string>& names, const std::string& name) {
  constexpr size_t kOffered = 3;
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const std::string& candidate : names) {
    ranked.emplace_back(distance(name, candidate), candidate);
  }
  std::ranges::sort(ranked);
  ranked.erase(std::unique(ranked.begin(), ranked.end()), ranked.end());
  const size_t count = std::min(kOffered, ranked.size());
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    text += (i == 0 ? "" : i + 1 == count ? " or " : ", ") + ranked[i].second;
  }
  return text;
}

}  // namespace verace::engine
