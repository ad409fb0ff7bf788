// Escaping, character by character.
#include "apps/lib/plot/markup.h"

#include <cstddef>
#include <cstdint>

#include "data/csv.h"

namespace verace::apps::plot {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr const char* kReplacementUtf8 = "\xEF\xBF\xBD";

struct Character {
  char32_t code = kReplacement;
  size_t bytes = 1;
};

// The character at the beginning of `text`. What is no UTF-8 (RFC 3629: overlong forms, surrogates
// and what lies above U+10FFFF included) is one replacement character per byte.
Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (bytes == 0 || text.size() < bytes) return {};
  char32_t code = lead & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[bytes] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
  return {code, bytes};
}

bool is_allowed(char32_t code) {
  if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
  const bool control = code >= 0x7F && code < 0xA0;
  // They would let a name show itself in another order than it has.
  const bool direction = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return !control && !direction && code != 0xFFFE && code != 0xFFFF;
}

// Calls take(code, bytes of the character) for each character; a refused one has no bytes.
template <typename Take>
void for_each_character(std::string_view text, Take take) {
  while (!text.empty()) {
    const Character c = first_character(text);
    const bool whole = c.code != kReplacement && is_allowed(c.code);
    take(whole ? c.code : kReplacement, whole ? text.substr(0, c.bytes) : kReplacementUtf8);
    text.remove_prefix(c.bytes);
  }
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for_each_character(text, [&out](char32_t code, std::string_view bytes) {
    switch (code) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '\t':
      case '\n':
      case '\r':
        out += ' ';
        break;
      default:
        out += bytes;
    }
  });
  return out;
}

std::string csv_field(std::string_view text) {
  std::string valid;
  for_each_character(text, [&](char32_t, std::string_view bytes) { valid += bytes; });
  return data::csv_field(valid);
}

std::string shortened(std::string_view text, size_t most) {
  std::string out, last;
  size_t count = 0;
  for_each_character(text, [&](char32_t, std::string_view bytes) {
    if (++count < most) out += bytes;
    if (count == most) last = bytes;
  });
  if (count > most) return out + "…";
  return out + last;
}

}  // namespace verace::apps::plot
