// Reads, finds landmarks where there are none, makes fakes in parallel, writes in order.
#include "apps/lib/fakes.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <span>

#include "apps/lib/crop_record.h"
#include "apps/lib/fakes_sheet.h"
#include "apps/lib/predictor.h"
#include "data/face_manifest.h"
#include "data/pseudo_fakes/pseudo_fake.h"
#include "data/pseudo_fakes/samples.h"
#include "data/text.h"
#include "data/write_file.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/parallel.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPiece = 32;  // pictures in memory at a time
constexpr int64_t kMaxPictureBytes = int64_t{1} << 30;

bool is_data_set(const fs::path& folder) {
  std::error_code error;
  return std::ranges::any_of(data::kSplitNames, [&](const char* split) {
    return fs::is_directory(folder / split, error);
  });
}

data::Dataset read_input(const fs::path& input) {
  std::error_code error;
  if (!fs::is_directory(input, error) || is_data_set(input)) return data::load_dataset(input);
  data::Dataset dataset;
  for (const fs::path& path : expand_pictures({input.string()})) {
    data::Sample sample;
    sample.path = path;
    sample.video = path.lexically_relative(input).replace_extension().generic_string();
    dataset.samples.push_back(std::move(sample));
  }
  return dataset;
}

// What becomes of one real face.
struct Work {
  int64_t number = 0;
  data::Sample sample;
  data::Image real;
  std::vector<data::PseudoFake> fakes;
  std::vector<std::vector<std::byte>> files;  // of the real picture, and of each fake
  std::string failed;                         // one line; empty: it worked
};

class FakesWriter {
 public:
  FakesWriter(const FakesOptions& options, FaceFinder* finder, const kernels::Exec& exec)
      : options_(options), finder_(finder), exec_(exec) {}

  FakesResult run(const std::function<void(int64_t, int64_t)>& done);

 private:
  void read(Work& work) const;
  void find_landmarks(std::span<Work> piece) const;
  void make(Work& work) const;
  void write(Work& work);
  void write_picture(const Work& work, size_t which);
  void finish();
  // Broken input is said of this face; anything else ends the run.
  template <typename Step>
  void each(std::span<Work> piece, Step step) const;

  const FakesOptions& options_;
  FaceFinder* finder_;
  const kernels::Exec& exec_;
  FakesResult result_;
  FakesSheet sheet_;
  std::string manifest_ = data::face_manifest_header();
};

