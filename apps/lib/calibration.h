// Temperature calibration: one number that makes a network's probabilities as sure as they are
// right, without changing which of two faces it finds more suspicious.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "apps/lib/metrics.h"

namespace verace::apps {

// What is searched. Below 1 probabilities become surer, above 1 less sure.
inline constexpr double kLeastTemperature = 0.05;
inline constexpr double kMostTemperature = 1000;

// The margin of an answer is its logit of fake less that of real. With temperature T > 0 its
// probability of being fake is sigmoid(margin / T), and its loss -log of the truth's probability:
// the softmax and cross-entropy of logits / T (Guo et al. 2017, "On calibration of modern neural
// networks", eq. 9). In double: what float rounds to 1 keeps its order up to margins of 36.
double calibrated_probability(double margin, double temperature);
double calibrated_loss(double margin, int32_t label, double temperature);

// How well the faces that a temperature was chosen on are calibrated.
struct CalibrationFigures {
  double loss = 0;               // mean cross-entropy: what was minimised
  double calibration_error = 0;  // expected calibration error (metrics.h)
};

// A temperature and what it did on the data that it was chosen on.
struct Calibration {
  double temperature = 1;
  std::string data, split;       // name of the folder or file, without its path; "val"
  int64_t reals = 0, fakes = 0;  // faces
  CalibrationFigures before, after;
};

// The temperature with the smallest mean loss over the faces, margins [n] (finite) and labels [n].
// The loss is convex in 1 / T, so that there is one. It is kept in [kLeastTemperature,
// kMostTemperature], and at 1 where every face is on the right side: then the loss falls for ever
// as T goes to 0, and the data say nothing about how sure is too sure. Throws Error(kInput) naming
// --calibrate without real or without fake faces, and where the margins point the wrong way on
// average: no temperature mends that.
Calibration calibrate(std::span<const double> margins, std::span<const int32_t> labels,
                      const std::string& data, const std::string& split);

// In model files: JSON under this metadata key, with a version of its own. Programs that do not
// know it take no notice: at the threshold 0.5 their verdicts about faces are the same, and
// thresholds that were chosen on calibrated probabilities are refused by them (threshold.h).
inline constexpr const char* kCalibrationKey = "verace.calibration";
std::string calibration_to_metadata(const Calibration& calibration);
// Empty without the key. Throws Error(kInput) naming `path` and the key for what cannot be read.
std::optional<Calibration> calibration_in_metadata(
    const std::map<std::string, std::string>& metadata, const std::string& path);

// For people, one line without line break: "temperature 2.31 (...)".
std::string calibration_text(const Calibration& calibration);

// A path's last name: what is stored of where data lies.
std::string name_of_data(const std::string& path);

}  // namespace verace::apps
