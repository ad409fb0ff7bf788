// Reads TensorBoard's event files, independently of the writer: frames, checksums bit by bit, and
// the few fields of the messages. Anything unexpected is an error, not skipped.
#pragma once

#include <bit>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace verace::test {

struct ReadEvent {
  double wall_time = 0;
  int64_t step = 0;
  std::string version;
  std::vector<std::pair<std::string, float>> scalars;  // in the order of the file
};

// CRC-32C by long division of one bit at a time, the most significant bit first: the bytes are
// reflected on the way in and the remainder on the way out (RFC 3720, section 12.1).
inline uint32_t crc32c_by_division(std::string_view data) {
  constexpr uint32_t kGenerator = 0x1EDC6F41u;
  uint32_t remainder = 0xFFFFFFFFu;
  for (const char c : data) {
    for (int bit = 0; bit < 8; ++bit) {
      const uint32_t in = (static_cast<unsigned char>(c) >> bit) & 1u;
      const bool carry = ((remainder >> 31) ^ in) != 0;
      remainder = (remainder << 1) ^ (carry ? kGenerator : 0u);
    }
  }
  uint32_t reflected = 0;
  for (int bit = 0; bit < 32; ++bit) reflected |= ((remainder >> bit) & 1u) << (31 - bit);
  return ~reflected;
}

// Bytes from the front of a text; throws std::runtime_error where there are too few.
class EventBytes {
 public:
  explicit EventBytes(std::string_view rest) : rest_(rest) {}
  bool empty() const { return rest_.empty(); }
  std::string_view take(uint64_t count) {
    if (count > rest_.size()) throw std::runtime_error("the bytes end too early");
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  uint64_t number(int bytes) {
    uint64_t value = 0;
    int shift = 0;
    for (const char c : take(static_cast<uint64_t>(bytes))) {
      value |= static_cast<uint64_t>(static_cast<unsigned char>(c)) << shift;
      shift += 8;
    }
    return value;
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint64_t byte = number(1);
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    throw std::runtime_error("a varint of more than ten bytes");
  }
  std::string_view text() { return take(varint()); }

 private:
  std::string_view rest_;
};

inline std::pair<std::string, float> read_value(std::string_view bytes) {
  std::pair<std::string, float> value;
  bool tag = false, number = false;
  for (EventBytes rest(bytes); !rest.empty();) {
    switch (rest.varint()) {
      case 1 << 3 | 2:
        value.first = rest.text(), tag = true;
        break;
      case 2 << 3 | 5:
        value.second = std::bit_cast<float>(static_cast<uint32_t>(rest.number(4))), number = true;
        break;
      default:
        throw std::runtime_error("unknown field of Summary.Value");
    }
  }
  if (!tag || !number) throw std::runtime_error("a value without tag or number");
  return value;
}

inline ReadEvent read_event(std::string_view bytes) {
  ReadEvent event;
  for (EventBytes rest(bytes); !rest.empty();) {
    switch (rest.varint()) {
      case 1 << 3 | 1:
        event.wall_time = std::bit_cast<double>(rest.number(8));
        break;
      case 2 << 3 | 0:
        event.step = static_cast<int64_t>(rest.varint());
        break;
      case 3 << 3 | 2:
        event.version = rest.text();
        break;
      case 5 << 3 | 2:
        for (EventBytes summary(rest.text()); !summary.empty();) {
          if (summary.varint() != (1 << 3 | 2))
            throw std::runtime_error("unknown field of Summary");
          event.scalars.push_back(read_value(summary.text()));
        }
        break;
      default:
        throw std::runtime_error("unknown field of Event");
    }
  }
  return event;
}

// The messages of a file of records. Throws std::runtime_error saying what is wrong with it.
inline std::vector<std::string> read_records(std::string_view file) {
  std::vector<std::string> records;
  const auto check = [](std::string_view data, uint64_t stored, const char* what) {
    const uint32_t crc = crc32c_by_division(data);
    if (stored != std::rotr(crc, 15) + 0xA282EAD8u) throw std::runtime_error(what);
  };
  for (EventBytes rest(file); !rest.empty();) {
    const std::string_view length = rest.take(8);
    check(length, rest.number(4), "checksum of a length");
    const std::string_view data = rest.take(EventBytes(length).number(8));
    check(data, rest.number(4), "checksum of a record");
    records.emplace_back(data);
  }
  return records;
}

inline std::vector<ReadEvent> read_events(std::string_view file) {
  std::vector<ReadEvent> events;
  for (const std::string& record : read_records(file)) events.push_back(read_event(record));
  return events;
}

}  // namespace verace::test
