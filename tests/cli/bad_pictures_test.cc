// Pictures and paths that make trouble, through the real program: what cannot be read is named and
// left out, what is merely unusual is read right.
#include <nlohmann/json.hpp>

#include "data/codecs.h"
#include "data/image.h"
#include "tests/cli/world.h"
#include "tests/data/data_support.h"

namespace verace::bad_pictures_test {
namespace {

using data::Image;
using namespace data::testing;
using Json = nlohmann::json;
using test::expect_error;
using test::expect_refusal;
using test::Words;
using test::World;

ByteVector text_bytes(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

ByteVector first_bytes(ByteVector bytes, size_t count) {
  bytes.resize(count);
  return bytes;
}

// Filter byte 0 and the pixels of each row, 8 or 16 bits, with or without opaque alpha.
ByteVector png_of(const Image& image, int bits, bool alpha, const std::vector<uint8_t>& exif = {}) {
  std::vector<uint8_t> rows;
  const int bytes = bits / 8;
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    const auto column = static_cast<int64_t>(i) % (image.width * 3);
    if (column == 0) rows.push_back(0);
    put(rows, static_cast<uint32_t>(image.rgb[i]) << (bits - 8), bytes, false);
    if (alpha && column % 3 == 2) rows.insert(rows.end(), static_cast<size_t>(bytes), 255);
  }
  PngMaker png(static_cast<uint32_t>(image.width), static_cast<uint32_t>(image.height),
               static_cast<uint8_t>(bits), alpha ? 6 : 2);
  if (!exif.empty()) png.chunk("eXIf", exif);
  return png.pixels(rows).finish();
}

// A JPEG's own size replaced by 60000 x 60000, and nothing behind the header of its frame.
ByteVector huge_jpeg() {
  ByteVector jpeg = encode_jpeg(smooth_image(8, 8));
  for (size_t i = 0; i + 8 < jpeg.size(); ++i) {
    if (jpeg[i] != std::byte{0xFF} || jpeg[i + 1] != std::byte{0xC0}) continue;
    jpeg[i + 5] = jpeg[i + 7] = std::byte{0xEA};
    jpeg[i + 6] = jpeg[i + 8] = std::byte{0x60};
    break;
  }
  return jpeg;
}

ByteVector huge_bmp() {
  std::vector<uint8_t> out{'B', 'M'};
  for (const uint32_t value : {54U, 0U, 54U, 40U, 60000U, 60000U, 24U << 16 | 1U}) {
    put(out, value, 4, true);
  }
  out.resize(54);
  const auto* begin = reinterpret_cast<const std::byte*>(out.data());
  return {begin, begin + out.size()};
}

struct BadPicture {
  std::string name;
  ByteVector bytes;
  std::string expected;
};

std::vector<BadPicture> bad_pictures() {
  const Image image = smooth_image(40, 40);
  const ByteVector jpeg = encode_jpeg(image), png = data::encode_png(image);
  const std::string huge = "60000x60000 pixels are more than the 16384 per side";
  return {{"empty.jpg", {}, "empty file; replace or remove it"},
          {"cut.jpg", first_bytes(jpeg, jpeg.size() / 2), "truncated or damaged JPEG"},
          {"cut.png", first_bytes(png, png.size() / 2), "truncated PNG; replace or remove it"},
          {"text.jpg", text_bytes("no picture at all"), "not a JPEG, PNG or BMP picture"},
          {"film.jpg", text_bytes("....ftypmp42......"), "found HEIF, AVIF or video); convert it"},
          {"animated.png", text_bytes("GIF89a............"), "found GIF); convert it"},
          // 8 bytes of signature, 25 of the header: nothing behind it is needed to refuse.
          {"huge.png", first_bytes(PngMaker(60000, 60000, 8, 2).finish(), 33), huge},
          {"huge.jpg", huge_jpeg(), huge},
          {"huge.bmp", huge_bmp(), huge},
          {"line\nbreak.png", text_bytes("x"), "line\\nbreak.png: not a JPEG"},
          {"\xc3\xa4\xd0\xb6\xe5\x83\x8f \xff.png", text_bytes("x"), ".png: not a JPEG"}};
}

TEST_CASE("pictures that cannot be read are named, one line each; the others are judged") {
  const World& world = World::get();
  Words words = {"predict", "--model", world / "run", "--quiet", "--json"};
  const auto pictures = bad_pictures();
  for (const BadPicture& picture : pictures) {
    write_file(world / ("bad/" + picture.name), picture.bytes);
    words.push_back(world / ("bad/" + picture.name));
  }
  words.push_back(world / "bad/absent.jpg");
  write_file(world / "bad/good.png", data::encode_png(smooth_image(40, 40)));
  words.push_back(world / "bad/good.png");
  const auto before = world.listing();
  const test::Finished finished = world.run(words);
  CHECK(world.listing() == before);
  CHECK(finished.code == 2);
  std::istringstream lines(finished.err);
  std::string line;
  for (const BadPicture& picture : pictures) {
    REQUIRE(std::getline(lines, line));
    CHECK(line.starts_with("verace: " + one_line(world / ("bad/" + picture.name)) + ": "));
    CHECK_MESSAGE(line.find(picture.expected) != std::string::npos, line);
  }
  REQUIRE(std::getline(lines, line));
  CHECK(line.find("absent.jpg: no such file; check the path") != std::string::npos);
  REQUIRE(std::getline(lines, line));
  CHECK(line == text::format("verace: {} of {} pictures could not be judged", pictures.size() + 1,
                             pictures.size() + 2));
  CHECK_FALSE(std::getline(lines, line));
  const Json json = Json::parse(finished.out);
  CHECK(json["pictures"].size() == pictures.size() + 2);
  CHECK(json["pictures"].back()["verdict"].is_string());
  CHECK(json["pictures"].front()["error"].is_string());
}

TEST_CASE("unusual pictures are read right") {
  const World& world = World::get();
  const Image image = smooth_image(40, 56);
  const Image turned = data::internal::apply_orientation(image, 8);  // what 6 turns back
  Image grey = image;
  for (size_t i = 0; i < grey.rgb.size(); ++i) grey.rgb[i] = image.rgb[i - i % 3];
  std::vector<uint8_t> grey_rows;
  for (size_t i = 0; i < grey.rgb.size(); i += 3) {
    if (static_cast<int64_t>(i) % (grey.width * 3) == 0) grey_rows.push_back(0);
    grey_rows.push_back(grey.rgb[i]);
  }
  Image plain{32, 32, {}};
  for (int i = 0; i < 32 * 32; ++i) plain.rgb.insert(plain.rgb.end(), {200, 100, 50});
  const std::vector<uint8_t> inks(16 * 16 * 4, 128);
  const JpegSettings cmyk{4, JCS_CMYK, JCS_YCCK, false, true, {}};
  const ByteVector ink_picture = encode_jpeg(inks, 16, 16, cmyk);
  struct Pair {
    std::string name;
    ByteVector bytes;
    Image same;  // a picture that must be judged alike
  };
  const std::vector<Pair> pairs = {
      {"alpha.png", png_of(image, 8, true), image},
      {"deep.png", png_of(image, 16, false), image},
      {"deep_alpha.png", png_of(image, 16, true), image},
      {"rotated.png", png_of(turned, 8, false, tiff_block(6, true)), image},
      {"grey.png", PngMaker(56, 40, 8, 0).pixels(grey_rows).finish(), grey},
      {"one_pixel.png", png_of({1, 1, {200, 100, 50}}, 8, false), plain},
      {"inks.jpg", ink_picture, data::decode_image(ink_picture, "inks")}};
  Words words = {"predict", "--model", world / "run", "--quiet", "--json"};
  for (const Pair& pair : pairs) {
    write_file(world / ("odd/" + pair.name), pair.bytes);
    data::write_png(world / ("odd/same_" + pair.name), pair.same);
    words.push_back(world / ("odd/" + pair.name));
    words.push_back(world / ("odd/same_" + pair.name));
  }
  const test::Finished finished = world.run(words);
  INFO(finished.err);
  CHECK(finished.code == 0);
  CHECK(finished.err.empty());
  const Json all = Json::parse(finished.out)["pictures"];
  REQUIRE(all.size() == 2 * pairs.size());
  for (size_t i = 0; i < all.size(); i += 2) {
    INFO(pairs[i / 2].name);
    CHECK(all[i]["logits"] == all[i + 1]["logits"]);
  }
  CHECK(all[0]["logits"] != all[8]["logits"]);  // a picture has a say
  // 128 of 255 let through by each ink and by black: about a quarter of the light.
  for (const uint8_t value : pairs.back().same.rgb) CHECK(std::abs(value - 64) <= 3);
}

TEST_CASE("a broken picture in a data set is left out, or ends the command with --strict") {
  const World& world = World::get();
  fs::copy(world / "data", world / "damaged", fs::copy_options::recursive);
  for (const char* split : {"train", "test"}) {
    write_file(world / ("damaged/" + std::string(split) + "/real/x.png"), text_bytes("x"));
  }
  const std::string data = world / "damaged";
  const Words eval = {"eval", "--model", world / "run", "--data", data, "--quiet"};
  const test::Finished finished = world.run(eval);
  CHECK(finished.code == 0);
  CHECK(finished.err.find("test/real/x.png: not a JPEG") != std::string::npos);
  CHECK(finished.err.find("1 broken pictures were left out") != std::string::npos);
  Words strict = eval;
  strict.push_back("--strict");
  expect_refusal(strict, {"damaged/test/real/x.png", "not a JPEG"});
  const test::Finished trained = world.run(world.train("lenient", {"--data", data}));
  CHECK(trained.code == 0);
  CHECK(trained.out.find("WARNING: 2 pictures cannot be read") != std::string::npos);
  test::expect_failure(world.train("strict", {"--data", data, "--strict"}),
                       {"damaged/train/real/x.png", "not a JPEG"}, {"strict/config.toml"});
  for (const auto& entry : fs::recursive_directory_iterator(world / "damaged/test")) {
    if (entry.is_regular_file()) write_file(entry.path(), text_bytes("x"));
  }
  const Words all_broken = {"eval", "--model", world / "run", "--data", data, "--quiet"};
  expect_refusal(all_broken, {"none of 13 pictures can be read", "damaged/test/real/"});
}

TEST_CASE("data sets without the form or the pictures that are needed") {
  const World& world = World::get();
  const auto refused = [&](const std::string& name, const test::Parts& expected) {
    expect_refusal(world.train("none", {"--data", world / name}), expected);
  };
  refused("absent", {"absent: no such directory or manifest", "check the path"});
  fs::create_directories(world / "hollow");
  refused("hollow", {"hollow: needs folders train, val or test", "found no folders"});
  fs::copy(world / "data", world / "one_class", fs::copy_options::recursive);
  for (const auto& entry : fs::directory_iterator(world / "one_class/train/fake")) {
    fs::remove_all(entry.path());
  }
  refused("one_class", {"one_class: no pictures of class fake in split train", "add some"});
  fs::copy(world / "data", world / "untested", fs::copy_options::recursive);
  fs::remove_all(world / "untested/test");
  refused("untested", {"untested: has no pictures in test or val", "put some there"});
  fs::copy(world / "data", world / "misnamed", fs::copy_options::recursive);
  fs::rename(world / "misnamed/train/fake", world / "misnamed/train/forged");
  refused("misnamed", {"misnamed/train", "folders named real and fake", "'forged'"});
  refused("run/best.safetensors", {"best.safetensors:1: a zero byte; this is not a text file"});
}

TEST_CASE("a video in train and in test is refused unless the leak is accepted") {
  const World& world = World::get();
  fs::copy(world / "data", world / "leaky", fs::copy_options::recursive);
  for (const char* split : {"train", "test"}) {
    write_file(world / ("leaky/" + std::string(split) + "/real/clip/1.png"),
               data::encode_png(smooth_image(32, 32)));
  }
  const std::string data = world / "leaky";
  expect_refusal(world.train("leak", {"--data", data}),
                 {"leaky: video 'real/clip' is in train and in test", "--allow-leak"});
  const test::Finished accepted = world.run(world.train("leak", {"--data", data, "--allow-leak"}));
  INFO(accepted.err);
  CHECK(accepted.code == 0);
  CHECK(accepted.out.find("WARNING leak: video 'real/clip'") != std::string::npos);
}

TEST_CASE("paths with blanks, line breaks and other scripts lead through all commands") {
  const World& world = World::get();
  const std::string root = world / "two words/\xc3\xa4\xd0\xb6\xe5\x83\x8f\nnext, \"line\"";
  fs::create_directories(root);
  fs::copy(world / "data", root + "/data", fs::copy_options::recursive);
  const auto succeed = [&](const Words& words) {
    INFO(test::command_text(words));
    const test::Finished finished = world.run(words);
    INFO(finished.err);
    CHECK(finished.code == 0);
    return finished.out;
  };
  Words train = world.train("", {"--data", root + "/data", "--max-steps", "1"});
  *(std::ranges::find(train, "--out") + 1) = root + "/run";
  succeed(train);
  succeed({"train", "--resume", root + "/run", "--quiet"});
  const Words model = {"--model", root + "/run", "--data", root + "/data", "--quiet"};
  const auto with_model = [&](Words words, const Words& more) {
    words.insert(words.end(), model.begin(), model.end());
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const std::string csv = root + "/faces.csv";
  const Json json = Json::parse(succeed(with_model({"eval", "--json"}, {"--csv", csv})));
  CHECK(json["model"] == root + "/run/best.safetensors");
  CHECK(test::read_text(csv).starts_with("path,video,label"));
  succeed(
      with_model({"attack", "fgsm"}, {"--epsilon", "0.1", "--limit", "1", "--out", root + "/a"}));
  CHECK(fs::exists(root + "/a/attack.json"));
  // Bytes that are no UTF-8 at all; and errors stay on their line.
  const std::string odd = root + "/\xff\xfe";
  fs::copy(root + "/data", odd, fs::copy_options::recursive);
  succeed({"eval", "--model", root + "/run", "--data", odd, "--quiet", "--json"});
  expect_refusal({"eval", "--model", root + "/absent", "--data", odd, "--quiet"},
                 {one_line(root) + "/absent: cannot open the file", "check the path"});
  fs::rename(root + "/data", root + "/moved");
  expect_refusal({"train", "--resume", root + "/run", "--epochs", "2", "--quiet"},
                 {one_line(root) + "/run/last.safetensors", "say with --data where it is"});
}

}  // namespace
}  // namespace verace::bad_pictures_test
