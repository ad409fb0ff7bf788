// The learning curve as a picture (SVG): loss and accuracy over epochs.
#pragma once

#include <span>
#include <string>

#include "apps/lib/run_folder.h"

namespace verace::apps {

// Two plots side by side (loss, accuracy) with a line per split, axes with ticks, and a legend.
// Pure text, no outside fonts or scripts. Works from one epoch on; throws Error(kInternal) for
// none.
std::string curve_svg(std::span<const EpochMetrics> epochs, const std::string& title);

}  // namespace verace::apps
