// Object headers of HDF5 files: the messages that describe a group or a dataset
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "weights/hdf5/file.h"

namespace verace::weights::hdf5 {

enum MessageType : uint16_t {
  kDataspaceMessage = 0x01,
  kLinkInfoMessage = 0x02,
  kDatatypeMessage = 0x03,
  kLinkMessage = 0x06,
  kExternalFilesMessage = 0x07,
  kLayoutMessage = 0x08,
  kFilterMessage = 0x0b,
  kAttributeMessage = 0x0c,
  kContinuationMessage = 0x10,
  kSymbolTableMessage = 0x11,
  kAttributeInfoMessage = 0x15,
};

struct Message {
  uint16_t type = 0;
  bool shared = false;              // the body only says where the message is
  std::span<const std::byte> body;  // within the file
};

// The messages of the object header (version 1) at `address`, in order, continuation blocks
// included. Throws Error(kInput) for headers of version 2, cut ones, and continuation blocks that
// lead back to one that was read.
std::vector<Message> read_object_header(File& file, uint64_t address);

// The first message of that type, or nothing.
const Message* find_message(std::span<const Message> messages, MessageType type);

}  // namespace verace::weights::hdf5
