// Spellings, checks and class weights of training options.
#include "apps/lib/trainer_options.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

template <typename Enum>
using Spellings = std::array<std::pair<Enum, const char*>, 2>;

constexpr Spellings<kernels::AdamEpsilon> kAdam = {
    {{kernels::AdamEpsilon::kKeras, "keras"}, {kernels::AdamEpsilon::kPyTorch, "pytorch"}}};
constexpr Spellings<layers::Initialisation> kInitialisations = {
    {{layers::Initialisation::kKeras, "keras"}, {layers::Initialisation::kPyTorch, "pytorch"}}};
constexpr Spellings<layers::FrozenBatchNorm> kFrozen = {
    {{layers::FrozenBatchNorm::kInference, "inference"},
     {layers::FrozenBatchNorm::kBatch, "batch"}}};
constexpr Spellings<kernels::CrossEntropyForm> kLosses = {
    {{kernels::CrossEntropyForm::kLogits, "logits"},
     {kernels::CrossEntropyForm::kClippedProbability, "probabilities"}}};
constexpr Spellings<data::ResizeFilter> kFilters = {
    {{data::ResizeFilter::kBilinear, data::kResizeFilterNames[0]},
     {data::ResizeFilter::kNearest, data::kResizeFilterNames[1]}}};
constexpr Spellings<data::Fit> kFits = {
    {{data::Fit::kStretch, data::kFitNames[0]}, {data::Fit::kCrop, data::kFitNames[1]}}};

template <typename Enum>
std::string spell(const Spellings<Enum>& table, Enum value) {
  for (const auto& [known, text] : table) {
    if (known == value) return text;
  }
  VERACE_CHECK(false, "a value outside its enum");
  return {};
}

template <typename Enum>
void parse(const Spellings<Enum>& table, const std::string& text, const std::string& where,
           Enum& out) {
  for (const auto& [value, known] : table) {
    if (text == known) {
      out = value;
      return;
    }
  }
  fail_input(text::format("{}: '{}' is not known: use {} or {}", where, text, table[0].second,
                          table[1].second));
}

// The whole text as a finite number; false otherwise.
bool number(std::string_view text, double& value) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end && std::isfinite(value);
}

}  // namespace

std::string to_text(kernels::AdamEpsilon value) { return spell(kAdam, value); }
std::string to_text(layers::Initialisation value) { return spell(kInitialisations, value); }
std::string to_text(layers::FrozenBatchNorm value) { return spell(kFrozen, value); }
std::string to_text(kernels::CrossEntropyForm value) { return spell(kLosses, value); }
std::string to_text(data::ResizeFilter value) { return spell(kFilters, value); }
std::string to_text(data::Fit value) { return spell(kFits, value); }

void parse_text(const std::string& text, const std::string& where, kernels::AdamEpsilon& out) {
  parse(kAdam, text, where, out);
}
void parse_text(const std::string& text, const std::string& where, layers::Initialisation& out) {
  parse(kInitialisations, text, where, out);
}
void parse_text(const std::string& text, const std::string& where, layers::FrozenBatchNorm& out) {
  parse(kFrozen, text, where, out);
}
void parse_text(const std::string& text, const std::string& where, kernels::CrossEntropyForm& out) {
  parse(kLosses, text, where, out);
}
void parse_text(const std::string& text, const std::string& where, data::ResizeFilter& out) {
  parse(kFilters, text, where, out);
}
void parse_text(const std::string& text, const std::string& where, data::Fit& out) {
  parse(kFits, text, where, out);
}
void parse_text(const std::string& text, const std::string& where, engine::DeviceChoice& out) {
  const std::optional<engine::DeviceChoice> named = engine::parse_device(text, where);
  out = named ? *named : engine::automatic_device().choice;
}
void parse_text(const std::string& text, const std::string& where, engine::Launch& out) {
  out = engine::parse_launch(text, where);
}

void parse_text(const std::string& text, const std::string& where, engine::Plans& out) {
  out = engine::parse_plans(text, where);
}

void parse_text(const std::string& text, const std::string& where, engine::Precision& out) {
  out = engine::parse_precision(text, where);
}

std::string activation_text(double slope) {
  return slope == 0 ? "relu" : text::format("leaky:{}", slope);
}

double parse_activation(const std::string& text, const std::string& where) {
  if (text == "relu") return 0;
  double slope = 0;
  constexpr std::string_view kLeaky = "leaky:";
  if (text.starts_with(kLeaky) && number(std::string_view(text).substr(kLeaky.size()), slope) &&
      slope >= 0 && slope <= 1) {
    return slope;
  }
  fail_input(text::format("{}: '{}' is not known: use relu or leaky:SLOPE, SLOPE from 0 to 1",
                          where, text));
}

