// Formulas of one element that the CPU, reference and CUDA implementations share: written once.
//
// Bit-exact across devices are all but adam_factors(), whose std::pow may differ in the last place:
// they round once per +, -, *, / and square root. For that host code is compiled with
// -ffp-contract=off and device code with -fmad=false.
#pragma once

#include <cmath>

#if defined(__CUDACC__)
#define VERACE_HOST_DEVICE __host__ __device__
#else
#define VERACE_HOST_DEVICE
#endif

namespace verace::kernels {

// Leaky ReLU (Maas et al. 2013, eq. 2): x for x > 0, else slope * x. slope 0 is the ReLU.
template <typename T>
VERACE_HOST_DEVICE inline T leaky_relu(T x, T slope) {
  return x > T(0) ? x : slope * x;
}

// Its derivative, from the output y (same sign as x for slope >= 0). At 0 it is `slope`, as in
// TensorFlow and PyTorch (semantics.md A.6).
template <typename T>
VERACE_HOST_DEVICE inline T leaky_relu_slope(T y, T slope) {
  return y > T(0) ? T(1) : slope;
}

// Where Adam adds its epsilon. kKeras: p -= lr * sqrt(1-b2^t)/(1-b1^t) * m / (sqrt(v) + eps)
// ("epsilon hat", Kingma & Ba 2015, end of section 2). kPyTorch: p -= lr/(1-b1^t) * m /
// (sqrt(v/(1-b2^t)) + eps) (ibid., algorithm 1).
enum class AdamEpsilon { kKeras, kPyTorch };

// The factors of one Adam step that do not depend on the element; computed once per step in double.
struct AdamFactors {
  float beta1, beta2;
  float rest1, rest2;  // 1 - beta, rounded once: 1 - 0.999f is 1.3e-5 (relative) too small
  float step_size;     // multiplies m / (sqrt(v) * root_scale + epsilon)
  float root_scale;    // 1 (Keras) or 1/sqrt(1-b2^t) (PyTorch)
  float epsilon;
};

// Factors of step t (the first step has t = 1).
VERACE_HOST_DEVICE inline AdamFactors adam_factors(AdamEpsilon placement, double lr, double beta1,
                                                   double beta2, double epsilon, long t) {
  const double correction1 = 1.0 - std::pow(beta1, static_cast<double>(t));
  const double correction2 = 1.0 - std::pow(beta2, static_cast<double>(t));
  AdamFactors f{};
  f.beta1 = static_cast<float>(beta1);
  f.beta2 = static_cast<float>(beta2);
  f.rest1 = static_cast<float>(1.0 - beta1);
  f.rest2 = static_cast<float>(1.0 - beta2);
  f.epsilon = static_cast<float>(epsilon);
  if (placement == AdamEpsilon::kKeras) {
    f.step_size = static_cast<float>(lr * std::sqrt(correction2) / correction1);
    f.root_scale = 1.0f;
  } else {
    f.step_size = static_cast<float>(lr / correction1);
    f.root_scale = static_cast<float>(1.0 / std::sqrt(correction2));
  }
  return f;
}

// One element of Adam: updates the moments m and v with gradient g and returns the new weight.
VERACE_HOST_DEVICE inline float adam_update(const AdamFactors& f, float w, float g, float& m,
                                            float& v) {
  m = f.beta1 * m + f.rest1 * g;
  v = f.beta2 * v + f.rest2 * (g * g);
  return w - f.step_size * m / (std::sqrt(v) * f.root_scale + f.epsilon);
}

// -1, 0 or 1; 0 for 0 and -0 (Foolbox: pixels without gradient stay).
VERACE_HOST_DEVICE inline float sign_of(float x) {
  return static_cast<float>((x > 0.0f) - (x < 0.0f));
}

// min(max(x, low), high).
VERACE_HOST_DEVICE inline float clip(float x, float low, float high) {
  return x < low ? low : (x > high ? high : x);
}

// One step of FGSM on one pixel, in Foolbox' order: t - x is epsilon only up to the rounding of t.
VERACE_HOST_DEVICE inline float fgsm_pixel(float x, float gradient, float epsilon, float low,
                                           float high) {
  const float t = x + epsilon * sign_of(gradient);
  const float d = clip(t - x, -epsilon, epsilon);
  return clip(x + d, low, high);
}

// The nearest of the 256 levels of an 8-bit channel, ties to even, as in NumPy's and PyTorch's
// round.
VERACE_HOST_DEVICE inline float round_to_level(float x) {
  return std::nearbyint(x * 255.0f) / 255.0f;
}

// An 8-bit pixel value in [0, 1].
VERACE_HOST_DEVICE inline float unit_of_pixel(int value) {
  return static_cast<float>(value) / 255.0f;
}

VERACE_HOST_DEVICE inline float scale_pixel(float unit, float scale, float shift) {
  return unit * scale - shift;
}

}  // namespace verace::kernels
