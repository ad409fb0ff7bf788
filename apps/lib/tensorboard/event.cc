// Protocol buffers of events, field by field.
#include "apps/lib/tensorboard/event.h"

#include <bit>
#include <cmath>
#include <limits>
#include <string_view>

#include "apps/lib/tensorboard/record.h"
#include "kernels/check.h"

namespace verace::apps::tensorboard {
namespace {

// How a field's value is stored; the low three bits of its key.
enum WireType : uint64_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void append_key(std::string& out, uint64_t field, WireType type) {
  append_varint(out, field << 3 | type);
}

void append_double(std::string& out, uint64_t field, double value) {
  append_key(out, field, kFixed64);
  append_little_endian(out, std::bit_cast<uint64_t>(value), 8);
}

void append_float(std::string& out, uint64_t field, float value) {
  append_key(out, field, kFixed32);
  append_little_endian(out, std::bit_cast<uint32_t>(value), 4);
}

void append_bytes(std::string& out, uint64_t field, std::string_view value) {
  append_key(out, field, kLengthDelimited);
  append_varint(out, value.size());
  out += value;
}

}  // namespace

std::string version_event(double wall_time) {
  std::string event;
  append_double(event, 1, wall_time);
  append_bytes(event, 3, "brain.Event:2");
  return event;
}

std::string scalar_event(double wall_time, int64_t step, std::span<const Scalar> scalars) {
  VERACE_CHECK(step >= 0, "steps count from 0");
  std::string summary;
  for (const Scalar& scalar : scalars) {
    // NaN compares false.
    if (!(std::abs(scalar.value) <= std::numeric_limits<float>::max())) continue;
    std::string value;
    append_bytes(value, 1, scalar.tag);
    append_float(value, 2, static_cast<float>(scalar.value));
    append_bytes(summary, 1, value);
  }
  if (summary.empty()) return {};
  std::string event;
  append_double(event, 1, wall_time);
  append_key(event, 2, kVarint);
  append_varint(event, static_cast<uint64_t>(step));
  append_bytes(event, 5, summary);
  return event;
}

}  // namespace verace::apps::tensorboard
