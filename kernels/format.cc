// Formatted text: the one file that compiles fmt's code.
#define FMT_HEADER_ONLY 1
#include "kernels/format.h"

#include <fmt/format.h>

#include <ostream>

namespace verace::text {

std::string vformat(fmt::string_view pattern, fmt::format_args arguments) {
  return fmt::vformat(pattern, arguments);
}

void write(std::ostream& out, std::string_view text) {
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

void write(std::FILE* out, std::string_view text) { std::fwrite(text.data(), 1, text.size(), out); }

}  // namespace verace::text
