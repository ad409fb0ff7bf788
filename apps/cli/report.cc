// verace report: a run as one page.
#include "apps/lib/report/report.h"

#include <cstdio>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct ReportArguments {
  std::string run;
  std::filesystem::path out;
};

int run(const Flags& flags, const ReportArguments& o) {
  flags.require("RUN", "name the folder of a training or a demonstration");
  check_output_folder(o.out, "--out", true);
  const std::filesystem::path page =
      apps::report::write_report(o.run, o.out.empty() ? std::filesystem::path(o.run) : o.out);
  text::print(stdout, "{}\n", one_line(page.string()));
  return 0;
}

}  // namespace

Command report_command() {
  const auto options = std::make_shared<ReportArguments>();
  return {
      "report",
      "A run or a demonstration as one page with figures",
      "Writes report.html, which opens offline, and figures/ with every figure as SVG and its\n"
      "numbers as CSV. train and demo do it at their end. What a run does not hold is named on\n"
      "the page. The attack is that of `attack fgsm --out RUN/attack`.",
      "  verace report RUN\n  verace report runs/demo --out page\n",
      [options](Flags& flags) {
        flags.argument("RUN", "Folder that train or demo has written", options->run);
        flags.value("--out", "DIR", "Folder of the page and its figures (default RUN)",
                    into(options->out));
      },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
