// FGSM over a data set: one gradient per batch serves all epsilons.
#include "apps/lib/attack_runner.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "apps/lib/memory_limit.h"
#include "apps/lib/metrics.h"
#include "apps/lib/model_file.h"
#include "apps/lib/session.h"
#include "apps/lib/signals.h"
#include "data/image.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/image.h"
#include "kernels/perturb.h"
#include "kernels/reduce.h"
#include "optim/attack.h"
#include "weights/metadata_reading.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

// Softmax of two logits: the probability of class `fake`. Both forms are exact for large
// differences.
double probability_of(const float* row, int32_t fake) {
  const double difference = static_cast<double>(row[1 - fake]) - static_cast<double>(row[fake]);
  return 1.0 / (1.0 + std::exp(difference));
}

class Attack {
 public:
  Attack(const layers::Classifier& classifier, const kernels::Exec& exec,
         const AttackOptions& options, const std::string& model_name)
      : exec_(kernels::host_beside(exec)),
        options_(options),
        classes_(class_indices(classifier.options(), model_name)),
        size_(classifier.options().input_size),
        session_(classifier, exec, std::make_shared<engine::Arena>(), options.batch),
        squared_(options.epsilons.size(), 0.0) {
    result_.figures.resize(options.epsilons.size());
  }

  // Throws Error(kInput) for batches that do not fit into memory.
  void plan(int64_t pictures) {
    require_memory(session_, options_.batch, std::min(options_.batch, pictures),
                   available_memory());
  }
  void run(const data::Batch& batch, const std::vector<data::Sample>& samples);
  AttackResult finish(const data::Loader& loader, bool stopped);

 private:
  std::vector<double> judge(std::span<const float> pictures);
  std::vector<double> probabilities(std::span<const float> logits) const;
  void attack(const optim::Fgsm& fgsm, std::span<const float> clean, size_t e, size_t first);
  fs::path place(const fs::path& input, const std::string& below);
  fs::path write(std::span<const float> picture, const fs::path& input, const std::string& below);
  void store(std::span<const float> pictures, size_t e, size_t first);
  bool wanted_in_gallery(const data::Sample& sample);

  kernels::Exec exec_;  // of pictures, which lie in memory of the host
  const AttackOptions& options_;
  ClassIndices classes_;
  int64_t size_;
  GradientSession session_;
  std::vector<double> squared_;  // sums of squared changes, one per epsilon
  std::set<fs::path> used_;
  std::array<std::set<std::string>, 2> gallery_videos_;  // by class
  AttackResult result_;
};

std::vector<double> Attack::probabilities(std::span<const float> logits) const {
  std::vector<double> result;
  for (size_t i = 0; i < logits.size(); i += 2) {
    if (!std::isfinite(logits[i]) || !std::isfinite(logits[i + 1])) {
      fail_input("--model: the network's answer is not a finite number: its weights are broken");
    }
    result.push_back(probability_of(logits.data() + i, classes_.fake));
  }
  return result;
}

std::vector<double> Attack::judge(std::span<const float> pictures) {
  std::vector<float> logits(pictures.size() / static_cast<size_t>(session_.picture_count()) * 2);
  session_.logits(pictures, logits);
  return probabilities(logits);
}

void Attack::run(const data::Batch& batch, const std::vector<data::Sample>& samples) {
  const auto n = static_cast<int64_t>(batch.labels.size());
  std::vector<float> clean(batch.pixels.size());
  kernels::pixels_to_unit(
      exec_, {.shape = {n, size_, size_, 3}, .x = batch.pixels.data(), .y = clean.data()});
  std::vector<int32_t> outputs;  // the labels in the network's order of classes
  for (const int32_t label : batch.labels) {
    outputs.push_back(label == data::kFake ? classes_.fake : classes_.real);
  }
  const optim::Fgsm fgsm(exec_, session_, clean, outputs);
  const std::vector<double> before = probabilities(fgsm.logits());
  const size_t first = result_.records.size(), picture = clean.size() / batch.labels.size();
  for (size_t i = 0; i < batch.labels.size(); ++i) {
    const data::Sample& sample = samples[static_cast<size_t>(batch.sample_index[i])];
    AttackRecord record;
    record.path = sample.path;
    record.label = batch.labels[i];
    record.probability_before = before[i];
    if (wanted_in_gallery(sample)) {
      record.before = write(std::span(clean).subspan(i * picture, picture), sample.path, "before");
    }
    result_.records.push_back(std::move(record));
  }
  for (size_t e = 0; e < options_.epsilons.size(); ++e) attack(fgsm, clean, e, first);
}

void Attack::attack(const optim::Fgsm& fgsm, std::span<const float> clean, size_t e, size_t first) {
  std::vector<float> pictures = fgsm.adversarial(static_cast<float>(options_.epsilons[e]));
  const auto count = static_cast<int64_t>(pictures.size());
  double mse = 0;
  kernels::mean_squared_error(
      exec_, {.count = count, .a = pictures.data(), .b = clean.data(), .result = &mse});
  squared_[e] += mse * static_cast<double>(count);
  double& largest = result_.figures[e].largest_change;
  for (size_t i = 0; i < pictures.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(pictures[i]) - clean[i]));
  }
  const std::vector<double> after = judge(pictures);
  kernels::round_to_eight_bits(exec_, {.count = count, .x = pictures.data(), .y = pictures.data()});
  const std::vector<double> after_8bit = judge(pictures);
  for (size_t i = 0; i < after.size(); ++i) {
    result_.records[first + i].after.push_back(after[i]);
    result_.records[first + i].after_8bit.push_back(after_8bit[i]);
  }
  if (!options_.out.empty()) store(pictures, e, first);
}

