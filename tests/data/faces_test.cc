// The drawn faces: the same everywhere, a readable data set, and classes that nothing trivial tells
// apart.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "data/dataset.h"
#include "data/faces/dataset.h"
#include "kernels/parallel.h"
#include "tests/data/data_support.h"

using namespace verace;
using namespace verace::data;
using namespace verace::data::testing;

namespace {

kernels::Exec threads(int count) { return kernels::make_exec(kernels::DeviceKind::kCpu, count); }

uint64_t hash(const std::vector<uint8_t>& bytes) {
  uint64_t value = 0xCBF29CE484222325U;
  for (const uint8_t b : bytes) value = (value ^ b) * 0x100000001B3U;
  return value;
}

// What can be said of a picture without looking at it: size of the file, sum of its quantisation
// tables, mean and standard deviation of each colour.
constexpr size_t kCues = 8;
using Cues = std::array<double, kCues>;

double quantisation(const ByteVector& file) {
  double sum = 0;
  for (size_t i = 2; i + 4 < file.size() && file[i] == std::byte{0xFF};) {
    const size_t length =
        std::to_integer<size_t>(file[i + 2]) * 256 + std::to_integer<size_t>(file[i + 3]);
    if (file[i + 1] == std::byte{0xDB}) {
      for (size_t k = i + 4; k < i + 2 + length; ++k) sum += std::to_integer<int>(file[k]);
    }
    if (file[i + 1] == std::byte{0xDA}) break;  // the picture itself
    i += 2 + length;
  }
  return sum;
}

Cues cues_of(const ByteVector& file) {
  Cues cues{static_cast<double>(file.size()), quantisation(file)};
  const Image image = decode_image(file, "drawn face");
  const auto pixels = static_cast<double>(image.height * image.width);
  for (size_t c = 0; c < 3; ++c) {
    double sum = 0;
    double squares = 0;
    for (size_t i = c; i < image.rgb.size(); i += 3) {
      sum += image.rgb[i];
      squares += static_cast<double>(image.rgb[i]) * image.rgb[i];
    }
    cues[2 + c] = sum / pixels;
    cues[5 + c] = std::sqrt(squares / pixels - cues[2 + c] * cues[2 + c]);
  }
  return cues;
}

struct LabelledCues {
  Cues cues;
  double label;
};

// Persons [first, first + count), each with a real frame and a fake one, the fake second.
std::vector<faces::DrawnFace> draw_persons(int64_t first, int64_t count) {
  std::vector<faces::DrawnFace> all(static_cast<size_t>(2 * count));
  kernels::parallel_for(threads(2), 2 * count, [&](int64_t i) {
    const int64_t person = i / 2;
    const int64_t donor = i % 2 == 1 ? (person + 7) % count : person;
    all[static_cast<size_t>(i)] = faces::draw_face(5, 64, first + person, first + donor, 0);
  });
  return all;
}

// `leak` may change the fakes.
using Leak = std::function<void(faces::DrawnFace&)>;
std::vector<LabelledCues> cues_of_faces(std::vector<faces::DrawnFace> faces, const Leak& leak) {
  std::vector<LabelledCues> all;
  for (size_t i = 0; i < faces.size(); ++i) {
    faces::DrawnFace& face = faces[i];
    if (i % 2 == 1) leak(face);
    all.push_back({cues_of(encode_jpeg(face.image, face.jpeg_quality)), i % 2 == 1 ? 1.0 : 0.0});
  }
  return all;
}

// Scales every cue to mean 0 and standard deviation 1 of the training faces.
void standardise(std::vector<LabelledCues>& training, std::vector<LabelledCues>& unseen) {
  const auto n = static_cast<double>(training.size());
  for (size_t k = 0; k < kCues; ++k) {
    double mean = 0;
    for (const LabelledCues& face : training) mean += face.cues[k] / n;
    double variance = 0;
    for (const LabelledCues& face : training) {
      variance += (face.cues[k] - mean) * (face.cues[k] - mean) / n;
    }
    for (auto* faces : {&training, &unseen}) {
      for (LabelledCues& face : *faces) {
        face.cues[k] = (face.cues[k] - mean) / std::sqrt(variance + 1e-9);
      }
    }
  }
}

double logit(const Cues& cues, const std::array<double, kCues + 1>& weights) {
  return std::inner_product(cues.begin(), cues.end(), weights.begin(), weights[kCues]);
}

// Accuracy on `unseen` of a logistic regression that gradient descent fits to `training`.
double linear_accuracy(std::vector<LabelledCues> training, std::vector<LabelledCues> unseen) {
  standardise(training, unseen);
  std::array<double, kCues + 1> weights{};
  for (int step = 0; step < 1000; ++step) {
    std::array<double, kCues + 1> gradient{};
    for (const LabelledCues& face : training) {
      const double error = 1 / (1 + std::exp(-logit(face.cues, weights))) - face.label;
      for (size_t k = 0; k < kCues; ++k) gradient[k] += error * face.cues[k];
      gradient[kCues] += error;
    }
    for (size_t k = 0; k <= kCues; ++k) {
      weights[k] -= gradient[k] / static_cast<double>(training.size());
    }
  }
  double right = 0;
  for (const LabelledCues& face : unseen) {
    right += (logit(face.cues, weights) > 0) == (face.label > 0.5);
  }
  return right / static_cast<double>(unseen.size());
}

double accuracy_with(const Leak& leak) {
  static const std::vector<faces::DrawnFace> training = draw_persons(0, 400);
  static const std::vector<faces::DrawnFace> unseen = draw_persons(400, 800);
  return linear_accuracy(cues_of_faces(training, leak), cues_of_faces(unseen, leak));
}

}  // namespace

