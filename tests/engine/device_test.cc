// Devices: what their names mean, what is said of one that cannot be used, and opening one.
#include "engine/device.h"

#include <doctest/doctest.h>

#include <functional>
#include <type_traits>
#include <vector>

#include "engine/cuda_facts.h"
#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "tests/support/device_memory.h"

#if VERACE_HAVE_CUDA && VERACE_EMULATED
#include "kernels/simt/emulator/faults.h"
#include "kernels/simt/emulator/live_objects.h"
#endif

namespace verace::engine::device_test {
namespace {

using kernels::DeviceKind;

std::string input_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("names of devices, both ways") {
  struct Case {
    const char* text;
    DeviceChoice choice;
    const char* back;
  };
  for (const Case& c : {Case{"cpu", {DeviceKind::kCpu, 0}, "cpu"},
                        Case{"reference", {DeviceKind::kReference, 0}, "reference"},
                        Case{"cuda", {DeviceKind::kCuda, 0}, "cuda:0"},
                        Case{"cuda:0", {DeviceKind::kCuda, 0}, "cuda:0"},
                        Case{"cuda:13", {DeviceKind::kCuda, 13}, "cuda:13"}}) {
    INFO(std::string(c.text));
    const auto parsed = parse_device(c.text, "x");
    REQUIRE(parsed.has_value());
    CHECK(*parsed == c.choice);
    CHECK(to_string(*parsed) == c.back);
  }
  CHECK_FALSE(parse_device("auto", "x").has_value());
  for (const char* bad : {"", "gpu", "CUDA", "cuda0", "cpu:0", "auto:1", "cuda "}) {
    INFO(std::string(bad));
    const std::string message = input_error([&] { parse_device(bad, "c.toml:3: device"); });
    CHECK(message == "c.toml:3: device: '" + std::string(bad) +
                         "' is not known: use auto, cpu, reference, cuda or cuda:N");
  }
  for (const char* bad : {"cuda:", "cuda:-1", "cuda:+1", "cuda:1x", "cuda: 1", "cuda:1.0",
                          "cuda:99999999999", "cuda:0x1"}) {
    INFO(std::string(bad));
    const std::string message = input_error([&] { parse_device(bad, "--device"); });
    CHECK(message == "--device: '" + std::string(bad) +
                         "' names no device: give its number, for example cuda:1");
  }
}

// A machine with two H200, where nothing is missing.
CudaFacts good_machine() {
  CudaFacts facts;
  facts.compiled = true;
  facts.oldest = 90;
  facts.runtime_version = 13000;
  facts.driver_version = 13010;
  facts.driver = "580.95.05";
  facts.devices = {{"NVIDIA H200", 9, 0, 1 << 30, 0, ""}, {"NVIDIA B200", 10, 0, 1 << 30, 0, ""}};
  facts.cudnn = {"cuDNN", "9.19.0", "/lib/libcudnn.so.9", ""};
  facts.cublaslt = {"cuBLASLt", "13.0.2", "/lib/libcublasLt.so.13", ""};
  return facts;
}

TEST_CASE("each thing that can be missing has its own line") {
  CHECK(why_unusable(good_machine(), 0).empty());
  CHECK(why_unusable(good_machine(), 1).empty());
  struct Case {
    std::function<void(CudaFacts&)> spoil;
    int index;
    std::string message;
  };
  // From the last thing to mend to the first: each fault hides all before it in this list.
  const std::vector<Case> cases = {
      {[](CudaFacts& f) { f.cublaslt.problem = "cuBLASLt was not found"; }, 1,
       "cuBLASLt was not found"},
      {[](CudaFacts& f) { f.cudnn.problem = "cuDNN was not found"; }, 1, "cuDNN was not found"},
      {[](CudaFacts& f) { f.devices[1] = {"Tesla V100", 7, 0, 0, 0, ""}; }, 1,
       "Tesla V100 has compute capability 7.0, this program was built for 9.0 and later: use a "
       "newer device"},
      {[](CudaFacts& f) { f.devices[1].problem = "busy"; }, 1, "busy"},
      {[](CudaFacts&) {}, 2, "there are 2 CUDA devices: use cuda:0 to cuda:1"},
      {[](CudaFacts& f) { f.devices.resize(1); }, 1, "there is one CUDA device: use cuda:0"},
      {[](CudaFacts& f) {
         f.visible = "3";
         f.visible_set = true;
       },
       1, "there is one CUDA device (CUDA_VISIBLE_DEVICES is '3'): use cuda:0"},
      {[](CudaFacts& f) { f.devices.clear(); }, 0,
       "no CUDA device is visible: CUDA_VISIBLE_DEVICES is '3': name one there, or unset it"},
      {[](CudaFacts& f) { f.visible_set = false; }, 0,
       "there is no CUDA device: see what nvidia-smi -L says"},
      {[](CudaFacts& f) { f.count_problem = "unknown error (cudaErrorUnknown)"; }, 0,
       "CUDA cannot count its devices: unknown error (cudaErrorUnknown): see what nvidia-smi says"},
      {[](CudaFacts& f) {
         f.driver_too_old = true;
         f.driver_version = 12080;
       },
       0,
       "NVIDIA's driver has CUDA 12.8, this program needs 13.0: install NVIDIA's driver 580 or "
       "later"},
      {[](CudaFacts& f) { f.driver_problem = "libcuda.so.1: no such file"; }, 0,
       "NVIDIA's driver is missing (libcuda.so.1: no such file): install NVIDIA's driver 580 or "
       "later"},
      {[](CudaFacts& f) { f.compiled = false; }, 0,
       "this build has no CUDA: install nvcc and cuDNN and build with `./run build cuda --target "
       "verace`"}};
  CudaFacts facts = good_machine();
  for (const Case& c : cases) {
    c.spoil(facts);
    CHECK(why_unusable(facts, c.index) == c.message);
  }
}

TEST_CASE("a device of the very capability that the kernels are for will do, an older one not") {
  CudaFacts facts = good_machine();
  facts.oldest = 100;
  CHECK_FALSE(why_unusable(facts, 0).empty());
  CHECK(why_unusable(facts, 1).empty());
}

TEST_CASE("ways to launch and to plan, both ways") {
  for (const Launch launch : {Launch::kGraph, Launch::kEager, Launch::kChecked}) {
    CHECK(parse_launch(to_string(launch), "x") == launch);
  }
  for (const Plans plans : {Plans::kHeuristic, Plans::kTuned, Plans::kNondeterministic}) {
    CHECK(parse_plans(to_string(plans), "x") == plans);
  }
  CHECK_THROWS_WITH_AS(parse_launch("fast", "--launch"),
                       "--launch: 'fast' is not known: use graph, eager or checked", Error);
  CHECK_THROWS_WITH_AS(parse_plans("fast", "--plans"),
                       "--plans: 'fast' is not known: use heuristic, tuned or nondeterministic",
                       Error);
}

TEST_CASE("only what can be moved owns a device") {
  CHECK_FALSE(std::is_copy_constructible_v<Device>);
  CHECK_FALSE(std::is_copy_assignable_v<Device>);
  CHECK(std::is_nothrow_move_constructible_v<Device>);
}

TEST_CASE("host devices") {
  const Device cpu({DeviceKind::kCpu, 0}, 3);
  CHECK(cpu.exec().device == DeviceKind::kCpu);
  CHECK(cpu.exec().threads == 3);
  CHECK(cpu.exec().stream == nullptr);
  CHECK(cpu.name() == "cpu");
  CHECK(cpu.memory().total == 0);
  cpu.make_current();
  cpu.synchronize();
  CHECK(Device({DeviceKind::kReference, 0}, 1).name() == "reference");
  CHECK(Device({DeviceKind::kCpu, 0}, 0).exec().threads >= 1);
  CHECK(Device().exec().threads == 1);
}

TEST_CASE("auto never takes an emulated or a missing CUDA, and says why") {
  const AutomaticDevice automatic = automatic_device();
  CHECK_FALSE(automatic.why.empty());
  if (kernels::cuda_is_emulated || !test::cuda_is_present()) {
    CHECK(automatic.choice == DeviceChoice{});
  }
  if (kernels::cuda_is_emulated) CHECK(has(automatic.why, "emulates"));
  if (!kernels::have_cuda) CHECK(automatic.why == "this build has no CUDA");
}

TEST_CASE("a CUDA device that is not there is refused, by place, name and reason") {
  const DeviceChoice far{DeviceKind::kCuda, 99};
  const std::string message = input_error([&] { check_usable(far, "c.toml:3: device"); });
  CHECK(has(message, "c.toml:3: device cuda:99: "));
  if (!kernels::have_cuda) {
    CHECK(has(message, "this build has no CUDA"));
  } else if (test::cuda_is_present()) {
    CHECK(has(message, "there"));
    CHECK(has(message, "use cuda:0"));
  } else {
    CHECK((has(message, "driver") || has(message, "there is no CUDA device")));
  }
  CHECK(input_error([&] { Device(far, 1, "c.toml:3: device"); }) == message);
  check_usable({DeviceKind::kCpu, 0}, "x");
  check_usable({DeviceKind::kReference, 0}, "x");
}

#if VERACE_HAVE_CUDA && VERACE_EMULATED

namespace emulator = simt::emulator;
constexpr DeviceChoice kFirst{DeviceKind::kCuda, 0};

TEST_CASE("an emulated device is opened, and closed again") {
  REQUIRE(emulator::live_objects().streams == 0);
  {
    Device device(kFirst, 2);
    CHECK(device.exec().device == DeviceKind::kCuda);
    CHECK(device.exec().threads == 2);
    REQUIRE(device.exec().stream != nullptr);
    CHECK(device.name().starts_with("cuda:0 (CPU emulation"));
    CHECK(device.memory().total > 0);
    CHECK(device.memory().free > 0);
    CHECK(device.memory().free <= device.memory().total);
    CUstream_st* const stream = device.exec().stream;
    CHECK(emulator::live_objects().streams == 1);
    Device moved = std::move(device);
    CHECK(moved.exec().stream == stream);
    CHECK(emulator::live_objects().streams == 1);
    moved = Device();
    CHECK(emulator::live_objects().streams == 0);
  }
  CHECK(emulator::live_objects().streams == 0);
}

TEST_CASE("how a device is used arrives in what its operations run on") {
  const auto opened = [](Launch launch, Plans plans) {
    return Device(kFirst, 1, "--device", launch, plans).exec();
  };
  using Mode = kernels::ConvPlanning::Mode;
  const kernels::Exec usual = opened(Launch::kGraph, Plans::kHeuristic);
  CHECK(usual.graphs);
  CHECK_FALSE(usual.checked);
  CHECK(usual.convolutions.mode == Mode::kHeuristic);
  CHECK(usual.convolutions.deterministic);
  CHECK(usual.convolutions.cache_folder == "");  // an emulated device leaves nothing behind
  const kernels::Exec tuned = opened(Launch::kEager, Plans::kTuned);
  CHECK_FALSE(tuned.graphs);
  CHECK(tuned.convolutions.mode == Mode::kTuned);
  CHECK(tuned.convolutions.deterministic);
  const kernels::Exec fastest = opened(Launch::kChecked, Plans::kNondeterministic);
  CHECK(fastest.checked);
  CHECK(fastest.convolutions.mode == Mode::kTuned);
  CHECK_FALSE(fastest.convolutions.deterministic);
}

TEST_CASE("what CUDA answers while a device is opened comes out in one line, with what to do") {
  struct Case {
    const char* call;
    cudaError_t error;
    std::vector<std::string> said;
  };
  const std::vector<Case> cases = {
      {"cudaGetDeviceCount", cudaErrorInsufficientDriver, {"NVIDIA's driver", "580"}},
      {"cudaGetDeviceCount", cudaErrorNoDevice, {"there is no CUDA device"}},
      {"cudaGetDeviceCount",
       cudaErrorUnknown,
       {"CUDA cannot count its devices", "unknown error (cudaErrorUnknown)"}},
      {"cudaGetDeviceProperties", cudaErrorUnknown, {"cudaGetDeviceProperties"}},
      {"cudaSetDevice",
       cudaErrorDevicesUnavailable,
       {"cudaSetDevice", "busy or unavailable", "another program holds the device"}},
      {"cudaSetDevice",
       cudaErrorECCUncorrectable,
       {"uncorrectable ECC error", "the device is lost, by a fault of its hardware"}},
      {"cudaStreamCreateWithFlags", cudaErrorMemoryAllocation, {"memory is full"}}};
  for (const Case& c : cases) {
    emulator::fail_next(c.call, c.error);
    const std::string message = input_error([] { Device(kFirst, 1, "--device"); });
    INFO(message);
    CHECK(message.starts_with("--device cuda:0: "));
    CHECK_FALSE(has(message, "\n"));
    for (const std::string& part : c.said) CHECK_MESSAGE(has(message, part), part);
    CHECK(emulator::live_objects().streams == 0);
  }
  emulator::fail_next("", cudaSuccess);
  CHECK(Device(kFirst, 1).exec().stream != nullptr);
}

#endif

}  // namespace
}  // namespace verace::engine::device_test
