// Writing state dicts for PyTorch: what is read back, the layout, and failures that lose nothing.
// That PyTorch itself reads them is proven by tests/goldens/check_pth.py.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/weights/torch_support.h"
#include "weights/torch/torch_file.h"
#include "weights/torch/torch_write.h"
#include "weights/torch/utf8.h"
#include "weights/torch/zip_directory.h"

namespace verace::weights::torch_write_test {
namespace {

TEST_CASE("UTF-8: each length at its bounds, and every way to be malformed") {
  using namespace std::string_view_literals;
  for (const std::string_view good :
       {""sv, "conv1.weight"sv, "\0"sv, "\x7f"sv, "\xc2\x80"sv, "\xdf\xbf"sv, "\xe0\xa0\x80"sv,
        "\xed\x9f\xbf"sv, "\xee\x80\x80"sv, "\xef\xbf\xbf"sv, "\xf0\x90\x80\x80"sv,
        "\xf4\x8f\xbf\xbf"sv, "aä€𝄞z"sv}) {
    CHECK_MESSAGE(is_utf8(good), good);
  }
  for (const std::string_view bad :
       {"\x80"sv, "\xbf"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xc2"sv, "\xc2\x7f"sv, "\xc2\xc0"sv,
        "\xe0\x9f\xbf"sv, "\xe2\x82"sv, "\xe2\x82z"sv, "\xed\xa0\x80"sv, "\xed\xbf\xbf"sv,
        "\xf0\x8f\xbf\xbf"sv, "\xf0\x90\x80"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv,
        "\xff"sv, "good\xff"sv, "\xc3\xa4\xa4"sv}) {
    CHECK_MESSAGE(!is_utf8(bad), bad);
  }
}

// One tensor of each element type that PyTorch has storages for, and odd shapes.
struct Example {
  std::vector<std::string> data;
  std::vector<TensorToWrite> tensors;

  void add(const std::string& name, const std::vector<int64_t>& shape, Dtype dtype) {
    int64_t bytes = size_of(dtype);
    for (const int64_t extent : shape) bytes *= extent;
    std::string& text = data.emplace_back();
    for (int64_t i = 0; i < bytes; ++i) {
      text += static_cast<char>(dtype == Dtype::kBool ? i % 2
                                                      : 31 * i + static_cast<int64_t>(data.size()));
    }
    tensors.emplace_back(name, shape, dtype, bytes_of(text));
  }

