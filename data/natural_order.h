// The order of names as people number them.
#pragma once

#include <string_view>

namespace verace::data {

// True where `a` comes before `b`: byte by byte, but digits by the value of their number
// ("9.png" < "10.png"). Names that differ in leading zeros only: the shorter first. A strict order
// of all names.
bool natural_less(std::string_view a, std::string_view b);

}  // namespace verace::data
