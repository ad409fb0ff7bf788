// The index of a dump: index.csv for programs, index.html for people.
#pragma once

#include <string>
#include <vector>

#include "apps/lib/dump/dump.h"

namespace verace::apps {

// One line per tensor, in the order of the step: order, layer, operation, tensor, kind,
// gradient_of, shape ("4x64x64x3"), min, max, mean, std, zeros (share), nan, infinite, npy, png,
// png_low, png_high, png_shows. Numbers as %.9g; fields quoted where they must be (RFC 4180).
std::string index_csv(const std::vector<DumpedTensor>& rows);

// A page of its own (no script or style from elsewhere) that shows the pictures of the folder with
// their ranges; `facts` are name and value of what stands above the table.
struct Fact {
  std::string name, value;
};
std::string index_html(const std::vector<DumpedTensor>& rows, const std::vector<Fact>& facts);

}  // namespace verace::apps
