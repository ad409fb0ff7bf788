// Reading object headers of version 1.
#include "weights/hdf5/object_header.h"

#include <algorithm>
#include <set>

#include "kernels/format.h"
#include "weights/hdf5/advice.h"

namespace verace::weights::hdf5 {
namespace {

constexpr const char* kHeader = "an object header";
constexpr const char* kContinuation = "a continuation of an object header";
constexpr uint8_t kSharedFlag = 2;
constexpr uint64_t kMessageHead = 8;

// The blocks of one header: the first, then its continuations in the order in which they are named.
class Blocks {
 public:
  explicit Blocks(File& file) : file_(&file) {}

  void add(uint64_t address, uint64_t bytes, const char* what) {
    Cursor block = file_->at(address, bytes, what);
    if (!seen_.insert(address).second) block.fail("is part of that header twice");
    blocks_.push_back(block);
  }

  bool done() const { return next_ == blocks_.size(); }
  Cursor next() { return blocks_[next_++]; }

 private:
  File* file_;
  std::vector<Cursor> blocks_;
  std::set<uint64_t> seen_;
  size_t next_ = 0;
};

}  // namespace

std::vector<Message> read_object_header(File& file, uint64_t address) {
  constexpr uint64_t kPrefix = 16;
  Cursor prefix = file.at(address, kPrefix, kHeader);
  const uint8_t version = prefix.u8();
  if (version == 'O') {
    file.source().unsupported("holds object headers of version 2 (h5py's libver='latest')",
                              kResave);
  }
  if (version != 1) prefix.fail(text::format("has the unknown version {}", version));
  prefix.skip(1);
  const uint16_t announced = prefix.u16();
  prefix.skip(4);  // the number of links to this object
  Blocks blocks(file);
  blocks.add(address + kPrefix, prefix.u32(), kHeader);

  std::vector<Message> messages;
  uint16_t count = 0;
  while (!blocks.done()) {
    Cursor block = blocks.next();
    while (count < announced && block.left() >= kMessageHead) {
      file.spend(1);
      ++count;
      Message message;
      message.type = block.u16();
      const uint16_t size = block.u16();
      message.shared = (block.u8() & kSharedFlag) != 0;
      block.skip(3);
      message.body = block.take(size);
      if (message.type == kContinuationMessage) {
        Cursor target(file.source(), message.body, kContinuation);
        const uint64_t next = target.u64();
        blocks.add(next, target.u64(), kContinuation);
      } else {
        messages.push_back(message);
      }
    }
  }
  if (count < announced) {
    prefix.fail(text::format("announces {} messages, but holds {}", announced, count));
  }
  return messages;
}

const Message* find_message(std::span<const Message> messages, MessageType type) {
  const auto found = std::ranges::find(messages, type, &Message::type);
  return found == messages.end() ? nullptr : &*found;
}

}  // namespace verace::weights::hdf5
