// One problem: an operation with its data at one shape, and every variant that can solve it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/kernels/laboratory/tensors.h"
#include "bench/kernels/laboratory/variants.h"
#include "kernels/exec.h"

namespace verace::laboratory {

// bytes: what any implementation must move: each input and output once, and once more per pass that
// the mathematics forces (batch norm's gradient needs its sums before it can begin). Scratch does
// not count. flops: arithmetic operations of the formula, a rough figure.
struct Description {
  std::string operation, type, shape;
  double bytes = 0, flops = 0;
};

class Problem {
 public:
  explicit Problem(Description what) : what_(std::move(what)) {}
  virtual ~Problem() = default;
  const Description& what() const { return what_; }

  // "shipped" first, then the registered ones.
  virtual std::vector<std::string> variants() const = 0;
  // Creates the tensors on the device, `shift` elements behind aligned addresses. Takes memory
  // until release().
  virtual void prepare(int64_t shift) = 0;
  virtual void release() = 0;
  // Inputs fresh, outputs poisoned.
  virtual void reset() = 0;
  virtual void run(size_t variant, CUstream_st* stream) = 0;
  // The outputs after a run; and what the host's implementation (kCpu or kReference) makes of the
  // same inputs.
  virtual std::vector<Values> outputs() const = 0;
  virtual std::vector<Values> answer(kernels::DeviceKind host) const = 0;
  virtual std::string damage() const = 0;

 private:
  Description what_;
};
using Problems = std::vector<std::unique_ptr<Problem>>;

// Args: the contract on the device. make(memory): its arguments in that memory. run(exec, args):
// the operation's dispatcher, called with the device's and with the host's arguments.
template <class Args, class Make, class Run>
class ProblemOf final : public Problem {
 public:
  ProblemOf(Description what, Make make, Run run)
      : Problem(std::move(what)), make_(make), run_(run) {}

  std::vector<std::string> variants() const override {
    std::vector<std::string> names{"shipped"};
    for (const auto& v : laboratory::variants<Args>()) names.push_back(v.name);
    return names;
  }
  void prepare(int64_t shift) override {
    tensors_ = std::make_unique<DeviceTensors>(shift);
    args_ = std::make_unique<Args>(make_(*tensors_));
    tensors_->reset();
  }
  void release() override {
    args_.reset();
    tensors_.reset();
  }
  void reset() override { tensors_->reset(); }
  void run(size_t variant, CUstream_st* stream) override {
    const kernels::Exec exec{kernels::DeviceKind::kCuda, 1, stream};
    if (variant == 0) return run_(exec, *args_);
    laboratory::variants<Args>().at(variant - 1).run(exec, *args_);
  }
  std::vector<Values> outputs() const override { return tensors_->outputs(); }
  std::vector<Values> answer(kernels::DeviceKind host) const override {
    HostTensors tensors;
    run_(kernels::make_exec(host), make_(tensors));
    return tensors.outputs();
  }
  std::string damage() const override { return tensors_->damage(); }

 private:
  Make make_;
  Run run_;
  std::unique_ptr<DeviceTensors> tensors_;
  std::unique_ptr<Args> args_;
};

template <class Args, class Make, class Run>
void add_problem(Problems& all, Description what, Make make, Run run) {
  all.push_back(
      std::make_unique<ProblemOf<Args, Make, Run>>(std::move(what), std::move(make), run));
}

// A tensor with its storage type widened to floats, as the host's answers are.
Values widened(const Values& values);

// Compares a run's outputs with the answer; names the first output that is out of its tolerance.
test::Verdict judge(const std::vector<Values>& got, const std::vector<Values>& want);

// "3.2 % of the tolerance" and the like, for a verdict that holds.
std::string describe(const test::Verdict& verdict);

}  // namespace verace::laboratory
