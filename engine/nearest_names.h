// Names that a mistyped one may have meant.
#pragma once

#include <string>
#include <vector>

namespace verace::engine {

// The three names (or fewer) nearest to `name` by Levenshtein's distance (insertions, deletions and
// replacements of characters), equally near ones in alphabetical order: "a, b or c". Empty without
// names.
std::string nearest_names(const std::vector<std::string>& names, const std::string& name);

}  // namespace verace::engine