bool Attack::wanted_in_gallery(const data::Sample& sample) {
  std::set<std::string>& videos = gallery_videos_[static_cast<size_t>(sample.label)];
  return !options_.out.empty() && static_cast<int64_t>(videos.size()) < kGalleryPerClass &&
         videos.insert(sample.video).second;
}

// A name below OUT/`below` that no other input has.
fs::path Attack::place(const fs::path& input, const std::string& below) {
  const fs::path folder = options_.out / below;
  fs::path inner = input.lexically_relative(options_.input_root);
  if (options_.input_root.empty() || inner.empty() || *inner.begin() == "..") {
    inner = input.filename();
  }
  // Two inputs may differ in extension or (outside of the root) in folder alone.
  fs::path name = fs::path(inner).replace_extension(".png");
  for (int i = 2; !used_.insert(folder / name).second; ++i) {
    name = inner.parent_path() / text::format("{}_{}.png", inner.stem().string(), i);
  }
  return folder / name;
}

fs::path Attack::write(std::span<const float> picture, const fs::path& input,
                       const std::string& below) {
  const fs::path path = place(input, below);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) {
    fail_input(text::format("{}: cannot make the folder: {}", path.parent_path().string(),
                            error.message()));
  }
  data::Image image{size_, size_, std::vector<uint8_t>(picture.size())};
  for (size_t k = 0; k < picture.size(); ++k) {
    image.rgb[k] = static_cast<uint8_t>(std::lround(picture[k] * 255.0f));
  }
  data::write_png(path, image, data::Durability::kFast);
  return path;
}

void Attack::store(std::span<const float> pictures, size_t e, size_t first) {
  const auto picture = static_cast<size_t>(session_.picture_count());
  const std::string below = text::format("eps_{}", options_.epsilons[e]);
  for (size_t i = 0; i * picture < pictures.size(); ++i) {
    AttackRecord& record = result_.records[first + i];
    record.stored.push_back(write(pictures.subspan(i * picture, picture), record.path, below));
  }
}

AttackResult Attack::finish(const data::Loader& loader, bool stopped) {
  result_.stopped = stopped;
  result_.broken = loader.broken();
  result_.count = static_cast<int64_t>(result_.records.size());
  if (result_.count == 0) return std::move(result_);
  const auto right = [](double probability, int32_t label) {
    return is_fake(probability) == (label == data::kFake);
  };
  const auto n = static_cast<double>(result_.count);
  double right_before = 0;
  for (const AttackRecord& record : result_.records) {
    right_before += right(record.probability_before, record.label);
  }
  result_.accuracy_before = right_before / n;
  for (size_t e = 0; e < result_.figures.size(); ++e) {
    AttackFigures& figures = result_.figures[e];
    figures.epsilon = options_.epsilons[e];
    double right_after = 0, right_8bit = 0, flipped = 0;
    for (const AttackRecord& record : result_.records) {
      const bool after = right(record.after[e], record.label);
      right_after += after;
      right_8bit += right(record.after_8bit[e], record.label);
      flipped += right(record.probability_before, record.label) && !after;
    }
    figures.accuracy_after = right_after / n;
    figures.success_rate = 1 - figures.accuracy_after;
    figures.flipped_rate = right_before > 0 ? flipped / right_before : 0;
    figures.accuracy_after_8bit = right_8bit / n;
    figures.mse = squared_[e] / (n * static_cast<double>(session_.picture_count()));
  }
  return std::move(result_);
}

}  // namespace

std::vector<double> parse_epsilons(const std::string& text, const std::string& flag) {
  std::vector<double> epsilons;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    const std::optional<double> value = weights::number_in_text(word);
    if (!value || *value < 0 || *value > 1) {
      fail_input(
          text::format("{}: '{}' is not a number from 0 to 1: it is in units of pixels in "
                       "[0, 1], so that 8/255 is 0.0314",
                       flag, word));
    }
    if (std::ranges::find(epsilons, *value) != epsilons.end()) {
      fail_input(text::format("{}: {} is given twice", flag, word));
    }
    epsilons.push_back(*value);
    begin = end + 1;
  }
  return epsilons;
}

AttackResult run_fgsm(const layers::Classifier& classifier, const kernels::Exec& exec,
                      std::vector<data::Sample> samples, const AttackOptions& options,
                      const std::string& model_name, const ProgressStyle& style) {
  Attack attack(classifier, exec, options, model_name);
  data::LoaderOptions loading;
  loading.batch_size = options.batch;
  loading.fit = options.fit;
  loading.workers = options.workers;
  loading.strict = options.strict;
  data::Loader loader(std::move(samples), loading);
  attack.plan(loader.pictures_per_epoch());
  Progress progress(style, "attack", "pictures", loader.pictures_per_epoch());
  loader.start_epoch(0);
  data::Batch batch;
  int64_t done = 0;
  while (stop_signal() == 0 && loader.next(batch)) {
    attack.run(batch, loader.samples());
    progress.update(done += static_cast<int64_t>(batch.labels.size()));
  }
  progress.finish();
  return attack.finish(loader, stop_signal() != 0);
}

}  // namespace verace::apps
