// Reading datasets: element type, shape, and where the values lie.
#include "weights/hdf5/dataset.h"

#include "kernels/format.h"
#include "weights/hdf5/advice.h"
#include "weights/hdf5/datatype.h"
#include "weights/tensor_table.h"

namespace verace::weights::hdf5 {
namespace {

enum class Layout : uint8_t { kCompact = 0, kContiguous = 1, kChunked = 2, kVirtual = 3 };

struct FilterName {
  uint16_t id;
  const char* name;
};
constexpr FilterName kFilterNames[] = {
    {1, "gzip"}, {2, "shuffle"},     {3, "fletcher32"}, {4, "szip"},
    {5, "nbit"}, {6, "scaleoffset"}, {32000, "lzf"},    {32001, "blosc"},
};

class Reading {
 public:
  Reading(File& file, std::span<const Message> messages, const std::string& name)
      : file_(&file), messages_(messages), name_(in_quotes(name)) {}

  Dataset read() {
    const Message& type_message = message(kDatatypeMessage, "a type of its elements");
    const Message& space_message = message(kDataspaceMessage, "a shape");
    const Message& layout_message = message(kLayoutMessage, "a place for its values");
    refuse_filters();
    const Datatype type = parse_datatype(file_->source(), type_message.body);
    const Dataspace space = parse_dataspace(file_->source(), space_message.body);
    if (type.kind != Datatype::Kind::kFloat) {
      refuse("holds " + type.description + ", not floating-point numbers that weights are made of",
             kResave);
    }
    Dataset dataset;
    dataset.dtype = type.dtype;
    dataset.shape = space.shape;
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(space.elements, type.bytes, &bytes)) {
      Cursor(file_->source(), space_message.body, "a dataspace message")
          .fail("makes a dataset of more than 2^64 bytes");
    }
    dataset.bytes = values(layout_message.body, bytes);
    return dataset;
  }

 private:
  [[noreturn]] void refuse(const std::string& what, const char* advice) const {
    file_->source().unsupported(text::format("dataset {} {}", name_, what), advice);
  }

  const Message& message(MessageType type, const char* what) const {
    const Message* found = find_message(messages_, type);
    if (found == nullptr) refuse(text::format("is no dataset (it lacks {})", what), kResave);
    if (found->shared) {
      refuse(text::format("shares {} with others (a committed type or shared messages)", what),
             kResave);
    }
    return *found;
  }

  void refuse_filters() const {
    if (find_message(messages_, kExternalFilesMessage) != nullptr) {
      refuse("keeps its values in other files (external storage)", kRepack);
    }
    const Message* filters = find_message(messages_, kFilterMessage);
    if (filters == nullptr) return;
    Cursor cursor(file_->source(), filters->body, "a filter message");
    const uint8_t version = cursor.u8();
    if (cursor.u8() == 0) return;
    if (version == 1) cursor.skip(6);
    const uint16_t id = cursor.u16();
    std::string name = text::format("filter {}", id);
    for (const FilterName& known : kFilterNames) {
      if (known.id == id) name = known.name;
    }
    refuse(text::format("is compressed or filtered ({})", name), kRepack);
  }

  std::span<const std::byte> values(std::span<const std::byte> message, uint64_t bytes) const {
    Cursor cursor(file_->source(), message, "a layout message");
    const uint8_t version = cursor.u8();
    if (version < 1 || version > 4) {
      refuse(text::format("has a layout of version {}, at most 4 is read", version), kRepack);
    }
    if (version < 3) return old_values(cursor, bytes);
    const auto layout = static_cast<Layout>(cursor.u8());
    if (layout == Layout::kCompact) return compact(cursor, cursor.u16(), bytes);
    check_contiguous(layout);
    const uint64_t address = cursor.u64();
    const uint64_t stored = cursor.u64();
    if (stored != bytes) {
      cursor.fail(
          text::format("gives dataset {} {} bytes, but its shape needs {}", name_, stored, bytes));
    }
    return contiguous(address, bytes);
  }

  // Versions 1 and 2, written before 2004: the shape stands here once more, and is not needed.
  std::span<const std::byte> old_values(Cursor& cursor, uint64_t bytes) const {
    const uint8_t extents = cursor.u8();
    const auto layout = static_cast<Layout>(cursor.u8());
    cursor.skip(5);
    if (layout == Layout::kCompact) {
      cursor.skip(uint64_t{4} * extents);
      return compact(cursor, cursor.u32(), bytes);
    }
    check_contiguous(layout);
    return contiguous(cursor.u64(), bytes);
  }

  void check_contiguous(Layout layout) const {
    if (layout == Layout::kContiguous) return;
    if (layout == Layout::kChunked) refuse("is stored in chunks", kRepack);
    if (layout == Layout::kVirtual) refuse("is virtual (made of datasets of other files)", kRepack);
    refuse(text::format("has the unknown layout {}", static_cast<int>(layout)), kRepack);
  }

  std::span<const std::byte> compact(Cursor& cursor, uint64_t stored, uint64_t bytes) const {
    if (stored != bytes) {
      cursor.fail(
          text::format("gives dataset {} {} bytes, but its shape needs {}", name_, stored, bytes));
    }
    return cursor.take(bytes);
  }

  std::span<const std::byte> contiguous(uint64_t address, uint64_t bytes) const {
    if (bytes == 0) return {};
    if (address == kUndefined) refuse("has no stored values (it was never written)", kResave);
    return file_->at(address, bytes, "the values of a dataset").take(bytes);
  }

  File* file_;
  std::span<const Message> messages_;
  std::string name_;
};

}  // namespace

Dataset read_dataset(File& file, std::span<const Message> messages, const std::string& name) {
  return Reading(file, messages, name).read();
}

}  // namespace verace::weights::hdf5
