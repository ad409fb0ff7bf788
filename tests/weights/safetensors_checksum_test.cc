// A file's checksum of itself: every bit counts, other files stay as they are.
#include "weights/safetensors_checksum.h"

#include <algorithm>

#include "tests/weights/support.h"
#include "weights/safetensors.h"

namespace verace::weights::safetensors_checksum_test {
namespace {

const std::vector<float> kValues = {1, 2, 3, 4, 5};

void write(const std::string& path, const std::map<std::string, std::string>& metadata) {
  const TensorToWrite tensors[] = {{"w", {5}, kValues}};
  write_safetensors(path, tensors, metadata);
}

// Whether a reader would take the file as it was written.
bool passes(const std::string& path) {
  const Checksum checksum = check_checksum(path);
  try {
    const WeightFile file(path);
    return checksum == Checksum::kRight && file.metadata().at("other") == "value" &&
           file.read_f32("w") == kValues;
  } catch (const Error&) {
    return false;
  } catch (const std::out_of_range&) {
    return false;
  }
}

TEST_CASE("the checksum is filled in, and holds") {
  const TempFolder folder;
  write(folder / "f", {{kChecksumKey, kChecksumToFill}, {"other", "value"}});
  CHECK(passes(folder / "f"));
  const std::string stored = WeightFile(folder / "f").metadata().at(kChecksumKey);
  CHECK(stored.starts_with("xxh64:"));
  CHECK(stored.size() == 22);
  CHECK(stored != kChecksumToFill);
  // Equal input, equal bytes; and what is written with an old checksum gets a new one.
  write(folder / "again", {{kChecksumKey, stored}, {"other", "value"}});
  CHECK(read_text(folder / "again") == read_text(folder / "f"));
  write(folder / "changed", {{kChecksumKey, stored}, {"other", "another"}});
  CHECK(check_checksum(folder / "changed") == Checksum::kRight);
  CHECK(WeightFile(folder / "changed").metadata().at(kChecksumKey) != stored);
}

TEST_CASE("files without a checksum are none of its business") {
  const TempFolder folder;
  write(folder / "plain", {{"other", "value"}});
  CHECK(check_checksum(folder / "plain") == Checksum::kMissing);
  // A text that only speaks of one.
  write(folder / "quoted", {{"other", "\"verace.checksum\":\"xxh64:0123456789abcdef\""}});
  CHECK(check_checksum(folder / "quoted") == Checksum::kMissing);
  CHECK(check_checksum(folder / "no such file") == Checksum::kMissing);
  CHECK(check_checksum(folder.path().string()) == Checksum::kMissing);
  write_text(folder / "short", "1234567");
  write_text(folder / "claims", std::string(8, '\xFF') + "{}");
  CHECK(check_checksum(folder / "short") == Checksum::kMissing);
  CHECK(check_checksum(folder / "claims") == Checksum::kMissing);
  // A value that is no checksum stays what it is.
  write(folder / "other", {{kChecksumKey, "sha256:00"}});
  CHECK(WeightFile(folder / "other").metadata().at(kChecksumKey) == "sha256:00");
}

TEST_CASE("every bit of the file counts, and every byte at its end") {
  const TempFolder folder;
  write(folder / "f", {{kChecksumKey, kChecksumToFill}, {"other", "value"}});
  const std::string good = read_text(folder / "f");
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string damaged = good;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    write_text(folder / "damaged", damaged);
    CHECK_MESSAGE(!passes(folder / "damaged"), "byte ", bit / 8, ", bit ", bit % 8);
  }
  for (size_t cut = 1; cut <= good.size(); ++cut) {
    write_text(folder / "cut", good.substr(0, good.size() - cut));
    CHECK_MESSAGE(!passes(folder / "cut"), cut, " bytes less");
  }
  write_text(folder / "longer", good + '\0');
  CHECK_FALSE(passes(folder / "longer"));
  // Large files are summed piece by piece: a change at either side of a piece's edge.
  const std::vector<float> many((size_t{3} << 18) + 5, 0.5f);
  const TensorToWrite tensors[] = {{"w", {static_cast<int64_t>(many.size())}, many}};
  write_safetensors(folder / "large", tensors, {{kChecksumKey, kChecksumToFill}});
  CHECK(check_checksum(folder / "large") == Checksum::kRight);
  const std::string large = read_text(folder / "large");
  for (const size_t at : {large.size() - 1, large.size() - (size_t{1} << 20), large.size() / 2,
                          size_t{1} << 20, (size_t{1} << 20) - 1}) {
    std::string damaged = large;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    write_text(folder / "large", damaged);
    CHECK(check_checksum(folder / "large") == Checksum::kWrong);
  }
}

}  // namespace
}  // namespace verace::weights::safetensors_checksum_test
