// verace dump: every tensor of one step, as numbers and as pictures.

#include <charconv>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/lib/dump/dump.h"
#include "apps/lib/dump/index.h"
#include "apps/lib/memory_limit.h"
#include "apps/lib/predictor.h"
#include "apps/lib/trainer_options.h"
#include "data/write_file.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "optim/freeze.h"

namespace verace::cli {
namespace {

namespace fs = std::filesystem;

struct DumpArguments {
  ModelFlags model;
  DeviceFlags device;
  std::vector<std::string> pictures;
  fs::path out;
  apps::DumpOptions dump;
  std::string freeze = "none", label;
  data::Fit fit = data::Fit::kStretch;
  data::ResizeFilter filter = data::ResizeFilter::kBilinear;
  int64_t faces = 2, limit = 1000;
  uint64_t seed = 1;
  bool quiet = false;
};

void declare(Flags& flags, DumpArguments& o) {
  flags.arguments("PICTURE", "Picture files, or folders of them (default: drawn faces)",
                  o.pictures);
  flags.value("--out", "DIR", "Folder to write to: new, or empty", into(o.out));
  flags.value("--model", "FILE",
              "Network: a weight file, or the folder of a run (default: a small random one)",
              into(o.model.file));
  flags.value("--mode", "NAME", "training or inference (default training)",
              into_choice({"training", "inference"},
                          [&o](size_t i) { o.dump.mode = static_cast<apps::DumpMode>(i); }));
  flags.value("--label", "NAME",
              "Class of the given pictures, by name or number, for the loss (default: a folder "
              "of that name, or class 0)",
              into(o.label));
  flags.value("--faces", "N", "Faces to draw where no pictures are given (default 2)",
              into(o.faces, 1, kMostPictures));
  flags.value("--freeze", "WHAT",
              "none, backbone, keras:K, stages:N, blocks:N or name:LAYER (default none)",
              into(o.freeze));
  flags.value("--frozen-bn", "HOW",
              "Frozen batch norms use running (inference) or batch statistics (default inference)",
              [&o](const std::string& text, const std::string& flag) {
                apps::parse_text(text, flag, o.dump.frozen_batch_norm);
              });
  flags.value("--layer", "NAME", "Only this layer, or group of layers (layer1, layer1.0)",
              into(o.dump.layer));
  flags.toggle("--no-pictures", "Write no PNG files", o.dump.pictures, false);
  flags.value("--limit", "MB", "Refuse to write more than this (default 1000)",
              into(o.limit, 1, int64_t{1} << 40));
  flags.value("--seed", "N", "Seed of the random network and of the faces (default 1)",
              into(o.seed));
  declare_fit(flags, o.fit, o.filter);
  flags.toggle("--quiet", "No notes", o.quiet);
  declare_device(flags, o.device);
  declare_overrides(flags, o.model.overrides);
}

// Flags that would do nothing beside the others.
void check_unused(const Flags& flags) {
  const bool model = flags.given("--model"), pictures = flags.given("PICTURE");
  const auto refuse = [&](const std::vector<const char*>& names, const char* why) {
    for (const char* flag : names) {
      if (flags.given(flag)) fail_input(text::format("{}: {}", flag, why));
    }
  };
  if (!pictures) {
    refuse({"--label"}, "drawn faces know their classes: leave it out, or name pictures");
    refuse({"--fit", "--resize"},
           "faces are drawn in the network's size: leave it out, or name pictures");
  }
  if (!model) {
    refuse({"--variant", "--pool", "--input-scale", "--bn-epsilon", "--force"},
           "is for weight files, the random network is what it is: leave it out, or name a "
           "--model");
  }
  if (model && pictures) {
    refuse({"--seed"}, "nothing is random with a --model and pictures: leave it out");
  }
}

void check(const Flags& flags, const DumpArguments& o) {
  flags.require("--out", "name the folder to write to");
  std::error_code error;
  if (fs::is_directory(o.out, error) && !fs::is_empty(o.out, error)) {
    fail_input(
        text::format("--out {}: the folder is not empty: choose another one", o.out.string()));
  }
  check_output_folder(o.out, "--out", false);
  flags.refuse_both("PICTURE", "--faces", "faces are drawn where no pictures are given");
  if (o.dump.mode == apps::DumpMode::kInference) {
    for (const char* flag : {"--freeze", "--frozen-bn"}) {
      if (flags.given(flag)) {
        fail_input(
            text::format("{}: in inference everything is frozen: leave it out, or use "
                         "--mode training",
                         flag));
      }
    }
  }
  check_unused(flags);
}

// The class of a picture: --label, or the name of its folder, or 0.
int32_t label_of(const DumpArguments& o, const fs::path& picture,
                 const layers::ClassifierOptions& network) {
  const std::vector<std::string>& names = network.class_names;
  const std::string folder = fs::absolute(picture).parent_path().filename().string();
  const std::string& wanted = o.label.empty() ? folder : o.label;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == wanted) return static_cast<int32_t>(i);
  }
  if (o.label.empty()) {
    if (!o.quiet) {
      text::print(stderr, "note: {}: its folder is no class: the loss is that of class {}\n",
                  picture.string(), names.empty() ? "0" : names[0]);
    }
    return 0;
  }
  int32_t number = -1;
  const char* end = o.label.data() + o.label.size();
  const auto [rest, error] = std::from_chars(o.label.data(), end, number);
  if (error != std::errc() || rest != end || number < 0 || number >= network.classes) {
    fail_input(
        text::format("--label: '{}' is no class of this network: use {} or a number from 0 "
                     "to {}",
                     o.label, text::join(names, ", "), network.classes - 1));
  }
  return number;
}

