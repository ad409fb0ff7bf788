// Inference and gradients in pieces of planned sizes.
#include "apps/lib/session.h"

#include <algorithm>
#include <cmath>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// The number of pictures in `elements`; whole ones only.
int64_t pictures_in(size_t elements, int64_t picture_count) {
  const auto count = static_cast<int64_t>(elements);
  VERACE_CHECK(count % picture_count == 0, "a batch must hold whole pictures");
  return count / picture_count;
}

// Elements of the samples first, first + 1 ... first + n - 1.
template <typename T>
std::span<T> piece(std::span<T> all, int64_t first, int64_t n, int64_t elements) {
  return all.subspan(static_cast<size_t>(first * elements), static_cast<size_t>(n * elements));
}

// Throws where fp16 was too small for the gradient of one of n pictures, the first of them number
// `first`: not finite, or mostly vanished. In fp32 hardly an element of it is exactly zero.
void check_range(std::span<const float> gradient, int64_t n, int64_t first) {
  const size_t picture = gradient.size() / static_cast<size_t>(n);
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    const auto one = gradient.subspan(i * picture, picture);
    const bool finite = std::ranges::all_of(one, [](float v) { return std::isfinite(v); });
    const auto zeros = static_cast<size_t>(std::ranges::count(one, 0.0f));
    if (finite && zeros <= picture / 2) continue;
    fail_input(text::format(
        "--precision fp16: the gradient of picture {} is too {} for it: use bf16 or fp32",
        first + static_cast<int64_t>(i) + 1, finite ? "small" : "large"));
  }
}

// The plan for an answer fits into the gradient's arena, but has prepared weights of its own.
engine::PlanSummary with_answer(engine::PlanSummary gradient) {
  gradient.constants *= 2;
  return gradient;
}

}  // namespace

InferenceSession::InferenceSession(const layers::Classifier& classifier, const kernels::Exec& exec,
                                   std::shared_ptr<engine::Arena> arena, int64_t max_batch)
    : classifier_(classifier),
      exec_(exec),
      arena_(arena),
      max_batch_(max_batch),
      pixels_([&classifier, exec, arena](int64_t n) {
        return classifier.plan_inference(exec, arena, n, false);
      }),
      unit_([&classifier, exec, arena](int64_t n) {
        return classifier.plan_inference(exec, arena, n, true);
      }) {
  VERACE_CHECK(max_batch > 0);
}

int64_t InferenceSession::picture_count() const {
  const int64_t size = classifier_.options().input_size;
  return size * size * 3;
}

engine::PlanSummary InferenceSession::plan_aside(int64_t n) const {
  return classifier_.plan_inference(exec_, std::make_shared<engine::Arena>(), n).step.summary();
}

template <typename T>
Answers InferenceSession::run_in_pieces(PlanCache<layers::InferenceStep>& plans,
                                        std::span<const T> pictures) {
  const int64_t picture = picture_count(), classes = class_count();
  Answers answers;
  answers.count = pictures_in(pictures.size(), picture);
  answers.logits.resize(static_cast<size_t>(answers.count * classes));
  answers.probabilities.resize(answers.logits.size());
  for (int64_t first = 0; first < answers.count; first += max_batch_) {
    const int64_t n = std::min(max_batch_, answers.count - first);
    const layers::InferenceStep& plan = plans.at(n);
    plan.step.write(plan.pictures, piece(pictures, first, n, picture));
    plan.step.run(trace_);
    plan.step.read(plan.logits, piece(std::span(answers.logits), first, n, classes));
    plan.step.read(plan.probabilities, piece(std::span(answers.probabilities), first, n, classes));
  }
  return answers;
}

Answers InferenceSession::run(std::span<const uint8_t> pixels) {
  return run_in_pieces(pixels_, pixels);
}

Answers InferenceSession::run_unit(std::span<const float> pictures) {
  return run_in_pieces(unit_, pictures);
}

void InferenceSession::refresh() {
  pixels_.refresh();
  unit_.refresh();
}

void InferenceSession::release() {
  pixels_.clear();
  unit_.clear();
  *arena_ = engine::Arena();
}

GradientSession::GradientSession(const layers::Classifier& classifier, const kernels::Exec& exec,
                                 std::shared_ptr<engine::Arena> arena, int64_t max_batch)
    : classifier_(classifier),
      exec_(exec),
      inference_(classifier, exec, arena, max_batch),
      plans_([&classifier, exec, arena](int64_t n) {
        return classifier.plan_gradient(exec, arena, n);
      }) {}

void GradientSession::gradient(std::span<const float> pictures, std::span<const int32_t> labels,
                               std::span<float> logits, std::span<float> gradient) {
  const int64_t picture = picture_count(), classes = class_count();
  const int64_t count = pictures_in(pictures.size(), picture);
  VERACE_CHECK(static_cast<int64_t>(labels.size()) == count);
  VERACE_CHECK(static_cast<int64_t>(logits.size()) == count * classes);
  VERACE_CHECK(gradient.size() == pictures.size());
  for (int64_t first = 0; first < count; first += inference_.max_batch()) {
    const int64_t n = std::min(inference_.max_batch(), count - first);
    const layers::GradientStep& plan = plans_.at(n);
    plan.step.write(plan.pictures, piece(pictures, first, n, picture));
    plan.step.write(plan.labels, piece(labels, first, n, 1));
    plan.step.run(trace_);
    plan.step.read(plan.logits, piece(logits, first, n, classes));
    plan.step.read(plan.dx, piece(gradient, first, n, picture));
    if (classifier_.precision() == engine::Precision::kFp16) {
      check_range(piece(gradient, first, n, picture), n, first);
    }
  }
}

void GradientSession::logits(std::span<const float> pictures, std::span<float> logits) {
  const Answers answers = inference_.run_unit(pictures);
  VERACE_CHECK(logits.size() == answers.logits.size());
  std::ranges::copy(answers.logits, logits.begin());
}

void GradientSession::release() {
  plans_.clear();
  inference_.release();
}

engine::PlanSummary GradientSession::plan_summary(int64_t n) {
  return with_answer(plans_.at(n).step.summary());
}

engine::PlanSummary GradientSession::plan_aside(int64_t n) const {
  return with_answer(
      classifier_.plan_gradient(exec_, std::make_shared<engine::Arena>(), n).step.summary());
}

void GradientSession::refresh() {
  inference_.refresh();
  plans_.refresh();
}

void GradientSession::set_trace(engine::Trace* trace) {
  trace_ = trace;
  inference_.set_trace(trace);
}

}  // namespace verace::apps
