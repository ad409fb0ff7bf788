// Formatted text: fmt's format strings, checked at compile time; fmt's own code is compiled once.
//
// fmt/format.h, header-only, costs each file that formats a number about 2.5 s of compilation;
// fmt/core.h costs 0.2 s. So files format through these functions, and format.cc alone holds fmt.
#pragma once

#include <fmt/core.h>

#include <cstdio>
#include <iosfwd>
#include <string>
#include <string_view>

namespace verace::text {

// The text of `pattern` (https://fmt.dev, "Format String Syntax") with its arguments filled in.
std::string vformat(fmt::string_view pattern, fmt::format_args arguments);

template <typename... Arguments>
std::string format(fmt::format_string<Arguments...> pattern, Arguments&&... arguments) {
  return text::vformat(pattern, fmt::make_format_args(arguments...));
}

// Writes to a stream; what the stream could not take is its state's to tell.
void write(std::ostream& out, std::string_view text);
void write(std::FILE* out, std::string_view text);

template <typename... Arguments>
void print(std::ostream& out, fmt::format_string<Arguments...> pattern, Arguments&&... arguments) {
  write(out, text::vformat(pattern, fmt::make_format_args(arguments...)));
}

template <typename... Arguments>
void print(std::FILE* out, fmt::format_string<Arguments...> pattern, Arguments&&... arguments) {
  write(out, text::vformat(pattern, fmt::make_format_args(arguments...)));
}

// The elements of a range (numbers or strings) as text, `separator` between them.
template <typename Range>
std::string join(const Range& range, std::string_view separator) {
  std::string joined;
  bool first = true;
  for (const auto& element : range) {
    if (!first) joined += separator;
    first = false;
    joined += format("{}", element);
  }
  return joined;
}

}  // namespace verace::text
