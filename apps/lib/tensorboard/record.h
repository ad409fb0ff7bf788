// TFRecord: the frame around each message of an event file, and the checksum that it uses.
//
// Format: tensorflow/core/lib/io/record_writer.h, and "TFRecord and tf.train.Example" in
// TensorFlow's guide. One record: length (uint64), masked CRC-32C of these 8 bytes (uint32), the
// data, masked CRC-32C of the data (uint32); all numbers little-endian.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace verace::apps::tensorboard {

// CRC-32C (Castagnoli; RFC 3720, section 12.1 and appendix B.4): reflected polynomial 0x82F63B78,
// initial value and final xor 0xFFFFFFFF. The check value of "123456789" is 0xE3069283.
uint32_t crc32c(std::string_view data);

// What TFRecord stores instead of the checksum itself, because a checksum of bytes that contain
// their own checksum says little: rotated right by 15 bits, plus 0xA282EAD8 (modulo 2^32).
uint32_t masked_crc32c(std::string_view data);

// `bytes` of `value`, the lowest first.
void append_little_endian(std::string& out, uint64_t value, int bytes);

// Appends `data` in its frame.
void append_record(std::string& out, std::string_view data);

}  // namespace verace::apps::tensorboard
