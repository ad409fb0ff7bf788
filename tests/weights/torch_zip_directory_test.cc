// Zip directories: good ones of several writers, and malformed ones, each refused by name.
#include <random>

#include "tests/weights/torch_support.h"
#include "weights/torch/zip_directory.h"

namespace verace::weights::torch_zip_directory_test {
namespace {

ZipDirectory parse(const std::string& file) { return {bytes_of(file), "x.pth"}; }

std::string refusal(const std::string& file) {
  const std::string message = input_error([&] { parse(file).require_stored("PyTorch"); });
  CHECK_CONTAINS(message, "x.pth: ");
  return message;
}

std::string data_of(const ZipDirectory& zip, const std::string& name) {
  const ZipMember* member = zip.find(name);
  REQUIRE_MESSAGE(member != nullptr, name);
  return {reinterpret_cast<const char*>(member->bytes.data()), member->bytes.size()};
}

// zip64: the record and its locator before the end record.
std::string record64(uint64_t entries, uint64_t directory_bytes, uint64_t directory_offset) {
  const uint64_t at = directory_offset + directory_bytes;
  return "PK\x06\x06" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 4) +
         number(0, 4) + number(entries, 8) + number(entries, 8) + number(directory_bytes, 8) +
         number(directory_offset, 8) + "PK\x06\x07" + number(0, 4) + number(at, 8) + number(1, 4);
}

TEST_CASE("members are found where the directory says, in its order") {
  const std::string file = zip_bytes({{.name = "a/one", .data = "first", .crc = 7},
                                      {.name = "a/empty", .data = ""},
                                      {.name = "a/two", .data = "second"}});
  const ZipDirectory zip = parse(file);
  REQUIRE(zip.members().size() == 3);
  CHECK(zip.members()[1].name == "a/empty");
  CHECK(zip.members()[0].crc32 == 7);
  CHECK(data_of(zip, "a/one") == "first");
  CHECK(data_of(zip, "a/empty").empty());
  CHECK(data_of(zip, "a/two") == "second");
  CHECK(zip.find("two") == nullptr);
  CHECK(parse(zip_bytes({})).members().empty());
}

TEST_CASE("data descriptors, padding, comments and the zip64 records") {
  // 8: sizes follow the data in a descriptor, which counts as a gap between the members.
  const std::string descriptor = "PK\x07\x08" + number(0, 12);
  const std::string file =
      zip_bytes({{.name = "a",
                  .data = "first" + descriptor,
                  .flags = 8,
                  .size = 5,
                  .packed = 5,
                  .local_extra = "FB" + number(9, 2) + std::string(9, 'Z')},
                 {.name = "b", .data = "second", .extra = "xx" + number(2, 2) + "yy"}},
                "", "a comment");
  const ZipDirectory zip = parse(file);
  CHECK(data_of(zip, "a") == "first");
  CHECK(data_of(zip, "b") == "second");

  // Numbers of 8 bytes in the extra field, in place of those that are 2^32 - 1.
  const std::string plain =
      zip_bytes({{.name = "a", .data = "first"}, {.name = "b", .data = "second"}});
  const uint64_t first_local = 30 + 1 + 5, second_local = 30 + 1 + 6;
  const std::string extra = "\x01" + std::string(1, '\0') + number(24, 2) + number(6, 8) +
                            number(6, 8) + number(first_local, 8);
  const std::vector<Member> members{
      {.name = "a", .data = "first"},
      {.name = "b",
       .data = "second",
       .size = 0xffffffff,
       .packed = 0xffffffff,
       .moved = int64_t{0xffffffff} - static_cast<int64_t>(first_local),
       .extra = "xx" + number(0, 2) + extra}};
  const uint64_t directory = 46 + 1 + 46 + 1 + 4 + extra.size();
  const std::string record = record64(2, directory, first_local + second_local);
  CHECK(data_of(parse(zip_bytes(members, record)), "b") == "second");
  CHECK(data_of(parse(zip_bytes(members)), "b") == "second");

  // The fields that hold 2^32 - 1 alone are in the extra field.
  std::vector<Member> only_offset = members;
  only_offset[1].size = only_offset[1].packed = 6;
  only_offset[1].extra = "\x01" + std::string(1, '\0') + number(8, 2) + number(first_local, 8);
  CHECK(data_of(parse(zip_bytes(only_offset)), "b") == "second");
  only_offset[1].extra = "\x01" + std::string(1, '\0') + number(7, 2) + std::string(7, '\0');
  CHECK_CONTAINS(refusal(zip_bytes(only_offset)), "too short");

  // A zip64 record whose end record says "look there".
  std::string large = zip_bytes(members, record);
  for (size_t i = large.size() - 14; i < large.size() - 2; ++i) large[i] = '\xff';
  CHECK(data_of(parse(large), "b") == "second");
  CHECK_CONTAINS(refusal(zip_bytes(members, record64(1, directory, first_local + second_local))),
                 "broken directory");
  CHECK_CONTAINS(
      refusal(zip_bytes(members, record64(2, directory - 1, first_local + second_local))),
      "zip64 record");
  CHECK_CONTAINS(refusal(zip_bytes(members, record64(2, directory, uint64_t{1} << 63))),
                 "zip64 record");
  CHECK_CONTAINS(refusal(zip_bytes(
                     members, record64(uint64_t{1} << 62, directory, first_local + second_local))),
                 "broken directory");
}

TEST_CASE("malformed members are refused by name") {
  const struct {
    const char* what;
    std::vector<Member> members;
    const char* message;
  } cases[] = {
      {"deflated",
       {{.name = "n/data.pkl", .data = "x", .method = 8}},
       "its member 'n/data.pkl' is compressed (method 8): load and save it again with PyTorch"},
      {"a bomb of 2^32 - 2 bytes",
       {{.name = "n/bomb", .data = "x", .method = 8, .size = 0xfffffffe}},
       "'n/bomb' is compressed"},
      {"another method inside",
       {{.name = "n/a", .data = "x", .method = 8, .local_method = 0}},
       "'n/a' has another name or method"},
      {"encrypted", {{.name = "n/a", .data = "x", .flags = 1}}, "'n/a' is encrypted"},
      {"two sizes", {{.name = "n/a", .data = "xy", .packed = 1}}, "two sizes, 1 and 2"},
      {"twice",
       {{.name = "n/a", .data = "x"}, {.name = "n/a", .data = "y"}},
       "'n/a' is there twice"},
      {"another name inside",
       {{.name = "n/a", .data = "x", .local_name = "n/b"}},
       "'n/a' has another name or method"},
      {"too long",
       {{.name = "n/a", .data = "x", .size = 2, .packed = 2}},
       "'n/a' of 2 bytes at byte 0"},
      {"far too long",
       {{.name = "n/a", .data = "x", .size = 0xfffffffe, .packed = 0xfffffffe}},
       "reaches beyond"},
      {"2^64 - 1 bytes",
       {{.name = "n/a",
         .data = "x",
         .size = 0xffffffff,
         .packed = 0xffffffff,
         .extra = "\x01" + std::string(1, '\0') + number(16, 2) + std::string(16, '\xff')}},
       "reaches beyond"},
      {"begins beyond the end",
       {{.name = "n/a", .data = "x", .moved = 0x7fffffff}},
       "'n/a' has no header at byte 2147483647"},
      {"begins between",
       {{.name = "n/a", .data = std::string(40, 'x'), .moved = 5}},
       "no header at byte 5"},
      {"overlap by a byte",
       {{.name = "n/a", .data = "x", .size = 2, .packed = 2}, {.name = "n/b", .data = "y"}},
       "its member 'n/b' overlaps 'n/a'"},
      {"the same bytes under two names",
       {{.name = "n/a",
         .data = std::string("PK\x03\x04") + number(0, 22) + number(3, 2) + number(0, 2) + "n/b" +
                 "payload"},
        {.name = "n/b",
         .data = "",
         .local_name = "",
         .size = 7,
         .packed = 7,
         .moved = -(30 + 3 + 7)}},
       "'n/b' overlaps 'n/a'"},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.what));
    CHECK_CONTAINS(refusal(zip_bytes(c.members)), c.message);
  }
}