apps::LabelledPictures read_pictures(const DumpArguments& o,
                                     const layers::ClassifierOptions& network) {
  const data::FitOptions fit{network.input_size, o.fit, 0, o.filter};
  data::check_fit_options(fit);
  apps::LabelledPictures result;
  std::vector<uint8_t> pixels;
  for (const fs::path& path : apps::expand_pictures(o.pictures)) {
    const data::Image image = data::fit_to_square(data::read_image(path), fit, path.string());
    pixels.insert(pixels.end(), image.rgb.begin(), image.rgb.end());
    const int32_t label = label_of(o, path, network);
    const auto index = static_cast<size_t>(label);
    result.labels.push_back(label);
    result.names.push_back(text::format("{} ({})", path.string(),
                                        index < network.class_names.size()
                                            ? network.class_names[index]
                                            : "class " + std::to_string(label)));
  }
  result.count = static_cast<int64_t>(result.labels.size());
  result.unit = apps::to_unit(pixels, network.input_size);
  return result;
}

// Says what will be written; refuses more than --limit.
void announce(const DumpArguments& o, const apps::Dump& dump, int64_t model_bytes) {
  const int64_t values = dump.npy_bytes() + model_bytes;
  const int64_t all = values + dump.picture_bytes_at_most();
  const std::string size = text::format(
      "{} tensors, {:.1f} MB of numbers{}", dump.tensor_count(), apps::megabytes(values),
      o.dump.pictures ? text::format(" and at most {:.1f} MB of pictures",
                                     apps::megabytes(dump.picture_bytes_at_most()))
                      : "");
  if (apps::megabytes(all) > static_cast<double>(o.limit)) {
    fail_input(
        text::format("--limit: this would write {}, more than {} MB: choose a --layer, "
                     "--no-pictures, fewer pictures, or a larger --limit",
                     size, o.limit));
  }
  if (!o.quiet) text::print(stderr, "writing {} to {}\n", size, o.out.string());
}

void write_text(const fs::path& path, const std::string& content) {
  data::write_file(path, std::as_bytes(std::span(content)), data::Durability::kSync);
}

