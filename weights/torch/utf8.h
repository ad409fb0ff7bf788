// Recognising text that is not UTF-8.
#pragma once

#include <string_view>

namespace verace::weights {

// Without overlong forms, surrogates and numbers beyond U+10FFFF (RFC 3629).
bool is_utf8(std::string_view text);

}  // namespace verace::weights