TEST_CASE("a drawn face depends on its arguments alone") {
  const faces::DrawnFace face = faces::draw_face(1, 64, 2, 2, 0);
  CHECK(face.image.height == 64);
  CHECK(face.image.width == 64);
  CHECK(face.jpeg_quality >= 75);
  CHECK(face.jpeg_quality <= 95);
  CHECK(face.image.rgb == faces::draw_face(1, 64, 2, 2, 0).image.rgb);
  for (const auto& other : {faces::draw_face(2, 64, 2, 2, 0), faces::draw_face(1, 64, 3, 3, 0),
                            faces::draw_face(1, 64, 2, 3, 0), faces::draw_face(1, 64, 2, 2, 1)}) {
    CHECK(other.image.rgb != face.image.rgb);
  }
  // The same on every machine and after every change that does not mean to change it.
  CHECK(hash(face.image.rgb) == 7108129068959229926U);
}

TEST_CASE("a fake differs from the real picture in the inner face alone, and not by much") {
  double inner = 0;
  double outer = 0;
  for (int64_t person = 0; person < 20; ++person) {
    const Image real = faces::draw_face(1, 64, person, person, 0).image;
    const Image fake = faces::draw_face(1, 64, person, person + 1, 0).image;
    for (int64_t y = 0; y < 64; ++y) {
      for (int64_t x = 0; x < 64; ++x) {
        const auto i = static_cast<size_t>((y * 64 + x) * 3 + 1);
        const double change = std::abs(real.rgb[i] - fake.rgb[i]);
        const bool border = x < 8 || x >= 56 || y < 6 || y >= 58;
        (border ? outer : inner) += change;
      }
    }
  }
  CHECK(outer == 0);
  CHECK(inner / (20 * 48 * 52) > 1);
  CHECK(inner / (20 * 48 * 52) < 20);
}

TEST_CASE("write_dataset: disjoint identities, two videos of each, both manifests") {
  const TempFolder dir;
  const fs::path folder = dir.path() / "new" / "faces";
  const faces::DatasetOptions options{.seed = 3, .size = 32, .identities = {4, 2, 3}, .frames = 2};
  write_dataset(folder, options, threads(2));
  const Dataset dataset = load_dataset(folder / "faces.csv");
  CHECK(count_classes(dataset) == ClassCounts{{{8, 8}, {4, 4}, {6, 6}}});
  CHECK(dataset.leak_report.empty());
  CHECK(dataset.ignored_columns.empty());
  std::map<std::string, std::set<Split>> splits_of;
  std::map<std::string, int64_t> faces_of;
  std::set<uint64_t> pictures;
  for (const Sample& sample : dataset.samples) {
    splits_of[sample.identity].insert(sample.split);
    ++faces_of[sample.video];
    CHECK(pictures.insert(hash(read_image(sample.path).rgb)).second);
  }
  CHECK(splits_of.size() == 9);
  for (const auto& [identity, splits] : splits_of) CHECK(splits.size() == 1);
  CHECK(faces_of.size() == 18);
  for (const auto& [video, count] : faces_of) CHECK(count == 2);

  const Dataset light = load_dataset(folder / "light.csv");
  REQUIRE(light.samples.size() == dataset.samples.size() / 2);
  int64_t from_right = 0;
  for (const Sample& sample : light.samples) from_right += sample.label;
  CHECK(from_right > 0);
  CHECK(from_right < static_cast<int64_t>(light.samples.size()));
  CHECK(contains(input_error([&] { write_dataset(folder, options, threads(1)); }), "not empty"));
}

TEST_CASE("write_dataset writes the same bytes with any number of threads") {
  const TempFolder dir;
  const faces::DatasetOptions options{.seed = 9, .size = 32, .identities = {5, 0, 2}, .frames = 3};
  write_dataset(dir.path() / "one", options, threads(1));
  write_dataset(dir.path() / "three", options, threads(3));
  int64_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir.path() / "one")) {
    if (!entry.is_regular_file()) continue;
    const fs::path other =
        dir.path() / "three" / entry.path().lexically_relative(dir.path() / "one");
    CHECK(test::read_text(entry.path()) == test::read_text(other));
    ++files;
  }
  CHECK(files == 7 * 2 * 3 + 2);
}

TEST_CASE("a linear model of trivial cues cannot tell the classes, but finds a planted leak") {
  const double honest = accuracy_with([](faces::DrawnFace&) {});
  MESSAGE("accuracy by trivial cues: ", honest);
  CHECK(honest > 0.45);
  CHECK(honest < 0.55);
  const double quality = accuracy_with([](faces::DrawnFace& face) { face.jpeg_quality -= 8; });
  MESSAGE("fakes of lower JPEG quality: ", quality);
  CHECK(quality > 0.55);
  const auto brighten = [](faces::DrawnFace& face) {
    for (uint8_t& value : face.image.rgb) value = static_cast<uint8_t>(std::min(255, value + 12));
  };
  const double brightness = accuracy_with(brighten);
  MESSAGE("brighter fakes: ", brightness);
  CHECK(brightness > 0.55);
  // Only the files become larger.
  const auto roughen = [](faces::DrawnFace& face) {
    for (size_t i = 0; i < face.image.rgb.size(); ++i) {
      const int step = i / 3 % 2 == 0 ? 4 : -4;
      face.image.rgb[i] = static_cast<uint8_t>(std::clamp(face.image.rgb[i] + step, 0, 255));
    }
  };
  const double size = accuracy_with(roughen);
  MESSAGE("rougher fakes: ", size);
  CHECK(size > 0.55);
}
