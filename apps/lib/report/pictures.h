// Pictures inside of a page.
#pragma once

#include <span>
#include <string>

#include "data/image.h"

namespace verace::apps::report {

// "data:image/png;base64,...", or JPEG where PNG would take more than 16 kB. A picture larger than
// 256 pixels is made smaller first.
std::string picture_uri(const data::Image& picture);

// The largest difference of a channel, in 8-bit levels. Both of the same size.
int largest_change(const data::Image& before, const data::Image& after);
// 128 + factor * (after - before), clipped to what a channel holds.
data::Image amplified_change(const data::Image& before, const data::Image& after, int factor);

// RFC 4648, section 4, with padding.
std::string base64(std::span<const std::byte> bytes);

}  // namespace verace::apps::report
