// Preparing a training run.
#include "apps/lib/trainer_setup.h"

#include <algorithm>
#include <span>

#include "apps/lib/checkpoint_files.h"
#include "apps/lib/run_record.h"
#include "apps/lib/system_info.h"
#include "apps/lib/trainer_batches.h"
#include "apps/lib/trainer_data.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/hash.h"
#include "optim/freeze.h"

namespace verace::apps {
namespace {

LoadedModel build_model(const TrainOptions& o) {
  if (!o.resume.empty()) return load_model(o.resume.string());
  if (o.keep_head) {
    LoadedModel model = load_model(o.weights.string(), o.overrides);
    if (o.input_size && *o.input_size != model.description.input_size) {
      fail_input("--input-size: --keep-head goes on with the file's size; leave one of them out");
    }
    return model;
  }
  if (!o.weights.empty()) {
    return load_backbone(o.weights.string(), o.overrides,
                         {.hidden = o.head_hidden,
                          .slope = o.head_slope,
                          .initialisation = o.initialisation,
                          .seed = o.seed,
                          .input_size = o.input_size});
  }
  layers::ClassifierOptions network;
  network.backbone.variant = o.overrides.variant.value_or(network.backbone.variant);
  network.backbone.pool = o.overrides.pool.value_or(network.backbone.pool);
  network.backbone.stem_channels = o.stem_channels;
  network.backbone.batch_norm.epsilon =
      o.overrides.bn_epsilon.value_or(network.backbone.batch_norm.epsilon);
  network.input_scale = o.overrides.input_scale.value_or(network.input_scale);
  network.input_size = o.input_size.value_or(network.input_size);
  network.head_hidden = o.head_hidden;
  network.head_slope = o.head_slope;
  return make_model(network, o.initialisation, o.seed);
}

// The crops that the network will have been trained on.
void take_crop(TrainingSetup& setup, std::ostream& out) {
  const std::optional<CropRecord> met = crop_of_data(setup.options.data);
  if (const std::string warning = crop_warning(setup.model.crop, met); !warning.empty()) {
    text::print(out, "WARNING: {}\n", warning);
  }
  if (met) setup.model.crop = met;
}

void report_model(const TrainingSetup& setup, std::ostream& out) {
  const TrainOptions& o = setup.options;
  const weights::ModelDescription& d = setup.model.description;
  const std::filesystem::path& file = o.resume.empty() ? o.weights : o.resume;
  text::print(out, "model: ResNet-50 {}, input {} at {}x{}, {}\n", engine::to_string(d.variant),
              engine::to_string(d.input_scale), d.input_size, d.input_size,
              file.empty() ? "from scratch (" + to_text(o.initialisation) + " initialisation)"
                           : "weights of " + file.string());
  text::print(out, "head: {}\n",
              d.head_hidden > 0 ? text::format("{} neurons, {}, then {} classes", d.head_hidden,
                                               activation_text(d.head_slope), d.classes)
                                : text::format("{} classes", d.classes));
  for (const weights::Finding& finding : d.findings) {
    if (finding.source != weights::Source::kAssumption) continue;
    text::print(out, "ASSUMPTION: {} = {} ({})\n", finding.what, finding.value, finding.why);
  }
}

bool uses_batch_statistics(const TrainingSetup& setup) {
  if (setup.options.frozen_bn == layers::FrozenBatchNorm::kBatch) return true;
  const auto& all = setup.model.classifier->table().layers();
  return std::ranges::any_of(all, [](const auto& layer) {
    return layer->kind == engine::LayerKind::kBatchNorm && layer->trainable;
  });
}

// Batch norm needs two values per channel; the last stage has ceil(size / 32)^2 per picture.
void check_batch_norm_rows(const TrainingSetup& setup) {
  if (!setup.batch_statistics) return;
  const int64_t side = (setup.model.classifier->options().input_size + 31) / 32;
  const int64_t smallest =
      std::min<int64_t>(setup.options.batch, setup.train->pictures_per_epoch());
  if (smallest == 1 && side == 1) {
    fail_input(
        "--batch: batches of one picture of this size give batch norm one value per channel: "
        "use --batch 2 or more, or --freeze backbone");
  }
}

void make_optimiser(TrainingSetup& setup) {
  const TrainOptions& o = setup.options;
  optim::AdamOptions adam;
  adam.learning_rate = o.learning_rate;
  adam.placement = o.adam;
  adam.epsilon = o.adam_epsilon.value_or(o.adam == kernels::AdamEpsilon::kKeras ? 1e-7 : 1e-8);
  if (engine::needs_loss_scale(o.precision)) adam.loss_scale.emplace();
  setup.adam = std::make_unique<optim::Adam>(setup.model.classifier->table(), adam);
  if (!o.resume.empty()) load_moments(o.resume.string(), *setup.adam);
}

void make_sessions(TrainingSetup& setup, const std::array<int64_t, 2>& counts) {
  const TrainOptions& o = setup.options;
  setup.arena = std::make_shared<engine::Arena>();
  TrainingSessionOptions session;
  session.frozen_batch_norm = o.frozen_bn;
  session.loss = o.loss;
  session.fake_class = setup.classes.fake;
  session.class_weight = class_weights(o.class_weights, counts[0], counts[1]);
  // Given as real:fake; the network's outputs may be the other way round.
  if (setup.classes.fake == 0) std::ranges::reverse(session.class_weight);
  setup.session = std::make_unique<TrainingSession>(*setup.model.classifier, *setup.adam,
                                                    setup.exec, setup.arena, session);
  setup.inference =
      std::make_unique<InferenceSession>(*setup.model.classifier, setup.exec, setup.arena, o.batch);
}

void open_device(TrainingSetup& setup) {
  const TrainOptions& o = setup.options;
  const std::string where =
      o.resume.empty() ? "--device"
                       : text::format("{}: its device (--device names another)", o.resume.string());
  engine::check_usable(o.device, where);
  if (o.launch != engine::Launch::kGraph && o.device.kind != kernels::DeviceKind::kCuda) {
    fail_input(
        text::format("--launch: is a matter of CUDA devices, and the run's device is {}: "
                     "leave it out",
                     engine::to_string(o.device)));
  }
  setup.device = engine::Device(o.device, o.threads, where, o.launch, o.plans);
  setup.exec = engine::with_precision(
      setup.device.exec(), o.precision,
      o.resume.empty() ? "--precision" : text::format("{}: its precision", o.resume.string()));
}

// What rounding depends on besides the recorded options.
std::string machine_text(const TrainingSetup& setup) {
  const SystemInfo info = system_info();
  const bool host = engine::memory_of(setup.exec) == engine::MemoryKind::kHost;
  return text::format("{}; {}", host ? info.processor : setup.device.name(),
                      text::join(host ? info.libraries : cuda_versions(), ", "));
}

// Their names and classes in order; not their folder, which may have moved.
std::string pictures_text(const std::vector<data::Sample>& samples) {
  uint64_t hash = kFnv1aStart;
  for (const data::Sample& sample : samples) {
    hash = fnv1a(text::format("{}\n{}\n", sample.path.filename().string(), sample.label), hash);
  }
  return text::format("{} pictures {:016x}", samples.size(), hash);
}

// The new recipe; says where it is another one than that of the checkpoint.
void set_recipe(TrainingSetup& setup, std::ostream& out) {
  const TrainOptions& o = setup.options;
  TrainingRecipe& recipe = setup.checkpoint.recipe;
  const TrainingRecipe before = recipe;
  recipe = {o.seed,
            o.freeze,
            setup.exec.threads,
            config_text(o),
            machine_text(setup),
            pictures_text(setup.train->samples()),
            o.synthetic};
  if (!before.machine.empty() && before.machine != recipe.machine) {
    text::print(out, "resume: {} instead of {}: the numbers may differ by rounding\n",
                recipe.machine, before.machine);
  }
  if (!before.pictures.empty() && before.pictures != recipe.pictures) {
    text::print(out, "resume: trained on other pictures than before ({}, not {})\n",
                recipe.pictures, before.pictures);
  }
}

void resume_options(TrainingSetup& setup, std::ostream& out) {
  TrainOptions given = setup.options;
  FoundCheckpoint found = find_checkpoint(given.resume);
  if (!found.warning.empty()) text::print(out, "WARNING: {}\n", found.warning);
  const std::filesystem::path folder = std::filesystem::absolute(given.resume).parent_path();
  std::error_code unequal;
  if (given.out.empty()) {
    given.out = given.resume.parent_path();
  } else if (!std::filesystem::equivalent(given.out, folder, unequal)) {
    RunFolder(given.out, false);  // refuses one that holds another run
  }
  given.resume = found.path;
  const std::string path = given.resume.string();
  setup.checkpoint = std::move(found.checkpoint);
  const TrainingRecipe& recipe = setup.checkpoint.recipe;
  TrainOptions recorded;
  read_config(recipe.config, path, recorded);
  recorded.threads = recipe.threads;
  setup.options = resumed_options(recorded, given);
  setup.options.synthetic = recipe.synthetic;
  text::print(out, "resume: {}, epoch {}, after step {}\n", path, setup.checkpoint.state.epoch + 1,
              setup.checkpoint.state.step);
  if (setup.options.threads != recipe.threads) {
    text::print(out, "resume: {} threads instead of {}: the numbers will differ by rounding\n",
                setup.options.threads, recipe.threads);
  }
  if (setup.options.device != recorded.device) {
    text::print(out, "resume: {} instead of {}: the numbers will differ by rounding\n",
                engine::to_string(setup.options.device), engine::to_string(recorded.device));
  }
  std::error_code error;
  if (!std::filesystem::exists(setup.options.data, error)) {
    fail_input(
        text::format("{}: the data of this run ({}) is not there: say with --data where it is",
                     path, setup.options.data.string()));
  }
  if (setup.options.epochs > setup.checkpoint.state.epoch) return;
  // A run that was killed after its last checkpoint has not written its last records yet.
  const std::optional<RunRecord> record = find_run_record(setup.options.out);
  if (record && record->finished) {
    remove_abandoned_files_of_run(setup.options.out);  // of its report
    fail_input(
        text::format("{}: all {} epochs are done: give more with --epochs, or make its page "
                     "with verace report",
                     path, setup.options.epochs));
  }
  text::print(out, "resume: all {} epochs are done; what is missing of the run's records follows\n",
              setup.options.epochs);
}

// Runs `take`, which takes memory that no smaller batch spares.
template <typename Take>
void with_room_for_network(const TrainingSetup& setup, Take take) {
  try {
    take();
  } catch (const engine::OutOfMemory& error) {
    fail_input(text::format(
        "{}: not enough memory: the network alone, its moments and no picture yet, "
        "lacks {} bytes or more ({:.1f} MB are in use): freeze more, or free memory "
        "that other programs hold",
        setup.device.name(), error.missing(),
        static_cast<double>(engine::memory_use(engine::memory_of(setup.exec)).current) / 1e6));
  }
}

}  // namespace

int64_t TrainingSetup::largest_training_batch() const {
  return largest_batch(train->pictures_per_epoch(), options.batch, batch_statistics);
}

TrainingSetup prepare_training(const TrainOptions& options, std::ostream& out) {
  TrainingSetup setup;
  setup.options = options;
  if (!options.resume.empty()) resume_options(setup, out);
  const TrainOptions& o = setup.options;
  check_options(o);
  open_device(setup);
  text::print(out, "device: {}\n", setup.device.description(o.precision));
  const data::Dataset dataset = load_training_data(o, out);
  setup.model = build_model(o);
  setup.classes = class_indices(setup.model.classifier->options(),
                                o.resume.empty() ? o.weights.string() : o.resume.string());
  take_crop(setup, out);
  report_model(setup, out);
  engine::LayerTable& table = setup.model.classifier->table();
  with_room_for_network(setup, [&] { table.move_to(engine::memory_of(setup.exec)); });
  setup.model.classifier->set_precision(o.precision);
  optim::freeze(table, o.freeze);
  if (table.trainable_parameters().empty()) {
    fail_input(text::format("--freeze {}: leaves nothing to train: freeze less", o.freeze));
  }
  text::print(out, "{}", optim::frozen_summary(table));
  setup.batch_statistics = uses_batch_statistics(setup);
  make_loaders(setup, dataset);
  if (!setup.test && !setup.val) {
    fail_input(
        text::format("{}: has no pictures in test or val, so that nothing could be judged: "
                     "put some there",
                     o.data.string()));
  }
  if (o.fpr && !setup.val) {
    fail_input(
        text::format("--fpr: {} has no pictures in val to choose a threshold on: put some there, "
                     "or leave --fpr out",
                     o.data.string()));
  }
  check_batch_norm_rows(setup);
  with_room_for_network(setup, [&] { make_optimiser(setup); });
  make_sessions(setup, training_counts(o, dataset));
  set_recipe(setup, out);
  return setup;
}

}  // namespace verace::apps
