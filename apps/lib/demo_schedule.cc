// Settings chosen by trying: what the two tasks need to be learnt in about two minutes.
#include "apps/lib/demo_schedule.h"

namespace verace::apps {
namespace {

constexpr int64_t kSize = 64;          // pixels
constexpr int64_t kStemChannels = 16;  // a quarter of ResNet-50's width
constexpr int64_t kHeadNeurons = 64;
constexpr double kHeadSlope = 0.05;
constexpr double kFastLearningRate = 1e-3;  // of a network that has not learnt much yet
constexpr int64_t kReportsHeadNeurons = 3000;

TrainOptions common(const DemoOptions& options) {
  TrainOptions train;
  train.batch = 32;
  train.cache_mb = 200;
  train.seed = options.seed;
  train.device = options.device;
  train.launch = options.launch;
  train.plans = options.plans;
  train.threads = options.threads;
  train.quiet = options.quiet;
  return train;
}

}  // namespace

DemoSchedule demo_schedule(bool quick, uint64_t seed) {
  DemoSchedule schedule;
  schedule.faces.seed = seed;
  schedule.faces.size = kSize;
  schedule.faces.identities = {600, 30, 110};
  schedule.faces.frames = 4;
  schedule.pretraining_epochs = 3;
  schedule.finetuning_epochs = 6;
  if (quick) {
    schedule.faces.identities = {200, 10, 25};
    schedule.pretraining_epochs = 2;
    schedule.finetuning_epochs = 2;
  }
  return schedule;
}

TrainOptions demo_pretraining(const DemoOptions& options, const DemoSchedule& schedule) {
  TrainOptions train = common(options);
  train.input_size = kSize;
  train.stem_channels = kStemChannels;
  train.initialisation = layers::Initialisation::kPyTorch;
  train.learning_rate = kFastLearningRate;
  train.epochs = schedule.pretraining_epochs;
  train.flip = false;  // a mirror turns the light's side, and so the label
  return train;
}

TrainOptions demo_finetuning(const DemoOptions& options, const DemoSchedule& schedule) {
  TrainOptions train = common(options);
  train.freeze = "keras:15";
  train.head_slope = kHeadSlope;
  train.flip = true;
  train.weights = options.weights;
  if (options.data.empty()) train.input_size = kSize;  // drawn faces have no more to show
  if (options.weights.empty()) {
    train.head_hidden = kHeadNeurons;
    train.learning_rate = kFastLearningRate;
    train.epochs = schedule.finetuning_epochs;
  } else {
    train.head_hidden = kReportsHeadNeurons;  // and TrainOptions' epochs and learning rate
  }
  return train;
}

}  // namespace verace::apps
