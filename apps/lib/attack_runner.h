// Attacking a classifier of real and fake on labelled pictures, and what is left of its accuracy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/lib/progress.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "kernels/exec.h"
#include "layers/classifier.h"

namespace verace::apps {

struct AttackOptions {
  std::vector<double> epsilons;  // in units of pixels from 0 to 1
  int64_t batch = 32;
  int64_t workers = 2;
  bool strict = false;  // a broken picture is an error instead of being skipped
  data::FitOptions fit;
  // Adversarial pictures go to OUT/eps_E/..., placed as the input is below `input_root` (else by
  // file name alone), and the unchanged ones of the gallery (AttackRecord::before) to
  // OUT/before/...; empty: not written.
  std::filesystem::path out, input_root;
};

// All samples under one epsilon. FGSM with Foolbox 3's meaning: every sample is attacked, in
// evaluation mode, also those that were misjudged before.
struct AttackFigures {
  double epsilon = 0;
  double accuracy_after = 0;
  double success_rate = 0;  // share of all samples that are misjudged afterwards (Foolbox)
  double flipped_rate = 0;  // of those that were judged rightly before
  double mse = 0;           // mean of (adversarial - x)^2 over batch, height, width and channels
  double largest_change = 0;
  double accuracy_after_8bit = 0;  // of the pictures as they are stored, rounded to 8 bits
};

// One sample; the vectors have one entry per epsilon.
struct AttackRecord {
  std::filesystem::path path;
  int32_t label = 0;               // 0 real, 1 fake
  double probability_before = 0;   // of being fake
  std::vector<double> after;       // the same of the adversarial picture
  std::vector<double> after_8bit;  // and of the stored one
  std::vector<std::filesystem::path> stored;
  // The picture as the network saw it before, for the gallery of reports: the first
  // kGalleryPerClass real and fake ones of different videos, whatever became of them. Else empty.
  std::filesystem::path before;
};
inline constexpr int64_t kGalleryPerClass = 3;

struct AttackResult {
  // Filled in by who knows them: the network (weights_digest.h) and the pictures' split.
  std::string weights, split;
  int64_t count = 0;
  double accuracy_before = 0;
  std::vector<AttackFigures> figures;  // as the epsilons
  std::vector<AttackRecord> records;
  std::vector<data::BrokenPicture> broken;
  bool stopped = false;  // by a signal: only a part was attacked
};

// "0.01,0.02": different numbers in [0, 1]. Throws Error(kInput) naming `flag`.
std::vector<double> parse_epsilons(const std::string& text, const std::string& flag);

// Throws Error(kInput) for a network of other classes (named by `model_name`) and what the loader
// and writing pictures throw.
AttackResult run_fgsm(const layers::Classifier& classifier, const kernels::Exec& exec,
                      std::vector<data::Sample> samples, const AttackOptions& options,
                      const std::string& model_name, const ProgressStyle& progress = {});

// A line per epsilon, for people.
std::string attack_table(const AttackResult& result);
// Of attack.json.
inline constexpr int64_t kAttackVersion = 1;

// Everything: JSON object with version (kAttackVersion), model, weights, split, count, stopped,
// accuracy_before, epsilons [...], pictures [...], gallery [{picture: its index, before, after:
// [one file per epsilon]}], broken [...]. The files of the gallery are relative to `folder`, where
// this is stored as attack.json.
std::string attack_json(const AttackResult& result, const std::string& model_name,
                        const std::filesystem::path& folder);

}  // namespace verace::apps
