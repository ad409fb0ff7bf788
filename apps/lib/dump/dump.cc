// Running a step while its tensors are written.
#include "apps/lib/dump/dump.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "apps/lib/dump/npy.h"
#include "apps/lib/dump/tensor_picture.h"
#include "data/write_file.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// "0012_layer1.0.conv1_z": a file's name without its ending.
std::string stem_of(size_t order, const std::string& name) {
  std::string stem = text::format("{:04}_", order);
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    stem += plain || c == '.' || c == '-' ? c : '_';
  }
  return stem;
}

// Parameters' gradients and the statistics of a batch norm have no pictures in their first
// dimension.
Layout layout_of(const ListedTensor& t) {
  return t.kind == TensorKind::kParameterGradient ? Layout::kWeights : Layout::kBatch;
}

Colours colours_of(const ListedTensor& t) {
  const bool gradient = t.kind == TensorKind::kGradient || t.kind == TensorKind::kParameterGradient;
  return gradient ? Colours::kDiverging : Colours::kGrey;
}

// A batch norm cannot take the variance of a single value.
void check_statistics(const engine::Step& step) {
  for (const engine::Operation& operation : step.operations()) {
    if (operation.kind != "batch norm statistics") continue;
    const engine::Shape& shape = step.info(operation.reads.front()).shape;
    if (engine::element_count(shape) / shape.back() > 1) continue;
    fail_input(text::format(
        "--mode training: with one picture {} would take the variance of a single value: "
        "give two pictures or more, or --mode inference",
        operation.name.substr(0, operation.name.find(' '))));
  }
}

}  // namespace

Dump::Dump(layers::Classifier& network, const kernels::Exec& exec, const LabelledPictures& pictures,
           DumpOptions options)
    : options_(std::move(options)), count_(pictures.count) {
  const auto arena = std::make_shared<engine::Arena>();
  engine::Value input, labels;
  if (options_.mode == DumpMode::kTraining) {
    layers::TrainingOptions training;
    training.build.frozen_batch_norm = options_.frozen_batch_norm;
    training.from_unit = true;
    layers::TrainingStep t = network.plan_training(exec, arena, count_, training);
    std::tie(input, labels, loss_) = std::tie(t.pictures, t.labels, t.loss);
    step_ = std::move(t.step);
  } else {
    layers::GradientStep t = network.plan_gradient(exec, arena, count_);
    std::tie(input, labels, loss_) = std::tie(t.pictures, t.labels, t.loss);
    step_ = std::move(t.step);
  }
  check_statistics(step_);
  tensors_ = list_tensors(step_);
  if (!options_.layer.empty()) {
    tensors_ = select_layer(tensors_, network.table(), options_.layer);
  }
  VERACE_CHECK(static_cast<int64_t>(pictures.unit.size()) ==
               engine::element_count(step_.info(input).shape));
  VERACE_CHECK(static_cast<int64_t>(pictures.labels.size()) == count_);
  step_.write(input, std::span<const float>(pictures.unit));
  step_.write(labels, std::span<const int32_t>(pictures.labels));
}

int64_t Dump::npy_bytes() const {
  int64_t bytes = 0;
  for (const ListedTensor& t : tensors_) bytes += npy_file_bytes(t.shape);
  return bytes;
}

int64_t Dump::picture_bytes_at_most() const {
  int64_t bytes = 0;
  if (!options_.pictures) return bytes;
  for (const ListedTensor& t : tensors_)
    bytes += apps::picture_bytes_at_most(t.shape, layout_of(t));
  return bytes;
}

std::vector<float> Dump::values_of(const ListedTensor& tensor) const {
  if (tensor.tensor != nullptr) return engine::read(*tensor.tensor);
  if (tensor.contributions.empty()) return step_.read_f32(tensor.value);
  // All of them live until the operation that takes them, which comes later.
  std::vector<float> sum(static_cast<size_t>(engine::element_count(tensor.shape)), 0.0F);
  for (const engine::Value v : tensor.contributions) {
    const std::vector<float> part = step_.read_f32(v);
    std::ranges::transform(sum, part, sum.begin(), std::plus());
  }
  return sum;
}

std::vector<DumpedTensor> Dump::run(const std::filesystem::path& folder) {
  std::vector<DumpedTensor> rows;
  rows.reserve(tensors_.size());
  const auto write_until = [&](int64_t operation) {
    while (rows.size() < tensors_.size() && tensors_[rows.size()].operation <= operation) {
      const ListedTensor& t = tensors_[rows.size()];
      const std::vector<float> values = values_of(t);
      const std::string stem = stem_of(rows.size(), t.name);
      DumpedTensor row{t, summarise(values), stem + ".npy", "", 0, 0, ""};
      data::write_file(folder / row.npy, npy_file(t.shape, values), data::Durability::kFast);
      if (options_.pictures) {
        row.png = stem + ".png";
        TensorPicture picture = draw_tensor(t.shape, values, layout_of(t), colours_of(t));
        data::write_png(folder / row.png, picture.image, data::Durability::kFast);
        row.low = picture.low;
        row.high = picture.high;
        row.shown = std::move(picture.shown);
      }
      rows.push_back(std::move(row));
    }
  };
  write_until(-1);
  int64_t done = 0;
  step_.run(nullptr,
            [&](const engine::Operation&, const engine::StepMemory&) { write_until(done++); });
  VERACE_CHECK(rows.size() == tensors_.size());
  return rows;
}

double Dump::loss() const {
  const std::vector<float> losses = step_.read_f32(loss_);
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(count_);
}

}  // namespace verace::apps