  Example() {
    data.reserve(100);
    for (const Dtype dtype :
         {Dtype::kF32, Dtype::kF16, Dtype::kBF16, Dtype::kF64, Dtype::kI64, Dtype::kI32,
          Dtype::kI16, Dtype::kI8, Dtype::kU8, Dtype::kBool, Dtype::kC64}) {
      add("w." + std::string(to_string(dtype)), {2, 3}, dtype);
    }
    add("scalar", {}, Dtype::kF32);
    add("empty", {0, 7}, Dtype::kF32);
    add("wide", {0, 5'000'000'000, 2}, Dtype::kF32);
    add("long", {70'000, 1}, Dtype::kU8);
    add("middle", {300, 1, 2}, Dtype::kI16);
    add("päth", {1}, Dtype::kF32);
  }
};

const std::map<std::string, std::string> kMetadata{{"variant", "v1.5"}, {"ε", "1e-5"}};

TEST_CASE("what is written is read back, bit for bit, in its order, with the metadata") {
  const TempFolder folder;
  const Example example;
  write_torch_zip(folder / "a.pth", example.tensors, kMetadata);
  const std::string bytes = read_text(folder / "a.pth");
  CHECK(is_torch_zip(bytes_of(bytes)));
  const TensorTable table = parse_torch_zip(bytes_of(bytes), "a.pth");
  REQUIRE(table.tensors.size() == example.tensors.size());
  for (size_t i = 0; i < table.tensors.size(); ++i) {
    const TensorToWrite& given = example.tensors[i];
    CAPTURE(given.name);
    CHECK(table.tensors[i].name == given.name);
    CHECK(table.tensors[i].dtype == given.dtype);
    CHECK(table.tensors[i].shape == given.shape);
    CHECK(table.tensors[i].is_dense());
    const std::string read(reinterpret_cast<const char*>(table.tensors[i].bytes.data()),
                           table.tensors[i].bytes.size());
    CHECK(read == example.data[i]);
  }
  std::map<std::string, std::string> expected = kMetadata;
  expected["torch.format"] = "zip";
  CHECK(table.metadata == expected);

  write_torch_zip(folder / "none.pth", {}, {});
  CHECK_CONTAINS(input_error([&] {
                   const std::string none = read_text(folder / "none.pth");
                   parse_torch_zip(bytes_of(none), "none.pth");
                 }),
                 "holds no tensors");
}

TEST_CASE("the layout: equal bytes for equal input, storages at multiples of 64, true checksums") {
  const TempFolder folder;
  const Example example;
  write_torch_zip(folder / "a.pth", example.tensors, kMetadata);
  write_torch_zip(folder / "another name.pth", example.tensors, kMetadata);
  const std::string bytes = read_text(folder / "a.pth");
  CHECK(bytes == read_text(folder / "another name.pth"));
  const ZipDirectory zip(bytes_of(bytes), "a.pth");
  CHECK(zip.members().size() == example.tensors.size() + 3);
  for (const ZipMember& member : zip.members()) {
    CHECK(member.crc32 == crc32(member.bytes));
    CHECK(member.name.starts_with("archive/"));
    CHECK((member.bytes.data() - bytes_of(bytes).data()) % 64 == 0);
    // The extra field is one record, which says how long it is.
    const size_t extra = member.header_offset + 28;
    const size_t record = member.header_offset + 30 + member.name.size();
    CHECK(bytes.substr(record, 2) == "FB");
    CHECK(static_cast<uint8_t>(bytes[extra]) == static_cast<uint8_t>(bytes[record + 2]) + 4);
    // Padding is less than 64 bytes and its four of head.
    CHECK(static_cast<uint64_t>(member.bytes.data() - bytes_of(bytes).data()) <
          member.header_offset + 30 + member.name.size() + 4 + 64);
  }
  // Kept small by the memo: a tensor takes some fifty bytes of the pickle, not three hundred.
  CHECK(zip.find("archive/data.pkl")->bytes.size() < 1800);
}

TEST_CASE("what cannot be written") {
  const TempFolder folder;
  write_text(folder / "old.pth", "old");
  const std::string path = folder / "old.pth";
  const std::string four = "1234";
  const auto write = [&](const std::string& name, Dtype dtype, const std::vector<int64_t>& shape,
                         const std::map<std::string, std::string>& metadata) {
    const TensorToWrite tensor(name, shape, dtype, bytes_of(four));
    write_torch_zip(path, std::span(&tensor, 1), metadata);
  };
  CHECK_CONTAINS(
      input_error([&] { write("w", Dtype::kU16, {2}, {}); }),
      "old.pth: PyTorch has no storage of U16 for tensor 'w': write safetensors instead");
  CHECK_CONTAINS(input_error([&] { write("w", Dtype::kF8E4M3, {4}, {}); }),
                 "no storage of F8_E4M3");
  CHECK_CONTAINS(input_error([&] { write("\xff", Dtype::kF32, {1}, {}); }), "not UTF-8");
  CHECK_CONTAINS(input_error([&] { write("w", Dtype::kF32, {1}, {{"k", "\xff"}}); }), "not UTF-8");
  CHECK_CONTAINS(input_error([&] {
                   write("w", Dtype::kF32, {1}, {{"\xc0\x80", "v"}});
                 }),
                 "not UTF-8");
  CHECK_THROWS(write("w", Dtype::kF32, {2}, {}));  // a byte count that does not fit
  const std::vector<TensorToWrite> twice(2, TensorToWrite("w", {1}, Dtype::kF32, bytes_of(four)));
  CHECK_THROWS(write_torch_zip(path, twice, {}));
  // 5 GiB, never touched: only sizes are looked at.
  const std::span<const std::byte> large(bytes_of(four).data(), size_t{5} << 30);
  const TensorToWrite tensor("w", {int64_t{5} << 30}, Dtype::kU8, large);
  CHECK_CONTAINS(input_error([&] { write_torch_zip(path, std::span(&tensor, 1), {}); }),
                 "too large for a .pth file: write safetensors instead");
  std::vector<TensorToWrite> many;
  for (int i = 0; i < 65'001; ++i)
    many.emplace_back(std::to_string(i), std::vector<int64_t>{1}, Dtype::kF32, bytes_of(four));
  CHECK_CONTAINS(input_error([&] { write_torch_zip(path, many, {}); }),
                 "too large for a .pth file");
  CHECK_CONTAINS(input_error([&] { write_torch_zip(folder / "no/such.pth", {}, {}); }),
                 "no/such.pth");
  CHECK(read_text(path) == "old");
  CHECK(folder.names().size() == 1);
}

TEST_CASE("a full disc at any byte leaves the old file and nothing else") {
  const TempFolder folder;
  const Example example;
  write_torch_zip(folder / "whole.pth", example.tensors, kMetadata);
  const uint64_t size = read_text(folder / "whole.pth").size();
  write_text(folder / "old.pth", "old");
  for (const uint64_t limit : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, size / 2, size - 1}) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {  // a child, because the limit cannot be raised again
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit most{limit, limit};
      if (::setrlimit(RLIMIT_FSIZE, &most) != 0) ::_exit(3);
      try {
        write_torch_zip(folder / "old.pth", example.tensors, kMetadata);
      } catch (const Error& error) {
        ::_exit(error.kind() == ErrorKind::kInput && contains(error.what(), "old.pth") ? 7 : 4);
      }
      ::_exit(5);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 7);
    CHECK(read_text(folder / "old.pth") == "old");
    CHECK(folder.names().size() == 2);
  }
}

}  // namespace
}  // namespace verace::weights::torch_write_test
