// Variants that the laboratory must refuse: each is wrong in one way that people get wrong.
#include "bench/kernels/laboratory/variants.h"
#include "kernels/activation.h"
#include "kernels/scalar_math.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/vector_access.h"

namespace verace::kernels {
namespace {

// Vectors only: the tail is left out.
__global__ void relu_without_tail(size_t count, const Half* x, float slope, Half* y) {
  const size_t i = (static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 8;
  if (i + 8 > count) return;
  for (size_t k = i; k < i + 8; ++k) {
    simt::assign(y[k], leaky_relu(simt::widen(x[k]), slope));
  }
}

void no_tail(const Exec& exec, const LeakyReluForwardOf<Half>& a) {
  simt::launch(relu_without_tail, {simt::blocks_for(a.count, 8 * 256), 256, 0, exec.stream},
               static_cast<size_t>(a.count), a.x, a.slope, a.y);
}

// One element too many is written, with the right value of its neighbour.
__global__ void add_beyond_end(size_t count, const float* a, const float* b, float* y) {
  const size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i > count) return;
  const size_t from = i < count ? i : count - 1;
  y[i] = leaky_relu(a[from] + b[from], 0.0f);
}

void beyond_end(const Exec& exec, const Add& a) {
  simt::launch(add_beyond_end, {simt::blocks_for(a.count + 1, 256), 256, 0, exec.stream},
               static_cast<size_t>(a.count), a.a, a.b, a.y);
}

// Right but for the slope, which it takes for a ReLU's.
void no_slope(const Exec& exec, const LeakyReluForwardOf<float>& a) {
  LeakyReluForwardOf<float> changed = a;
  changed.slope = 0.0f;
  cuda::leaky_relu_forward(exec, changed);
}

// Repairs its input on the way.
__global__ void clear_input(float* x) { x[0] = 0.0f; }

void changes_input(const Exec& exec, const LeakyReluBackwardOf<float>& a) {
  cuda::leaky_relu_backward(exec, a);
  simt::launch(clear_input, {1, 1, 0, exec.stream}, const_cast<float*>(a.dy));
}

// Throws instead of working.
void gives_up(const Exec&, const AddOf<BFloat16>&) {
  fail_check("supported", __FILE__, __LINE__, "this variant gives up");
}

const laboratory::Register<LeakyReluForwardOf<Half>> wrong1("no tail", no_tail);
const laboratory::Register<Add> wrong2("beyond the end", beyond_end);
const laboratory::Register<LeakyReluForwardOf<float>> wrong3("no slope", no_slope);
const laboratory::Register<LeakyReluBackwardOf<float>> wrong4("changes its input", changes_input);
const laboratory::Register<AddOf<BFloat16>> wrong5("gives up", gives_up);

}  // namespace
}  // namespace verace::kernels