TrainOptions resumed_options(const TrainOptions& recorded, const TrainOptions& given) {
  TrainOptions options = recorded;
  options.resume = given.resume;
  options.out = given.out.empty() ? given.resume.parent_path() : given.out;
  if (options.out.empty()) options.out = ".";
  if (!given.data.empty()) options.data = given.data;
  if (given.threads != 0) options.threads = given.threads;
  if (given.resume_epochs) options.epochs = *given.resume_epochs;
  options.resume_epochs.reset();
  if (given.resume_device) options.device = *given.resume_device;
  options.resume_device.reset();
  options.launch = given.launch;
  options.workers = given.workers;
  options.cache_mb = given.cache_mb;
  options.trace = given.trace;
  options.print_plan = given.print_plan;
  options.quiet = given.quiet;
  options.max_steps = given.max_steps;
  if (given.save_every) options.save_every = given.save_every;
  return options;
}

void check_options(const TrainOptions& o) {
  const auto require = [](bool good, const std::string& message) {
    if (!good) fail_input(message);
  };
  const auto in_range = [&](const char* flag, auto value, auto low, auto high) {
    require(value >= low && value <= high,
            text::format("{} {}: give {} to {}", flag, value, low, high));
  };
  require(!o.data.empty(), "--data: name the folder or CSV of pictures");
  require(!o.out.empty(), "--out: name the folder of the run");
  in_range("--epochs", o.epochs, 1, 1'000'000);
  in_range("--batch", o.batch, 1, 65536);
  in_range("--workers", o.workers, 0, 256);
  in_range("--cache-mb", o.cache_mb, 0, 100'000'000);
  in_range("--pseudo-fakes", o.pseudo_fakes, 0.0, 1.0);
  require(!o.balanced_sampling || o.pseudo_fakes == 0 || o.pseudo_fakes == 1,
          "--pseudo-fakes: with --balanced-sampling, which decides how many fakes an epoch has, "
          "give 1 or leave one of them out");
  in_range("--threads", o.threads, 0, 4096);
  in_range("--recalibrate", o.recalibrate, 0, INT64_MAX);
  in_range("--max-steps", o.max_steps, 0, INT64_MAX);
  in_range("--save-every", o.save_every.value_or(0), 0, INT64_MAX);
  in_range("--stem-channels", o.stem_channels, 1, 1024);
  in_range("--head", o.head_hidden, 0, 1'000'000);
  in_range("--activation leaky:", o.head_slope, 0.0, 1.0);
  if (o.input_size) in_range("--input-size", *o.input_size, 32, 4096);
  if (o.adam_epsilon) in_range("--adam-epsilon", *o.adam_epsilon, 1e-30, 1.0);
  if (o.overrides.bn_epsilon) in_range("--bn-epsilon", *o.overrides.bn_epsilon, 1e-12, 1.0);
  require(!o.fpr || (*o.fpr >= 0 && *o.fpr < 1),
          text::format("--fpr {}: give 0 or more and less than 1", o.fpr.value_or(0)));
  require(o.seed <= INT64_MAX, text::format("--seed {}: give 0 to {}", o.seed, INT64_MAX));
  require(std::isfinite(o.learning_rate) && o.learning_rate > 0,
          text::format("--lr {}: give a number above 0", o.learning_rate));
  require(!o.keep_head || !o.weights.empty(), "--keep-head: needs --weights");
  require(!o.keep_head || (o.head_hidden == 0 && o.head_slope == 0),
          "--keep-head: goes on with the file's head; leave out --head and --activation");
  require(o.head_slope == 0 || o.head_hidden > 0,
          "--activation: is that of the head's hidden layer; give --head NEURONS");
}

std::vector<float> class_weights(const std::string& text, int64_t real_count, int64_t fake_count) {
  if (text == "none") return {};
  if (text == "balanced") {
    if (real_count == 0 || fake_count == 0) {
      fail_input("--class-weights balanced: needs pictures of both classes");
    }
    // Keras' and scikit-learn's "balanced": both classes together weigh as much as before.
    const auto half = static_cast<double>(real_count + fake_count) / 2;
    return {static_cast<float>(half / static_cast<double>(real_count)),
            static_cast<float>(half / static_cast<double>(fake_count))};
  }
  const size_t colon = text.find(':');
  double real = -1, fake = -1;
  if (colon == std::string::npos || !number(std::string_view(text).substr(0, colon), real) ||
      !number(std::string_view(text).substr(colon + 1), fake) || real < 0 || fake < 0 ||
      real + fake <= 0) {
    fail_input(text::format(
        "--class-weights {}: use none, balanced or REAL:FAKE, two numbers such as 1:3", text));
  }
  return {static_cast<float>(real), static_cast<float>(fake)};
}

}  // namespace verace::apps