template <typename Step>
void FakesWriter::each(std::span<Work> piece, Step step) const {
  std::vector<std::exception_ptr> errors(piece.size());
  kernels::parallel_for(exec_, static_cast<int64_t>(piece.size()), [&](int64_t i) {
    Work& work = piece[static_cast<size_t>(i)];
    if (!work.failed.empty()) return;
    try {
      step(work);
    } catch (const Error& error) {
      work.failed = error.what();
      if (error.kind() != ErrorKind::kInput)
        errors[static_cast<size_t>(i)] = std::current_exception();
    } catch (...) {
      errors[static_cast<size_t>(i)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

void FakesWriter::read(Work& work) const {
  work.real = data::read_image(work.sample.path);
  if (options_.jpeg_quality == 0) {
    work.files.push_back(data::read_file(work.sample.path, kMaxPictureBytes, "picture"));
  } else {
    work.files.push_back(data::encode_jpeg(work.real, options_.jpeg_quality));
  }
}

void FakesWriter::find_landmarks(std::span<Work> piece) const {
  std::vector<data::Image> pictures;
  std::vector<Work*> asked;
  for (Work& work : piece) {
    if (!work.failed.empty() || work.sample.landmarks) continue;
    if (finder_ == nullptr) {
      work.failed = text::format("{}: its landmarks are not known: find them with --detector FILE",
                                 data::name_of(work.sample.path));
      continue;
    }
    pictures.push_back(work.real);
    asked.push_back(&work);
  }
  if (asked.empty()) return;
  const auto found = finder_->find(pictures);
  VERACE_CHECK(found.size() == asked.size());
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto area = [](const data::DetectedFace& face) {
      return face.box.width() * face.box.height();
    };
    const auto largest = std::ranges::max_element(found[i], {}, area);
    if (largest == found[i].end()) {
      asked[i]->failed = text::format("{}: no face found", data::name_of(asked[i]->sample.path));
      continue;
    }
    asked[i]->sample.landmarks = largest->landmarks;
    asked[i]->sample.box = largest->box;
  }
}

void FakesWriter::make(Work& work) const {
  for (int64_t k = 0; k < options_.per_face; ++k) {
    data::PseudoFake fake = data::draw_pseudo_fake(work.real, *work.sample.landmarks, options_.seed,
                                                   work.number, k, data::name_of(work.sample.path));
    work.files.push_back(options_.jpeg_quality == 0
                             ? data::encode_png(fake.image)
                             : data::encode_jpeg(fake.image, options_.jpeg_quality));
    if (sheet_.full()) fake.image.rgb.clear();
    work.fakes.push_back(std::move(fake));
  }
}

// The real picture (0), or a fake of it.
void FakesWriter::write_picture(const Work& work, size_t which) {
  const bool real = which == 0;
  std::string extension = options_.jpeg_quality == 0 ? ".png" : ".jpg";
  if (real && options_.jpeg_quality == 0) extension = work.sample.path.extension().string();
  const std::string suffix =
      real || options_.per_face == 1 ? std::string() : text::format("-{}", which);
  const std::string name =
      text::format("{}/{:06}{}{}", real ? "real" : "fake", work.number, suffix, extension);
  data::write_file(options_.out / name, work.files[which], data::Durability::kFast);
  const data::Sample& sample = work.sample;
  const int32_t label = real ? data::kReal : data::kFake;
  manifest_ +=
      data::face_manifest_line({name,
                                label,
                                real ? sample.video : data::pseudo_fake_video(sample.video),
                                data::pseudo_fake_identity(sample),
                                sample.split,
                                {},
                                {},
                                {},
                                sample.box,
                                sample.landmarks});
  ++result_.counts[static_cast<size_t>(sample.split)][static_cast<size_t>(label)];
}

void FakesWriter::write(Work& work) {
  if (!work.failed.empty()) {
    result_.left_out.push_back(work.failed);
    return;
  }
  for (size_t i = 0; i < work.files.size(); ++i) write_picture(work, i);
  if (!sheet_.full()) sheet_.add(work.real, work.fakes.front());
}

void FakesWriter::finish() {
  const auto failed = result_.left_out.size();
  if (sheet_.empty()) {
    fail_input(
        text::format("{}: no pseudo-fake could be made of any of its {} real faces; the "
                     "first: {}",
                     data::name_of(options_.input), failed, result_.left_out.front()));
  }
  data::write_png(options_.out / "sheet.png", sheet_.image());
  // The pictures are the input's crops still: whoever trains on them stores how they were cut.
  if (const auto crop = crop_of_data(options_.input)) {
    write_crop_of_data(options_.out / "faces.csv", *crop);
  }
  data::write_file(options_.out / "faces.csv", std::as_bytes(std::span(manifest_)),
                   data::Durability::kSync);
}

FakesResult FakesWriter::run(const std::function<void(int64_t, int64_t)>& done) {
  data::Dataset dataset = read_input(options_.input);
  std::vector<Work> all;
  for (size_t i = 0; i < dataset.samples.size(); ++i) {
    if (dataset.samples[i].label == data::kReal) {
      all.push_back({static_cast<int64_t>(i), std::move(dataset.samples[i]), {}, {}, {}, {}});
    } else {
      ++result_.fakes_ignored;
    }
  }
  if (all.empty()) {
    fail_input(text::format("{}: no real faces: pseudo-fakes are made of real ones",
                            data::name_of(options_.input)));
  }
  data::make_empty_folder(options_.out);
  for (const char* name : data::kClassNames) data::make_empty_folder(options_.out / name);
  for (size_t first = 0; first < all.size(); first += kPiece) {
    const size_t count = std::min<size_t>(kPiece, all.size() - first);
    const std::span<Work> piece(all.data() + first, count);
    each(piece, [this](Work& work) { read(work); });
    find_landmarks(piece);
    each(piece, [this](Work& work) { make(work); });
    for (Work& work : piece) {
      write(work);
      work = {};
    }
    if (done) done(static_cast<int64_t>(first + count), static_cast<int64_t>(all.size()));
  }
  finish();
  return std::move(result_);
}

}  // namespace

FakesResult write_fakes(const FakesOptions& options, FaceFinder* finder, const kernels::Exec& exec,
                        const std::function<void(int64_t, int64_t)>& done) {
  VERACE_CHECK(options.per_face >= 1 && options.per_face <= int64_t{1} << 20);
  VERACE_CHECK(options.jpeg_quality >= 0 && options.jpeg_quality <= 100);
  return FakesWriter(options, finder, exec).run(done);
}

}  // namespace verace::apps
