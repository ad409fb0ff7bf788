// The kernel laboratory: proves and times CUDA kernels and their variants, on a GPU or emulated.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "bench/kernels/laboratory/outputs_file.h"
#include "bench/kernels/laboratory/session.h"
#include "kernels/check.h"

namespace {

using namespace verace::laboratory;

constexpr int kFailed = 1, kUsage = 2, kNoDevice = 3;

constexpr const char* kHelp =
    "usage: verace_laboratory COMMAND [OPTIONS]\n\n"
    "  device              what the device is\n"
    "  prove               every variant against the reference implementation, on small shapes\n"
    "  time                prove, then time what was proven\n"
    "  write FILE          the outputs of every shipped kernel for seeded inputs\n"
    "  compare GOT WANT    two such files: bit-equal, or how far apart\n\n"
    "  --only TEXT         operations whose name and type contain TEXT (\"add fp16\")\n"
    "  --without NAME      leave out the variant NAME\n"
    "  --scale SCALE       shapes to time: resnet50 (default) or tiny\n"
    "  --batch N           pictures per batch (64)\n"
    "  --samples N         timings per figure (100)\n"
    "  --seconds S         begin nothing new after S seconds; what is left out is named\n"
    "  --json FILE         results for programs (time, compare)\n"
    "  --commit TEXT       goes into the JSON\n\n"
    "Exit codes: 0 all right, 1 something was refused, wrong or out of tolerance, 2 usage,\n"
    "3 no CUDA device.\n";

struct Arguments {
  std::vector<std::string> words;
  Choice choice;
};

Arguments parse(int count, char** values) {
  Arguments a;
  for (int i = 1; i < count; ++i) {
    const std::string word = values[i];
    if (word.rfind("--", 0) != 0) {
      a.words.push_back(word);
      continue;
    }
    if (i + 1 == count) verace::fail_input(word + " wants a value");
    const std::string value = values[++i];
    if (word == "--only") {
      a.choice.only = value;
    } else if (word == "--without") {
      a.choice.without = value;
    } else if (word == "--batch") {
      a.choice.batch = std::atoll(value.c_str());
    } else if (word == "--samples") {
      a.choice.samples = std::atoi(value.c_str());
    } else if (word == "--seconds") {
      a.choice.seconds = std::atof(value.c_str());
    } else if (word == "--json") {
      a.choice.json = value;
    } else if (word == "--commit") {
      a.choice.commit = value;
    } else if (word == "--scale" && (value == "tiny" || value == "resnet50")) {
      a.choice.scale = value == "tiny" ? Scale::kTiny : Scale::kResNet50;
    } else {
      verace::fail_input("unknown option " + word + " " + value);
    }
  }
  if (a.choice.batch < 1 || a.choice.samples < 1) {
    verace::fail_input("--batch and --samples want a number above zero");
  }
  return a;
}

int run(const Arguments& a) {
  const std::string command = a.words.empty() ? "" : a.words[0];
  if (command == "compare" && a.words.size() == 3) {
    return compare_outputs(a.words[1], a.words[2], a.choice.json) ? 0 : kFailed;
  }
  const bool known = a.words.size() == 1
                         ? command == "device" || command == "prove" || command == "time"
                         : command == "write" && a.words.size() == 2;
  if (!known) {
    std::fputs(kHelp, stderr);
    return kUsage;
  }
  const DeviceReport device = device_report();
  if (device.name.empty()) {
    std::printf("no CUDA device: %s\n", device.why.c_str());
    return kNoDevice;
  }
  std::printf("%s\n", text(device).c_str());
  if (device.emulated && command != "device") {
    std::printf("EMULATED on the CPU: this proves the kernels; times mean nothing\n");
  }
  if (command == "prove") {
    const auto proofs = prove(chosen(a.choice, Scale::kProof), a.choice.without);
    print_proofs(proofs);
    for (const Proof& p : proofs) {
      if (!p.ok()) return kFailed;
    }
  }
  if (command == "write") write_outputs(chosen(a.choice, Scale::kProof), a.words[1]);
  if (command == "time") return prove_and_time(a.choice) ? 0 : kFailed;
  return 0;
}

}  // namespace

int main(int count, char** values) {
  try {
    return run(parse(count, values));
  } catch (const verace::Error& error) {
    std::fprintf(stderr, "verace_laboratory: %s\n", error.what());
    return error.kind() == verace::ErrorKind::kInput ? kUsage : kFailed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "verace_laboratory: %s\n", error.what());
    return kFailed;
  }
}
