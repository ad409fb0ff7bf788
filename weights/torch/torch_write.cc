// The pickle of a state dict, and the archive around it.
#include "weights/torch/torch_write.h"

#include <algorithm>
#include <map>
#include <set>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/torch/little_endian.h"
#include "weights/torch/state_dict.h"
#include "weights/torch/torch_globals.h"
#include "weights/torch/utf8.h"
#include "weights/torch/zip_write.h"

namespace verace::weights {
namespace {

constexpr const char* kChooseSafetensors = "write safetensors instead";
constexpr size_t kMaxWritten = 65'000;  // members of an archive, less a few of the format's own

// Puts together the opcodes of pickle.h's machine (protocol 2).
class PickleWriter {
 public:
  // The value that these opcodes make; the second time it comes out of the memo.
  std::string shared(const std::string& opcodes) {
    const auto [entry, is_new] = memo_.emplace(opcodes, memo_.size());
    return is_new ? opcodes + "q" + to_little_endian(entry->second, 1)
                  : "h" + to_little_endian(entry->second, 1);
  }
  static std::string text(std::string_view value) {
    return "X" + to_little_endian(value.size(), 4) + std::string(value);
  }
  static std::string integer(int64_t value) {
    const auto bits = static_cast<uint64_t>(value);  // not negative: sizes, strides, counts
    if (bits < 0x100) return "K" + to_little_endian(bits, 1);
    if (bits < 0x10000) return "M" + to_little_endian(bits, 2);
    if (bits < 0x80000000) return "J" + to_little_endian(bits, 4);
    return "\x8a\x08" + to_little_endian(bits, 8);
  }
  static std::string integers(std::span<const int64_t> values) {
    std::string out = "(";
    for (const int64_t value : values) out += integer(value);
    return out + "t";
  }
  std::string name(std::string_view module, std::string_view name) {
    return shared("c" + std::string(module) + "\n" + std::string(name) + "\n");
  }
  std::string ordered_dict() { return name("collections", "OrderedDict") + ")R"; }
  std::string tensor(const TensorToWrite& tensor, size_t key);

 private:
  std::map<std::string, size_t> memo_;  // opcodes and their number; fewer than 256 kinds
};

std::vector<int64_t> row_major(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) {
    strides[i - 1] = strides[i] * std::max<int64_t>(shape[i], 1);
  }
  return strides;
}

std::string PickleWriter::tensor(const TensorToWrite& tensor, size_t key) {
  const auto elements = static_cast<int64_t>(tensor.bytes.size()) / size_of(tensor.dtype);
  const std::string storage =
      "(" + shared(text("storage")) + name("torch", storage_class(tensor.dtype)) +
      text(std::to_string(key)) + shared(text("cpu")) + integer(elements) + "tQ";
  return name("torch._utils", "_rebuild_tensor_v2") + "(" + storage + integer(0) +
         integers(tensor.shape) + integers(row_major(tensor.shape)) + "\x89" + ordered_dict() +
         "tR";  // \x89: no gradient
}

std::string pickle_of(std::span<const TensorToWrite> tensors,
                      const std::map<std::string, std::string>& metadata) {
  PickleWriter writer;
  std::string out = "\x80\x02" + writer.ordered_dict() + "(";
  for (size_t i = 0; i < tensors.size(); ++i) {
    out += PickleWriter::text(tensors[i].name) + writer.tensor(tensors[i], i);
  }
  out += "u";
  if (!metadata.empty()) {
    out += "}" + PickleWriter::text(kTorchMetadata) + "}(";
    for (const auto& [key, value] : metadata) {
      out += PickleWriter::text(key) + PickleWriter::text(value);
    }
    out += "usb";
  }
  return out + ".";
}

void check(const std::string& path, std::span<const TensorToWrite> tensors,
           const std::map<std::string, std::string>& metadata) {
  std::set<std::string_view> names;
  uint64_t total = kZipMemberBytes * 8;
  const auto refuse_text = [&path](std::string_view text) {
    if (is_utf8(text)) return;
    fail_input(path + ": cannot write metadata or names that are not UTF-8: rename them");
  };
  for (const auto& [key, value] : metadata) {
    refuse_text(key);
    refuse_text(value);
    total += key.size() + value.size() + 16;
  }
  for (const TensorToWrite& tensor : tensors) {
    check_tensor(tensor);
    refuse_text(tensor.name);
    VERACE_CHECK(names.insert(tensor.name).second, "a second tensor " + tensor.name);
    if (storage_class(tensor.dtype).empty()) {
      fail_input(text::format("{}: PyTorch has no storage of {} for tensor {}: {}", path,
                              to_string(tensor.dtype), in_quotes(tensor.name), kChooseSafetensors));
    }
    // In the pickle an extent and its stride take at most 10 bytes each.
    total +=
        tensor.bytes.size() + tensor.name.size() + 20 * tensor.shape.size() + 2 * kZipMemberBytes;
  }
  if (tensors.size() > kMaxWritten || total > kMaxZipBytes) {
    fail_input(text::format("{}: {} tensors of {} bytes are too large for a .pth file: {}", path,
                            tensors.size(), total, kChooseSafetensors));
  }
}

}  // namespace

void write_torch_zip(const std::string& path, std::span<const TensorToWrite> tensors,
                     const std::map<std::string, std::string>& metadata) {
  check(path, tensors, metadata);
  AtomicFile file(path);
  ZipWriter zip(file);
  // Every name begins alike; "archive" is what PyTorch takes where it does not know the file's
  // name.
  zip.add("archive/data.pkl", pickle_of(tensors, metadata));
  zip.add("archive/byteorder", std::string_view("little"));
  for (size_t i = 0; i < tensors.size(); ++i) {
    zip.add("archive/data/" + std::to_string(i), tensors[i].bytes);
  }
  zip.add("archive/version", std::string_view("3\n"));
  zip.finish();
  file.commit();
}

}  // namespace verace::weights
