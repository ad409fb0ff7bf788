// The report of a run: one page that opens offline, and its figures as files.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "apps/lib/report/run_data.h"
#include "apps/lib/report/section.h"

namespace verace::apps::report {

// The whole page: HTML that is also well-formed XML, with its style, plots and pictures inside and
// without scripts. It says nothing that is not in the run: equal runs give equal pages.
std::string page(const RunData& run, const std::vector<Section>& sections);

// Reads the folder of a training or of a demonstration and writes report.html, and figures/NAME.svg
// and figures/NAME.csv for every figure, into `out` (made if need be). Each file is replaced
// whole; figures of an earlier report that this one has not are removed. Returns the page's path.
// Throws Error(kInput) where `run` holds no run and where something cannot be written.
std::filesystem::path write_report(const std::filesystem::path& run,
                                   const std::filesystem::path& out);

// The same into the run itself, for the end of a run that must not fail by it: says on `messages`
// where the report is, or why there is none.
void write_report_or_warn(const std::filesystem::path& run, std::ostream& messages);

}  // namespace verace::apps::report
