// The table of magic numbers.
#include "weights/file_magic.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace verace::weights {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::string_view bytes;
  size_t offset;
  const char* what;
  const char* advice;
};

constexpr const char* kPickleFile = "is a Python pickle, but not a file of torch.save";
constexpr const char* kSaveDict = "save it with torch.save(model.state_dict(), FILE)";
constexpr const char* kUnpackFirst = "unpack it, and name the weight file within";
constexpr const char* kExportOther = "export the weights as safetensors, .pth or .h5";
constexpr const char* kNameAnother = "name a weight file";
constexpr const char* kFetchAgain = "fetch or export it again";

constexpr Magic kMagics[] = {
    {"PK\x03\x04"sv, 0, "is a zip archive", kUnpackFirst},
    {"PK\x05\x06"sv, 0, "is an empty zip archive", kFetchAgain},
    {"\x89HDF\r\n\x1a\n"sv, 0, "is HDF5", kFetchAgain},
    {"\x80\x02"sv, 0, kPickleFile, kSaveDict},
    {"\x80\x03"sv, 0, kPickleFile, kSaveDict},
    {"\x80\x04"sv, 0, kPickleFile, kSaveDict},
    {"\x80\x05"sv, 0, kPickleFile, kSaveDict},
    {"ustar"sv, 257, "is a tar archive",
     "unpack it; or, if it is a .pth of PyTorch 0.1, load it with PyTorch and save its "
     "state_dict() again"},
    {"\x1f\x8b"sv, 0, "is compressed with gzip", "unpack it with gzip -d first"},
    {"\xfd\x37zXZ"sv, 0, "is compressed with xz", "unpack it with xz -d first"},
    {"\x28\xb5\x2f\xfd"sv, 0, "is compressed with zstd", "unpack it with zstd -d first"},
    {"BZh"sv, 0, "is compressed with bzip2", "unpack it with bzip2 -d first"},
    {"7z\xbc\xaf\x27\x1c"sv, 0, "is a 7-Zip archive", kUnpackFirst},
    {"Rar!\x1a\x07"sv, 0, "is a RAR archive", kUnpackFirst},
    {"version https://git-lfs"sv, 0, "is a git-lfs pointer, not the file itself",
     "fetch it with git lfs pull"},
    {"GGUF"sv, 0, "is a GGUF file, as language models have", kNameAnother},
    {"TFL3"sv, 4, "is a model of TensorFlow Lite",
     "take the Keras model that it was made from, as .h5 or .keras"},
    {"\x12\x01\0\0\0\0\0\0"sv, 0, "is a parameter file of MXNet", kExportOther},
    {"MATLAB 5.0 MAT-file"sv, 0, "is a file of MATLAB", kExportOther},
    {"\x93NUMPY"sv, 0, "is a NumPy array", kExportOther},
    {"\x89PNG\r\n\x1a\n"sv, 0, "is a picture (PNG), not weights", kNameAnother},
    {"\xff\xd8\xff"sv, 0, "is a picture (JPEG), not weights", kNameAnother},
    {"%PDF-"sv, 0, "is a PDF document", kNameAnother},
};

// The text behind a protocol buffer's tag for one of at most 127 bytes, that tag at `at`; empty
// where it is none.
std::string_view short_text(std::string_view head, size_t at, char tag) {
  if (head.size() < at + 2 || head[at] != tag) return {};
  const auto length = static_cast<unsigned char>(head[at + 1]);
  return length < 0x80 ? head.substr(at + 2, length) : std::string_view();
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\r' || byte == '\t';
  });
}

// ONNX' ModelProto begins with the number of its version (field 1) and the producer's name (2);
// TensorFlow's SavedModel with the number 1 and a MetaGraphDef (2) whose first field is a message;
// its GraphDef with a node (1), whose first fields are a name and the name of its operation.
std::string protocol_buffer(std::string_view head) {
  if (head.size() > 4 && head[0] == '\x08' && head[1] > 0 && head[1] < 0x20) {
    const std::string_view producer = short_text(head, 2, '\x12');
    if (!producer.empty() && is_printable(producer)) {
      return std::string("is an ONNX model: ") + kExportOther;
    }
    if (head[1] == 1 && head[2] == '\x12') {
      return std::string(
          "is a SavedModel of TensorFlow: load it in Keras and save its weights as "
          ".h5");
    }
  }
  const std::string_view name = short_text(head, 2, '\x0a');
  if (head.starts_with('\x0a') && !name.empty() && is_printable(name)) {
    const std::string_view operation = short_text(head, 4 + name.size(), '\x12');
    if (!operation.empty() && is_printable(operation)) {
      return std::string(
          "is a graph of TensorFlow: take the Keras model that it was made from, as "
          ".h5 or .keras");
    }
  }
  return {};
}

// Pages that a server sent in place of the file.
bool is_html(std::string_view head) {
  const size_t start = head.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return false;
  std::string text(head.substr(start, 16));
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text.starts_with("<!doctype") || text.starts_with("<html") || text.starts_with("<?xml");
}

}  // namespace

std::string describe_other_format(std::span<const std::byte> file) {
  const std::string_view head(reinterpret_cast<const char*>(file.data()),
                              std::min<size_t>(file.size(), 512));
  if (head.empty()) return std::string("is empty: ") + kFetchAgain;
  for (const Magic& magic : kMagics) {
    if (head.size() > magic.offset && head.substr(magic.offset).starts_with(magic.bytes)) {
      return std::string(magic.what) + ": " + magic.advice;
    }
  }
  if (is_html(head))
    return "is a web page, not a weight file: check the address and fetch it again";
  if (std::string model = protocol_buffer(head); !model.empty()) return model;
  if (is_printable(head))
    return "is a text, not weights: look into it, it may say why; name a weight file";
  return {};
}

}  // namespace verace::weights