TEST_CASE("many names on the same bytes are refused, so the members hold no more than the file") {
  // The classic bomb: one large member, to which every entry of the directory points.
  std::vector<Member> members{{.name = "m", .data = std::string(1000, 'x')}};
  std::string file = zip_bytes(members);
  std::string directory = file.substr(30 + 1 + 1000, 47);
  std::string bomb = file.substr(0, 30 + 1 + 1000);
  for (int i = 0; i < 1000; ++i) bomb += directory;
  bomb += "PK\x05\x06" + number(0, 4) + number(1000, 2) + number(1000, 2) + number(47000, 4) +
          number(1031, 4) + number(0, 2);
  CHECK_CONTAINS(refusal(bomb), "'m' overlaps 'm'");
}

TEST_CASE("malformed archives") {
  const std::string good =
      zip_bytes({{.name = "a", .data = "first"}, {.name = "b", .data = "second"}});
  parse(good);
  for (size_t size = 0; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK_CONTAINS(refusal(good.substr(0, size)), "without its directory");
  }
  CHECK_CONTAINS(refusal(good + "x"), "without its directory");   // bytes behind the end
  CHECK_CONTAINS(refusal("x" + good), "not where its end says");  // bytes before the start
  std::string changed = good;
  changed[good.size() - 22 + 4] = 1;  // this part's number
  CHECK_CONTAINS(refusal(changed), "several parts");
  changed = good;
  changed[good.size() - 22 + 8] = 1;  // entries in this part
  CHECK_CONTAINS(refusal(changed), "several parts");
  changed[good.size() - 22 + 10] = 1;  // one entry only, but two in the directory
  CHECK_CONTAINS(refusal(changed), "broken directory");
  changed[good.size() - 22 + 8] = changed[good.size() - 22 + 10] = 3;
  CHECK_CONTAINS(refusal(changed), "broken directory");
  // Something before the first member, while all offsets are right.
  std::string shifted = zip_bytes({{.name = "a", .data = "first", .moved = 4}});
  shifted = "MZ\x01\x02" + shifted;
  shifted[shifted.size() - 6] = static_cast<char>(shifted[shifted.size() - 6] + 4);
  CHECK_CONTAINS(refusal(shifted), "something before its first member");
}

TEST_CASE("changed bytes give a reading within the file or a named error, never anything else") {
  const std::string good =
      zip_bytes({{.name = "n/data.pkl", .data = "pickle"}, {.name = "n/data/0", .data = "numbers"}},
                record64(2, 46 + 10 + 46 + 8, 30 + 10 + 6 + 30 + 8 + 7));
  parse(good);
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string file = good;
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      file[random() % file.size()] = static_cast<char>(random());
    }
    try {
      const ZipDirectory zip = parse(file);
      size_t total = 0;
      for (const ZipMember& member : zip.members()) {
        total += member.bytes.size();
        CHECK(member.bytes.data() >= bytes_of(file).data());
        CHECK(member.bytes.data() + member.bytes.size() <= bytes_of(file).data() + file.size());
      }
      CHECK(total <= file.size());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) FAIL_CHECK(error.what());
      ++refused;
    }
  }
  CHECK(refused > 5000);
  CHECK(refused < 19000);
}

}  // namespace
}  // namespace verace::weights::torch_zip_directory_test
