// Flags and steps that several commands share.
#include "apps/cli/common.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/file_magic.h"

namespace verace::cli {

namespace fs = std::filesystem;

namespace {

// Throws Error(kInput) if a file cannot be made in `folder`, or the folder itself, which need not
// be there yet.
void check_may_write(const fs::path& folder, const std::string& flag, const fs::path& named) {
  std::error_code error;
  fs::path there = fs::absolute(folder.empty() ? "." : folder, error);
  while (there.has_relative_path() && !fs::exists(fs::symlink_status(there, error))) {
    there = there.parent_path();
  }
  if (!fs::is_directory(there, error)) {
    fail_input(text::format("{} {}: {} is no folder: choose another name", flag, named.string(),
                            there.string()));
  }
  if (::access(there.c_str(), W_OK | X_OK) != 0) {
    fail_input(text::format("{} {}: nothing can be written to {} ({}): choose another folder", flag,
                            named.string(), there.string(), std::strerror(errno)));
  }
}

}  // namespace

void declare_device(Flags& flags, DeviceFlags& device) {
  flags.group("Machine");
  flags.value(
      "--device", "NAME",
      "auto (a GPU if usable, else cpu), cpu, reference (slow loops), cuda or cuda:N (auto)",
      [&device](const std::string& text, const std::string& flag) {
        device.named = engine::parse_device(text, flag);
        if (!device.named) return;
        engine::check_usable(*device.named, flag);
      });
  flags.value("--threads", "N", "Threads of computation; 0: one per processor (default 0)",
              into(device.threads, 0, kMostThreads));
}

void declare_execution(Flags& flags, DeviceFlags& device) {
  declare_device(flags, device);
  flags.value("--launch", "HOW",
              "On CUDA: a step as one graph, eager, or checked (waits after each operation, names "
              "the one that fails) (default graph)",
              [&device](const std::string& text, const std::string& flag) {
                device.launch = engine::parse_launch(text, flag);
              });
  flags.value("--plans", "HOW",
              "On CUDA: convolutions by cuDNN's heuristic, tuned (timed once, then kept), or "
              "nondeterministic (tuned, results vary in the last bits) (default heuristic)",
              [&device](const std::string& text, const std::string& flag) {
                device.plans = engine::parse_plans(text, flag);
              });
}

namespace {

// What only a GPU has is refused where another device was chosen.
void check_execution(const DeviceFlags& device, const engine::DeviceChoice& choice) {
  if (choice.kind == kernels::DeviceKind::kCuda) return;
  for (const auto& [flag, given] : {std::pair("--launch", device.launch.has_value()),
                                    std::pair("--plans", device.plans.has_value())}) {
    if (given) {
      fail_input(text::format("{}: is a matter of CUDA devices, and the device is {}: leave it out",
                              flag, engine::to_string(choice)));
    }
  }
}

}  // namespace

void declare_precision(Flags& flags, engine::Precision& precision) {
  flags.value("--precision", "NAME",
              "fp32; on a GPU also tf32, or activations in fp16 or bf16 (default fp32)",
              [&precision](const std::string& text, const std::string& flag) {
                precision = engine::parse_precision(text, flag);
              });
}

void check_precision(const DeviceFlags& device) {
  if (device.precision == engine::Precision::kFp32) return;
  const engine::DeviceChoice choice = choose_device(device, true);
  engine::with_precision({.device = choice.kind}, device.precision, "--precision");
}

engine::DeviceChoice choose_device(const DeviceFlags& device, bool quiet) {
  if (device.named) {
    check_execution(device, *device.named);
    return *device.named;
  }
  const engine::AutomaticDevice automatic = engine::automatic_device();
  check_execution(device, automatic.choice);
  if (!quiet) {
    text::print(stderr, "device: {} (auto: {})\n", engine::to_string(automatic.choice),
                automatic.why);
  }
  return automatic.choice;
}

engine::Device open_device(const DeviceFlags& device, bool quiet) {
  return engine::Device(choose_device(device, quiet), device.threads, "--device",
                        device.launch.value_or(engine::Launch::kGraph),
                        device.plans.value_or(engine::Plans::kHeuristic));
}

kernels::Exec place(layers::Classifier& classifier, const engine::Device& device,
                    const DeviceFlags& flags) {
  const kernels::Exec exec = engine::with_precision(device.exec(), flags.precision, "--precision");
  classifier.table().move_to(engine::memory_of(exec));
  classifier.set_precision(flags.precision);
  return exec;
}

engine::Device open_host_device(const DeviceFlags& device, const std::string& why) {
  const engine::DeviceChoice choice = device.named.value_or(engine::DeviceChoice{});
  if (choice.kind == kernels::DeviceKind::kCuda) {
    fail_input(
        text::format("--device {}: {}: use cpu or reference", engine::to_string(choice), why));
  }
  return engine::Device(choice, device.threads);
}

void declare_backbone_overrides(Flags& flags, weights::Overrides& overrides) {
  flags.group("What the weight file does not say");
  flags.value("--variant", "NAME", "Where the stride 2 is: v1 (Keras) or v1.5 (torchvision)",
              [&](const std::string& text, const std::string& flag) {
                overrides.variant = engine::parse_variant(text, flag);
              });
  flags.value("--pool", "NAME", "Max-pool of the stem: padded or ceil",
              [&](const std::string& text, const std::string& flag) {
                overrides.pool = engine::parse_pool_mode(text, flag);
              });
  flags.value("--input-scale", "NAME", "Pixels to input: torch, caffe, tf or unit (x/255)",
              [&](const std::string& text, const std::string& flag) {
                overrides.input_scale = engine::parse_input_scale(text, flag);
              });
  flags.value("--bn-epsilon", "X", "Epsilon of the batch norms",
              into(overrides.bn_epsilon, 0, Bound::kAbove));
  flags.toggle("--force", "Let these flags win over what the file says", overrides.force);
}

void declare_overrides(Flags& flags, weights::Overrides& overrides) {
  declare_backbone_overrides(flags, overrides);
  flags.value("--head-slope", "X",
              "Slope of the activation behind the hidden layer for negative numbers (0: ReLU)",
              into_range(overrides.head_slope, 0, 1));
  flags.value("--class-order", "ORDER",
              "Which of two outputs is which: real,fake or fake,real (folders by name)",
              into_choice({"real,fake", "fake,real"}, [&](size_t i) {
                overrides.class_names = {"real", "fake"};
                if (i == 1) overrides.class_names = {"fake", "real"};
              }));
}

void declare_model(Flags& flags, ModelFlags& model) {
  flags.value("--model", "FILE", "Network: a weight file, or the folder of a run (its best)",
              into(model.file));
}

std::string weight_file_help() {
  return text::format("A weight file ({}), or a run's folder", weights::kReadableFormats);
}

fs::path model_file(const fs::path& file_or_folder) {
  std::error_code error;
  return fs::is_directory(file_or_folder, error) ? file_or_folder / "best.safetensors"
                                                 : file_or_folder;
}

apps::LoadedModel load(ModelFlags& model, bool quiet) {
  model.file = model_file(model.file);
  apps::LoadedModel loaded = apps::load_model(model.file.string(), model.overrides);
  for (const weights::Finding& finding : loaded.description.findings) {
    if (quiet || finding.source != weights::Source::kAssumption) continue;
    text::print(stderr, "ASSUMPTION: {} = {} ({})\n", finding.what, finding.value, finding.why);
  }
  return loaded;
}

void declare_fit(Flags& flags, data::Fit& fit, data::ResizeFilter& filter) {
  flags.value("--fit", "HOW", "Pictures become square by stretch or crop (default stretch)",
              into_choice({data::kFitNames.begin(), data::kFitNames.end()},
                          [&fit](size_t i) { fit = static_cast<data::Fit>(i); }));
  flags.value("--resize", "HOW", "Resizing: bilinear (antialiased) or nearest (default bilinear)",
              into_choice({data::kResizeFilterNames.begin(), data::kResizeFilterNames.end()},
                          [&filter](size_t i) { filter = static_cast<data::ResizeFilter>(i); }));
}

void declare_loading(Flags& flags, DataFlags& data) {
  declare_fit(flags, data.fit, data.filter);
  flags.value("--workers", "N", "Threads that decode pictures; 0: none (default 2)",
              into(data.workers, 0, kMostWorkers));
  flags.toggle("--strict", "End with an error at the first broken picture", data.strict);
}

void declare_fpr(Flags& flags, std::optional<double>& rate) {
  flags.value("--fpr", "X",
              "Store the threshold that calls at most this share of val's real pictures fake",
              into_range(rate, 0, 1, Top::kExcluded));
}

void declare_data(Flags& flags, DataFlags& data) {
  flags.value("--data", "DIR", "Pictures: DIR/{train,val,test}/{real,fake}/..., or a CSV file",
              into(data.data));
  flags.value("--split", "NAME", "train, val or test (default test)",
              into_choice({"train", "val", "test"},
                          [&data](size_t i) { data.split = static_cast<data::Split>(i); }));
  declare_loading(flags, data);
}

std::vector<data::Sample> load_samples(const DataFlags& data) {
  // Only one split is looked at, so that leaks do not matter here.
  const data::Dataset dataset = data::load_dataset(data.data, {.allow_leak = true});
  return data::select_split(dataset, data.split, data.data.string());
}

void check_output_folder(const fs::path& folder, const std::string& flag, bool overwrite) {
  std::error_code error;
  if (folder.empty()) return;
  check_may_write(folder.parent_path(), flag, folder);
  if (!fs::exists(folder, error)) return;
  if (!fs::is_directory(folder, error)) {
    fail_input(text::format("{} {}: a file of this name is in the way: choose another name", flag,
                            folder.string()));
  }
  check_may_write(folder, flag, folder);
  if (!overwrite && !fs::is_empty(folder, error)) {
    fail_input(
        text::format("{} {}: the folder is not empty: choose another one, or give "
                     "--overwrite to replace results in it",
                     flag, folder.string()));
  }
}

void check_output_file(const OutputFile& output) {
  const fs::path& file = output.file;
  std::error_code error;
  if (file.empty()) return;
  const auto refuse = [&](const std::string& why) {
    fail_input(text::format("{} {}: {}", output.flag, file.string(), why));
  };
  if (fs::is_directory(file, error)) refuse("is a folder: name a file");
  const fs::path parent = file.parent_path();
  if (!parent.empty() && !fs::is_directory(parent, error)) {
    refuse(text::format("there is no folder {}: make it first", parent.string()));
  }
  if (fs::exists(file, error)) {
    if (!fs::is_regular_file(file, error)) refuse("is not a regular file: name another one");
    std::string beginning(output.beginning.size(), '\0');
    std::ifstream(file).read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
    const bool ours = fs::file_size(file, error) == 0 || beginning == output.beginning;
    if (!ours || (!output.data.empty() && fs::equivalent(file, output.data, error))) {
      refuse("holds something else than an earlier result, which would be lost: name another file");
    }
  }
  check_may_write(parent, output.flag, file);
}

void make_folder(const fs::path& folder, const std::string& flag) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    fail_input(
        text::format("{} {}: cannot make the folder: {}", flag, folder.string(), error.message()));
  }
}

void report_broken(const std::vector<std::string>& messages) {
  constexpr size_t kNamed = 5;
  if (messages.empty()) return;
  for (size_t i = 0; i < std::min(kNamed, messages.size()); ++i) {
    text::print(stderr, "broken: {}\n", messages[i]);
  }
  text::print(stderr, "{} broken pictures were left out\n", messages.size());
}

}  // namespace verace::cli
