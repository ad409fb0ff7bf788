// Loading, adding pseudo-fakes, and one loader for each split.
#include "apps/lib/trainer_data.h"

#include <algorithm>

#include "data/augment.h"
#include "data/pseudo_fakes/samples.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// Of pseudo-fakes that models are judged by: the same for all runs.
constexpr uint64_t kJudgingSeed = 0x6A756467;

void report_dataset(const TrainOptions& o, const data::Dataset& dataset, std::ostream& out) {
  data::ClassCounts counts = data::count_classes(dataset);
  counts[0] = training_counts(o, dataset);
  for (size_t split = 0; split < 3; ++split) {
    if (counts[split][0] + counts[split][1] == 0) continue;
    text::print(out, "data: {:<5} {} real, {} fake\n", data::kSplitNames[split], counts[split][0],
                counts[split][1]);
  }
  if (dataset.ignored_files > 0) {
    text::print(out, "data: {} files that are no pictures were ignored\n", dataset.ignored_files);
  }
  for (const std::string& column : dataset.ignored_columns) {
    text::print(out, "data: column '{}' of {} was ignored\n", column, o.data.string());
  }
  if (!dataset.leak_report.empty()) text::print(out, "WARNING leak: {}\n", dataset.leak_report);
}

// Real pictures of the training split get pseudo-fakes; so do those of a split that has no fakes to
// judge by.
void add_pseudo_fakes(const TrainOptions& o, data::Dataset& dataset, std::ostream& out) {
  if (o.pseudo_fakes == 0) return;
  const auto added = data::add_pseudo_fakes(dataset, data::Split::kTrain);
  if (added.added == 0) {
    fail_input(
        text::format("--pseudo-fakes: no real training picture of {} has landmarks: give a "
                     "manifest of faces, as verace faces writes it",
                     o.data.string()));
  }
  text::print(out, "data: pseudo-fakes of {} real training pictures, new ones in each epoch\n",
              data::thinned_count(added.added, o.pseudo_fakes));
  if (added.without_landmarks > 0) {
    text::print(out, "data: {} real training pictures have no landmarks: no pseudo-fakes of them\n",
                added.without_landmarks);
  }
  const data::ClassCounts counts = data::count_classes(dataset);
  for (const data::Split split : {data::Split::kVal, data::Split::kTest}) {
    const auto& count = counts[static_cast<size_t>(split)];
    if (count[0] == 0 || count[1] > 0) continue;
    data::add_pseudo_fakes(dataset, split);
    const char* name = data::kSplitNames[static_cast<size_t>(split)];
    text::print(out,
                "data: {} has no fakes: it is judged on pseudo-fakes of its real pictures, always "
                "the same; how fakes of other makers are found it does not say\n",
                name);
  }
}

class LoaderMaker {
 public:
  LoaderMaker(const TrainingSetup& setup, const data::Dataset& dataset)
      : setup_(setup), dataset_(dataset), cache_left_(setup.options.cache_mb * 1'000'000) {}

  // nullptr for a split without pictures, unless it is the training split (which throws).
  std::unique_ptr<data::Loader> make(data::Split split) {
    const auto counts = data::count_classes(dataset_)[static_cast<size_t>(split)];
    const bool training = split == data::Split::kTrain;
    if (!training && counts[0] + counts[1] == 0) return nullptr;
    const TrainOptions& o = setup_.options;
    const int64_t size = setup_.model.classifier->options().input_size;
    data::LoaderOptions options;
    options.batch_size = o.batch;
    options.fit = {size, o.fit, 0, o.resize};
    options.seed = o.seed;
    options.shuffle = training;
    options.flip = training && o.flip;
    options.balanced = training && o.balanced_sampling;
    options.pseudo_fake_seed = training ? o.seed : kJudgingSeed;
    if (training && o.pseudo_fakes > 0) options.pseudo_fake_share = o.pseudo_fakes;
    options.workers = o.workers;
    options.cache_bytes = cache_left_;
    options.strict = o.strict;
    auto samples = data::select_split(dataset_, split, o.data.string());
    const int64_t bytes = static_cast<int64_t>(samples.size()) * size * size * 3;
    auto loader = std::make_unique<data::Loader>(std::move(samples), options);
    if (loader->cached()) cache_left_ -= bytes;
    return loader;
  }

 private:
  const TrainingSetup& setup_;
  const data::Dataset& dataset_;
  int64_t cache_left_;
};

}  // namespace

data::Dataset load_training_data(const TrainOptions& o, std::ostream& out) {
  data::Dataset dataset = data::load_dataset(o.data, {o.allow_leak});
  add_pseudo_fakes(o, dataset, out);
  report_dataset(o, dataset, out);
  return dataset;
}

void make_loaders(TrainingSetup& setup, const data::Dataset& dataset) {
  LoaderMaker loaders(setup, dataset);
  setup.train = loaders.make(data::Split::kTrain);
  setup.test = loaders.make(data::Split::kTest);
  setup.val = loaders.make(data::Split::kVal);
}

std::array<int64_t, 2> training_counts(const TrainOptions& o, const data::Dataset& dataset) {
  std::array<int64_t, 2> counts = data::count_classes(dataset)[0];
  const int64_t pseudo = std::ranges::count_if(dataset.samples, [](const data::Sample& s) {
    return s.pseudo_fake && s.split == data::Split::kTrain;
  });
  if (pseudo > 0) counts[1] += data::thinned_count(pseudo, o.pseudo_fakes) - pseudo;
  return counts;
}

}  // namespace verace::apps
