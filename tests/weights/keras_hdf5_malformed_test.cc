// Keras' HDF5 files that are damaged, hostile or outside of the profile: refused with one line, or
// read without leaving the file's bytes.
#include <limits>

#include "tests/weights/keras_bytes.h"
#include "weights/hdf5/file.h"

namespace verace::weights::keras_hdf5_malformed_test {
namespace {

using namespace keras_bytes;

// The position of `text`, which must be there.
size_t find(const std::string& file, const std::string& text, size_t from = 0) {
  const size_t position = file.find(text, from);
  REQUIRE_MESSAGE(position != std::string::npos, text);
  return position;
}

// The position of the message of that type and size (body) in the header at `header`.
size_t message_at(const std::string& file, size_t header, uint16_t type) {
  const auto count = number_at<uint16_t>(file, header + 2);
  size_t position = header + 16;
  for (uint16_t i = 0; i < count; ++i) {
    if (number_at<uint16_t>(file, position) == type) return position + 8;
    position += size_t{8} + number_at<uint16_t>(file, position + 2);
  }
  FAIL("no message of type ", type);
  return 0;
}

// The address of the object header of `name` (unique among the names of all groups): from the
// symbol table entry whose name lies in the heap of the group with that tree.
size_t header_of(const std::string& file, const std::string& name) {
  for (size_t heap = find(file, "HEAP");; heap = find(file, "HEAP", heap + 1)) {
    const auto text = number_at<uint64_t>(file, heap + 24);
    const auto bytes = number_at<uint64_t>(file, heap + 8);
    const std::string wanted = '\0' + name + '\0';
    const size_t place = file.substr(text, bytes).find(wanted);
    if (place == std::string::npos) continue;
    for (size_t node = find(file, "SNOD");; node = find(file, "SNOD", node + 1)) {
      for (uint16_t i = 0; i < number_at<uint16_t>(file, node + 6); ++i) {
        const size_t entry = node + 8 + size_t{40} * i;
        // The same place may be another name's in another heap: its header must hold a dataset.
        const auto header = number_at<uint64_t>(file, entry + 8);
        if (number_at<uint64_t>(file, entry) == place + 1 &&
            number_at<uint16_t>(file, header + 16) == 1) {
          return header;
        }
      }
    }
  }
}

struct Refused {
  const char* file;
  const char* message;
};

TEST_CASE("keras: what is outside of the profile is refused by its name, with advice") {
  const Refused cases[] = {
      {"chunked.h5", "dataset '/conv1/conv1_W:0' is stored in chunks: rewrite it by h5repack"},
      {"gzip.h5", "is compressed or filtered (gzip): rewrite it by h5repack"},
      {"big_endian.h5", "holds big-endian 32-bit floating-point numbers"},
      {"integers.h5", "holds 32-bit integers"},
      {"libver_v108.h5", "newer layout (superblock version 2, h5py's libver='latest')"},
      {"libver_latest.h5", "newer layout (superblock version 3"},
      {"user_block.h5", "is not an HDF5 file"},
      {"external_storage.h5", "keeps its values in other files (external storage)"},
      {"soft_link.h5", "'/conv1/conv1_b:0' is a soft link"},
      {"external_link.h5", "'/conv1/conv1_b:0' is an external link (to another file)"},
      {"many_links.h5", "group '/conv1' is of the newer layout (links in a fractal heap)"},
      {"virtual.h5", "superblock version 3"},
      {"committed_type.h5", "shares a type of its elements with others (a committed type"},
      {"never_written.h5", "'/conv1/conv1_b:0' has no stored values"},
      {"same_dataset_twice.h5",
       "'/bn_conv1/bn_conv1_beta:0' is '/bn_conv1/bn_conv1_gamma:0' under another name"},
      {"same_group_twice.h5", "'/conv2' is '/conv1' under another name"},
      {"number_names.h5", "attribute 'weight_names' holds 64-bit integers, not text"},
      {"layer_is_dataset.h5", "'/conv1' "},
      {"layer_in_itself.h5",
       "'/layers/functional/layers/functional' is '/layers/functional' under another name"},
      {"deep_models.h5", "lies more than 16 models deep"},
      {"no_layer_name.h5", "group '/layers/dense/vars' does not say its layer's name"},
      {"same_layer_twice.h5",
       "holds 'dense/kernel' twice, in two models within the model: load it"},
      {"no_scale.h5",
       "layer 'bn_conv1' has 3 tensors ([3], [3], [3]): a batch norm without scale or centre"},
      {"uneven_norm.h5", "neither convolution nor dense layer nor batch norm"},
      {"wrong_bias.h5", "layer 'conv1' has 2 tensors ([1, 1, 2, 3], [2])"},
      {"not_keras.h5", "is HDF5, but no Keras weights (it lacks 'layer_names')"},
  };
  for (const Refused& refused : cases) {
    CAPTURE(refused.file);
    CHECK_CONTAINS(refusal(keras_file(refused.file)), refused.message);
  }
}

TEST_CASE("keras: other files are no HDF5 files") {
  for (const std::string& text : {std::string(), std::string("\x89HDF"), std::string(5000, '\0')}) {
    CHECK_CONTAINS(refusal(text), "is not an HDF5 file");
  }
}

TEST_CASE("keras: the superblock") {
  const std::string file = keras_file("tiny.h5");
  CHECK_CONTAINS(refusal(with(file, 8, uint8_t{4})), "superblock has the unknown version 4");
  CHECK_CONTAINS(refusal(with(file, 13, uint8_t{4})), "addresses of 4 and lengths of 8 bytes");
  CHECK_CONTAINS(refusal(with(file, kBase, uint64_t{512})), "behind a user block");
  CHECK_CONTAINS(refusal(with(file, kEnd, uint64_t{file.size() + 1})), "is truncated");
  CHECK_CONTAINS(refusal(with(file, kEnd, kNothing)), "is truncated");
  CHECK_CONTAINS(refusal(with(file, kRootHeader, uint64_t{file.size()})), "lies beyond the end");
  CHECK_CONTAINS(refusal(with(file, kRootHeader, kNothing)), "lies beyond the end");
  CHECK_CONTAINS(refusal(with(file, kRootHeader, kNothing - 8)), "lies beyond the end");
  CHECK_CONTAINS(refusal(with(file, kRootHeader, uint64_t{8})), "object header has the unknown");
  CHECK(parse_keras(file + std::string(100, 'x')).tensors.size() == 6);  // HDF5 allows more bytes
}

TEST_CASE("keras: object headers") {
  const std::string file = keras_file("tiny.h5");
  const auto header = number_at<uint64_t>(file, kRootHeader);
  CHECK_CONTAINS(refusal(with(file, header + 2, uint16_t{65535})), "announces 65535 messages, but");
  CHECK_CONTAINS(refusal(with(file, header + 8, uint32_t{4000000000})), "lies beyond the end");
  CHECK_CONTAINS(refusal(with(file, header + 16 + 2, uint16_t{65528})), "is cut short");
  // The root's attributes fill its first block: another one continues it. Let that be itself.
  const size_t next = message_at(file, header, 0x10);
  const auto block = number_at<uint64_t>(file, next);
  CHECK_CONTAINS(refusal(with(file, next, header + 16)), "is part of that header twice");
  CHECK_CONTAINS(refusal(with(file, next, uint64_t{1} << 63)), "lies beyond the end");
  CHECK_CONTAINS(refusal(with(file, next + 8, uint64_t{1} << 63)), "lies beyond the end");
  std::string loop = with(file, block, uint16_t{0x10});  // the second block names itself
  loop = with(with(loop, block + 8, block), block + 16, uint64_t{64});
  CHECK_CONTAINS(refusal(loop), "is part of that header twice");
  CHECK_CONTAINS(refusal(with(with(file, header, 'O'), header + 1, 'H')),
                 "object headers of version 2");
}

TEST_CASE("keras: groups, their trees and heaps") {
  const std::string file = keras_file("tiny.h5");
  const auto tree = number_at<uint64_t>(file, kRootTree);
  const auto heap = number_at<uint64_t>(file, kRootHeap);
  const auto node = number_at<uint64_t>(file, tree + 32);
  CHECK_CONTAINS(refusal(with(file, tree, 'X')), "a B-tree node does not begin with TREE");
  CHECK_CONTAINS(refusal(with(file, tree + 4, uint8_t{1})), "is of type 1, not one of a group");
  const std::string deeper = with(with(file, tree + 5, uint8_t{1}), tree + 32, tree);
  CHECK_CONTAINS(refusal(deeper), "a B-tree node is part of its tree twice");
  const std::string twice = with(with(file, tree + 6, uint16_t{2}), tree + 48, node);
  CHECK_CONTAINS(refusal(twice), "a symbol table node is part of its tree twice");
  CHECK_CONTAINS(refusal(with(file, tree + 6, uint16_t{65535})), "a symbol table node");
  CHECK_CONTAINS(refusal(with(file, tree + 32, heap)), "does not begin with SNOD");
  CHECK_CONTAINS(refusal(with(file, node + 4, uint8_t{2})), "has the unknown version 2");
  CHECK_CONTAINS(refusal(with(file, node + 6, uint16_t{65535})), "a symbol table node");
  CHECK_CONTAINS(refusal(with(file, node + 8, kNothing)), "beyond the end of its local heap");
  CHECK_CONTAINS(refusal(with(file, node + 48, number_at<uint64_t>(file, node + 8))),
                 "holds a name twice");
  CHECK_CONTAINS(refusal(with(file, heap, 'h')), "a local heap does not begin with HEAP");
  CHECK_CONTAINS(refusal(with(file, heap + 8, uint64_t{1} << 63)), "the text of a local heap");
  CHECK_CONTAINS(refusal(with(file, heap + 24, kNothing)), "the text of a local heap");
  const auto name = number_at<uint64_t>(file, node + 8);
  CHECK_CONTAINS(refusal(with(file, heap + 8, name + 3)), "whose text does not end");
  CHECK_CONTAINS(refusal(with(file, heap + 8, name - 1)), "beyond the end of its local heap");
  CHECK_CONTAINS(refusal(with(file, heap + 8, uint64_t{0})), "beyond the end of its local heap");
}

TEST_CASE("keras: names of layers and weights") {
  const std::string file = keras_file("tiny.h5");
  // layer_names: 'conv1' and 'bn_conv1', eight bytes each.
  const size_t names =
      find(file, std::string("conv1\0\0\0bn_conv1", 16), find(file, "layer_names"));
  std::string twice = file;
  twice.replace(names, 8, "bn_conv1");
  CHECK_CONTAINS(refusal(twice), "lists layer 'bn_conv1' twice");
  std::string empty = file;
  empty.replace(names, 8, std::string(8, '\0'));
  CHECK_CONTAINS(refusal(empty), "holds a name of 0 bytes");
  std::string other = file;
  other.replace(names, 8, "a/../b\n\n");
  CHECK_CONTAINS(refusal(other), "group '/' lacks 'a'");
  std::string slashes = file;
  slashes.replace(names, 8, "////////");
  CHECK_CONTAINS(refusal(slashes), "group '/' lacks the attribute 'weight_names'");
  std::string none = file;
  none.replace(find(none, "weight_names"), 12, "weightXnames");
  CHECK_CONTAINS(refusal(none), "lacks the attribute 'weight_names'");
}

// The position of the attribute message `name`: its body, which begins with its version.
size_t attribute_at(const std::string& file, const std::string& name) {
  return find(file, name + '\0') - 8;
}

// The same attribute as versions 2 and 3 write it: nothing is padded, and a byte says how the name
// is encoded.
std::string as_version(const std::string& file, size_t attribute, uint8_t version, uint8_t flags) {
  REQUIRE(number_at<uint8_t>(file, attribute) == 1);
  std::string body = {static_cast<char>(version), static_cast<char>(flags)};
  body += file.substr(attribute + 2, 6);
  if (version == 3) body += '\1';
  size_t position = attribute + 8;
  for (int part = 0; part < 3; ++part) {
    const auto bytes = number_at<uint16_t>(file, attribute + 2 + 2 * static_cast<size_t>(part));
    body += file.substr(position, bytes);
    position += (bytes + size_t{7}) / 8 * 8;
  }
  const auto size = number_at<uint16_t>(file, attribute - 6);
  body += file.substr(position, attribute + size - position);
  REQUIRE(body.size() <= size);
  body.resize(size);
  std::string changed = file;
  return changed.replace(attribute, size, body);
}

TEST_CASE("keras: attributes") {
  const std::string file = keras_file("tiny.h5");
  const size_t names = attribute_at(file, "layer_names");
  for (const uint8_t version : {uint8_t{2}, uint8_t{3}}) {
    const std::string other = as_version(file, names, version, 0);
    CHECK(other != file);
    CHECK(parse_keras(other).tensors.size() == 6);
    CHECK_CONTAINS(refusal(as_version(file, names, version, 1)),
                   "'layer_names' shares its type or shape with others");
  }
  CHECK_CONTAINS(refusal(with(file, names, uint8_t{4})), "an attribute has the unknown version 4");
  CHECK_CONTAINS(refusal(with(file, names + 2, uint16_t{60000})), "an attribute is cut short");
  CHECK_CONTAINS(refusal(with(file, names + 4, uint16_t{4})), "a datatype message is cut short");
  CHECK_CONTAINS(refusal(with(file, names + 6, uint16_t{0})), "a dataspace message is cut short");
  // Type and shape: "layer_names" and its end take 16 bytes.
  const size_t type = names + 24, space = type + 8;
  CHECK_CONTAINS(refusal(with(file, type + 4, uint32_t{0})), "holds strings of no bytes");
  CHECK_CONTAINS(refusal(with(file, type + 4, uint32_t{80000})), "an attribute is cut short");
  CHECK_CONTAINS(refusal(with(file, space + 8, uint64_t{1} << 40)), "an attribute is cut short");
  CHECK(parse_keras(with(file, space + 8, uint64_t{0})).tensors.empty());
  std::string padded = with(file, type + 1, uint8_t{2});  // with spaces, not NULs
  padded.replace(find(padded, "conv1", type), 8, "conv1   ");
  CHECK(parse_keras(padded).tensors.size() == 6);
  const std::string split = keras_file("split_names.h5");
  CHECK_CONTAINS(refusal(with(split, find(split, "weight_names1") + 12, '0')), "appears twice");
  CHECK_CONTAINS(refusal(with(split, find(split, "weight_names1") + 12, '2')), "has 3 tensors");
  // An attribute that nobody needs becomes the message that says where more of them are.
  const size_t backend = attribute_at(file, "backend");
  std::string dense = with(with(file, backend - 8, uint16_t{0x15}), backend, uint16_t{0});
  CHECK_CONTAINS(refusal(with(dense, backend + 2, uint64_t{96})), "attributes in a fractal heap");
  CHECK(parse_keras(with(dense, backend + 2, kNothing)).tensors.size() == 6);
}

TEST_CASE("keras: links that are messages") {
  const std::string file = keras_file("external_link.h5");
  const size_t link = find(file, std::string("\1\x8\x40\t") + "conv1_b:0");
  const size_t bias = link + 4;
  const size_t kernel = find(file, std::string("\1\0\t", 3) + "conv1_W:0") + 3;
  const auto header = number_at<uint64_t>(file, kernel + 9);
  // A hard link with all that may stand in one: its place in time, the name's encoding and length.
  std::string body = std::string("\1\x1f\0", 3) + std::string(8, '\7') + '\1';
  body += std::string("\x9\0\0\0\0\0\0\0", 8) + "conv1_b:0";
  body.append(reinterpret_cast<const char*>(&header), sizeof(header));
  std::string hard = file;
  hard.replace(link, body.size(), body);
  CHECK_CONTAINS(refusal(hard), "'/conv1/conv1_b:0' is '/conv1/conv1_W:0' under another name");
  CHECK_CONTAINS(refusal(with(file, link + 2, uint8_t{65})), "is a link of unknown kind");
  CHECK_CONTAINS(refusal(with(file, link + 2, uint8_t{1})), "is a soft link");
  CHECK_CONTAINS(refusal(with(file, link, uint8_t{2})), "a link message has the unknown version 2");
  CHECK_CONTAINS(refusal(with(file, bias - 1, uint8_t{255})), "a link message is cut short");
  CHECK_CONTAINS(refusal(with(file, bias + 6, 'W')), "a link message holds a name twice");
}

TEST_CASE("keras: datasets") {
  const std::string file = keras_file("tiny.h5");
  const size_t header = header_of(file, "bn_conv1_beta:0");
  const size_t space = message_at(file, header, 1);
  const size_t type = message_at(file, header, 3);
  const size_t layout = message_at(file, header, 8);
  REQUIRE(number_at<uint64_t>(file, space + 8) == 3);
  for (const uint64_t extent : {uint64_t{1} << 63, kNothing}) {
    CHECK_CONTAINS(refusal(with(file, space + 8, extent)), "has 2^63 elements or more");
  }
  CHECK_CONTAINS(refusal(with(file, space + 8, (uint64_t{1} << 62) + 1)),
                 "of more than 2^64 bytes");
  CHECK_CONTAINS(refusal(with(file, space + 8, uint64_t{1} << 61)), "but its shape needs");
  CHECK_CONTAINS(refusal(with(file, space, uint8_t{3})), "has the unknown version 3");
  CHECK_CONTAINS(refusal(with(file, space + 1, uint8_t{33})), "has 33 extents, at most 32");
  CHECK_CONTAINS(refusal(with(file, space + 1, uint8_t{32})), "a dataspace message is cut short");
  CHECK_CONTAINS(refusal(with(file, type, uint8_t{0x61})), "has the unknown version 6");
  CHECK_CONTAINS(refusal(with(file, type, uint8_t{0x1c})), "holds 32-bit things");
  CHECK_CONTAINS(refusal(with(file, type, uint8_t{0x16})), "holds 32-bit compounds");
  CHECK_CONTAINS(refusal(with(file, type + 4, uint32_t{8})), "unusual 64-bit floating-point");
  CHECK_CONTAINS(refusal(with(file, type + 16, uint32_t{128})), "unusual 32-bit floating-point");
  CHECK_CONTAINS(refusal(with(file, layout, uint8_t{5})), "has a layout of version 5");
  CHECK_CONTAINS(refusal(with(file, layout, uint8_t{0})), "has a layout of version 0");
  CHECK_CONTAINS(refusal(with(file, layout + 1, uint8_t{2})), "is stored in chunks");
  CHECK_CONTAINS(refusal(with(file, layout + 1, uint8_t{3})), "is virtual");
  CHECK_CONTAINS(refusal(with(file, layout + 1, uint8_t{9})), "has the unknown layout 9");
  CHECK_CONTAINS(refusal(with(file, layout + 1, uint8_t{0})), "bytes, but its shape needs 12");
  const auto address = number_at<uint64_t>(file, layout + 2);
  CHECK_CONTAINS(refusal(with(file, layout + 2, uint64_t{file.size() - 11})),
                 "the values of a dataset (12 bytes at byte");
  CHECK_CONTAINS(refusal(with(file, layout + 2, kNothing)), "has no stored values");
  CHECK_CONTAINS(refusal(with(file, layout + 2, kNothing - 4)), "lies beyond the end");
  CHECK_CONTAINS(refusal(with(file, layout + 2, address - 4)), "overlap");
  CHECK_CONTAINS(refusal(with(file, layout + 10, uint64_t{16})), "but its shape needs 12");
  CHECK_CONTAINS(refusal(with(file, layout - 8, uint16_t{0})), "lacks a place for its values");
}

TEST_CASE("keras: layouts of versions 1, 2 and 4 are the same values") {
  const std::string file = keras_file("tiny.h5");
  const size_t layout = message_at(file, header_of(file, "bn_conv1_beta:0"), 8);
  const auto address = number_at<uint64_t>(file, layout + 2);
  std::string fourth = with(file, layout, uint8_t{4});
  std::string first = file;
  first.replace(layout, 24, std::string(24, '\0'));
  first =
      with(with(with(first, layout, uint8_t{1}), layout + 1, uint8_t{1}), layout + 2, uint8_t{1});
  first = with(with(first, layout + 8, address), layout + 16, uint32_t{3});
  const std::string second = with(first, layout, uint8_t{2});
  for (const std::string& version : {fourth, first, second}) {
    const TensorTable table = parse_keras(version);
    REQUIRE(table.tensors.size() == 6);
    for (const TensorView& tensor : table.tensors) CHECK(wrong_elements(tensor) == 0);
  }
  CHECK_CONTAINS(refusal(with(first, layout + 2, uint8_t{2})), "is stored in chunks");
}

// `file` with a global heap of one object behind it, and the references at `places` (length,
// address, index) to its first `length` bytes.
std::string with_text(std::string file, const std::vector<size_t>& places,
                      const std::string& text) {
  const uint64_t end = file.size();
  std::string heap(32, '\0');
  heap.replace(0, 4, "GCOL");
  const uint64_t padding = (8 - text.size() % 8) % 8;
  heap = with(with(heap, 4, uint8_t{1}), 8, heap.size() + text.size() + padding);
  heap = with(with(heap, 16, uint16_t{1}), 24, uint64_t{text.size()});
  for (const size_t at : places) {
    const uint32_t numbers[] = {static_cast<uint32_t>(text.size()), static_cast<uint32_t>(end),
                                static_cast<uint32_t>(end >> 32), 1};
    std::memcpy(file.data() + at, numbers, sizeof(numbers));
  }
  file += heap + text + std::string(padding, '\0');
  const uint64_t size = file.size();
  return with(std::move(file), kEnd, size);
}

TEST_CASE("keras: strings of the global heap") {
  const std::string file = keras_file("keras2_stem.h5");
  const size_t heap = find(file, "GCOL");
  CHECK_CONTAINS(refusal(with(file, heap, 'g')), "a global heap does not begin with GCOL");
  CHECK_CONTAINS(refusal(with(file, heap + 4, uint8_t{9})),
                 "a global heap has the unknown version");
  CHECK_CONTAINS(refusal(with(file, heap + 8, uint64_t{1} << 63)), "a global heap (9223372036854");
  CHECK_CONTAINS(refusal(with(file, heap + 8, uint64_t{8})), "a global heap is cut short");
  CHECK_CONTAINS(refusal(with(file, heap + 16, uint16_t{0})), "a global heap lacks its object");
  CHECK_CONTAINS(refusal(with(file, heap + 16, uint16_t{2})), "holds its object 2 twice");
  CHECK_CONTAINS(refusal(with(file, heap + 16 + 8, kNothing)), "a global heap is cut short");
  // References to it: length, address, index.
  std::vector<size_t> references;
  for (size_t i = 4; i + 12 < file.size(); ++i) {
    const auto length = number_at<uint32_t>(file, i - 4);
    const auto index = number_at<uint32_t>(file, i + 8);
    const bool plausible = length > 0 && length < 100 && index > 0 && index < 1000;
    if (plausible && number_at<uint64_t>(file, i) == heap) references.push_back(i - 4);
  }
  REQUIRE(references.size() > 20);
  CHECK_CONTAINS(refusal(with(file, references[0], uint32_t{60000})), "longer than its place");
  CHECK_CONTAINS(refusal(with(file, references[0] + 4, kNothing)), "lies beyond the end");
  CHECK_CONTAINS(refusal(with(file, references[0] + 12, uint32_t{65537})),
                 "lacks its object 65537");
  CHECK_CONTAINS(refusal(with_text(file, {references[0]}, std::string(1025, 'a'))),
                 "holds a name of 1025 bytes, not of 1 to 1024");
  CHECK_CONTAINS(refusal(with_text(file, {references[0]}, std::string(1024, 'a'))), "lacks 'aaa");
  // What is longer than its string is not read.
  const std::string longer = with_text(file, {references[0]}, "input_1 and more");
  CHECK(parse_keras(with(longer, references[0], uint32_t{7})).tensors.size() == 30);
  CHECK_CONTAINS(refusal(longer), "group '/' lacks 'input_1 and more'");
  // All of them the same 64 MB without an end: reading each would take minutes in a larger file.
  CHECK_CONTAINS(refusal(with_text(file, references, std::string(64 << 20, 'a'))),
                 "has more than 1000000 links");
  // The configuration of a model is read up to a limit.
  const std::string full = keras_file("keras3_full.h5");
  const size_t config = attribute_at(full, "model_config");
  size_t place = config;  // the reference follows name, type and shape
  for (const size_t part : {size_t{8}, size_t{16}, size_t{24}, size_t{8}}) place += part;
  const auto length = number_at<uint32_t>(full, place);
  REQUIRE(length > 10000);
  CHECK_CONTAINS(refusal(with_text(full, {place}, std::string((16 << 20) + 1, 'a'))),
                 "attribute 'model_config' has 16777217 bytes, at most 16777216 are read");
  CHECK(parse_keras(with_text(full, {place}, std::string(16 << 20, 'a')))
            .metadata.at("keras.model_config")
            .size() == 16 << 20);
}

}  // namespace
}  // namespace verace::weights::keras_hdf5_malformed_test