// Which statistics the batch norms use in training.
std::string statistics_of(const DumpArguments& o) {
  if (o.dump.frozen_batch_norm == layers::FrozenBatchNorm::kBatch) {
    return "all batch norms, frozen ones too, use the batch's statistics (--frozen-bn batch)";
  }
  return "batch norms use the batch's statistics, frozen ones the running ones (--frozen-bn "
         "inference)";
}

std::vector<apps::Fact> facts_of(const DumpArguments& o, const apps::LabelledPictures& pictures,
                                 double loss) {
  const bool training = o.dump.mode == apps::DumpMode::kTraining;
  std::vector<apps::Fact> facts = {
      {"network", o.model.file.empty() ? text::format("small, random weights of seed {}", o.seed)
                                       : o.model.file.string()},
      {"mode", training
                   ? "training: " + statistics_of(o) + "; the loss is the mean over the pictures"
                   : "inference: batch norms are folded into the convolutions; the loss is "
                     "the sum over the pictures"}};
  if (training) facts.push_back({"frozen", o.freeze});
  facts.push_back({"loss", text::format("{:.6g} (mean over the pictures)", loss)});
  for (size_t i = 0; i < pictures.names.size(); ++i) {
    facts.push_back({text::format("picture {}", i), pictures.names[i]});
  }
  return facts;
}

int run(const Flags& flags, DumpArguments& o) {
  check(flags, o);
  const engine::Device device = open_device(o.device, o.quiet);
  const kernels::Exec exec = device.exec();
  std::unique_ptr<layers::Classifier> network = o.model.file.empty()
                                                    ? apps::make_teaching_network(o.seed, exec)
                                                    : load(o.model, o.quiet).classifier;
  network->table().move_to(engine::memory_of(exec));
  if (o.dump.mode == apps::DumpMode::kTraining) optim::freeze(network->table(), o.freeze);
  const int64_t size = network->options().input_size;
  const apps::LabelledPictures pictures = o.pictures.empty()
                                              ? apps::draw_labelled_faces(o.seed, size, o.faces)
                                              : read_pictures(o, network->options());
  const bool random = o.model.file.empty();
  apps::Dump dump(*network, exec, pictures, o.dump);
  announce(o, dump, random ? network->table().value_bytes() : 0);
  make_folder(o.out, "--out");
  // Before the step moves the running statistics.
  if (random) apps::save_model((o.out / "model.safetensors").string(), *network);
  const std::vector<apps::DumpedTensor> rows = dump.run(o.out);
  write_text(o.out / "index.html", apps::index_html(rows, facts_of(o, pictures, dump.loss())));
  // Last: a folder without it is not complete.
  write_text(o.out / "index.csv", apps::index_csv(rows));
  int64_t broken = 0;
  for (const apps::DumpedTensor& row : rows) broken += row.summary.nan + row.summary.infinite > 0;
  text::print(stdout, "loss {:.6g}; {} tensors in {}; browse {}\n", dump.loss(), rows.size(),
              (o.out / "index.csv").string(), (o.out / "index.html").string());
  if (broken > 0) {
    text::print(stdout, "WARNING: {} tensors hold NaN or infinite values\n", broken);
  }
  return 0;
}

}  // namespace

Command dump_command() {
  const auto options = std::make_shared<DumpArguments>();
  return {"dump",
          "Write every activation and gradient of one step, as numbers and as pictures",
          "One step forward, loss and backward; no weight is changed and no file but those in\n"
          "--out. Without a model a small network with random weights looks at faces that are\n"
          "drawn: nothing is needed. DIR gets NNNN_TENSOR.npy (NumPy, float32, [n, h, w, c]) and\n"
          ".png of each tensor, index.csv and index.html; of a random network also\n"
          "model.safetensors.",
          "  verace dump --out look\n"
          "  verace dump --model RUN --mode inference face.jpg --label fake --out look\n"
          "  verace dump --layer layer1.0 --freeze keras:5 --no-pictures --out look\n",
          [options](Flags& flags) { declare(flags, *options); },
          [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
