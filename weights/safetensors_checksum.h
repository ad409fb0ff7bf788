// A safetensors file's checksum of itself: every byte of it, header and tensors.
//
// It stands in the header, as metadata, so that other programs read the file as any other. What is
// summed is the whole file with the checksum's own digits as zeros.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace verace::weights {

// write_safetensors replaces the value under this key, if there is one, by the file's checksum: a
// copy of the file with other metadata has a checksum that is right again.
inline constexpr const char* kChecksumKey = "verace.checksum";
// What to put there: "xxh64:" (kernels/hash.h) and 16 hexadecimal digits that are still zeros.
inline constexpr const char* kChecksumToFill = "xxh64:0000000000000000";

// Puts the digits of the whole file, `header` and then `pieces`, into `header`, which is the file's
// begin as far as the tensors. Where it has no checksum to fill, it stays as it is.
void fill_checksum(std::string& header, std::span<const std::span<const std::byte>> pieces);

enum class Checksum { kMissing, kRight, kWrong };
// Reads all of `path`, a piece at a time, from a disc that may be damaged. kMissing also where
// there is no header to hold one, or no such file: whoever opens it as safetensors names that.
// Throws Error(kInput) naming the file where the system cannot read it.
Checksum check_checksum(const std::string& path);

}  // namespace verace::weights
