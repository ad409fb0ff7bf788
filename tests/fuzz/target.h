// What every fuzz target shares: how an answer to bytes from outside is judged.
//
// A target is a file NAME_fuzz.cc with libFuzzer's function LLVMFuzzerTestOneInput. CMake makes of
// it a test that replays corpus/NAME and goes on with random changes of it (replay.cc, by any
// compiler), and with VERACE_FUZZ a libFuzzer program that learns from coverage (by clang).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "kernels/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace verace::fuzz {

// Runs `read`, which may succeed or throw an Error(kInput) of one line. Ends the program for any
// other Error; other exceptions end it by themselves. Returns what a target has to return.
template <typename Read>
int check_reader(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.kind() != ErrorKind::kInput || message.empty() ||
        message.find_first_of(std::string("\n\r\0", 3)) != std::string::npos) {
      std::fprintf(stderr, "not the answer to bad input: %s\n", message.c_str());
      std::abort();
    }
  }
  return 0;
}

// read() of what we have written ourselves: ends the program where that is refused.
template <typename Read>
auto read_again(const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    std::fprintf(stderr, "what was accepted is refused once written: %s\n", error.what());
    std::abort();
  }
}

inline std::span<const std::byte> bytes_of(const uint8_t* data, size_t size) {
  return std::as_bytes(std::span(data, size));
}

}  // namespace verace::fuzz
