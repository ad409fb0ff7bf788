// The learning curve: loss and accuracy over epochs, as plots and as the file curve.svg.
#pragma once

#include <span>
#include <string>

#include "apps/lib/plot/plot.h"
#include "apps/lib/run_folder.h"

namespace verace::apps {

// One line per split that any epoch has: train, test, val. Works from one epoch on; throws
// Error(kInternal) for none.
plot::Plot loss_plot(std::span<const EpochMetrics> epochs);
plot::Plot accuracy_plot(std::span<const EpochMetrics> epochs);

// Both side by side, as an SVG file without outside fonts or scripts.
std::string curve_svg(std::span<const EpochMetrics> epochs, const std::string& title);

}  // namespace verace::apps
