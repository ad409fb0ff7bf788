// Text from outside in HTML, SVG and CSV: nothing of it is markup, and all of it is UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace verace::apps::plot {

// `text` for the content and the quoted attributes of HTML and XML: & < > " ' become entities.
// Bytes that are no UTF-8, and characters that XML 1.0 does not allow or that turn the direction of
// writing, become U+FFFD; line breaks and tabs become spaces.
std::string escaped(std::string_view text);

// A field of a CSV file (RFC 4180): in quotes where it needs them; what is no UTF-8 as above.
std::string csv_field(std::string_view text);

// At most `most` characters (at least 1); a longer text ends in an ellipsis. Takes UTF-8.
std::string shortened(std::string_view text, size_t most);

}  // namespace verace::apps::plot
