// The command line `verace`: its commands, one file each.
#include <csignal>

#include "apps/cli/command_line.h"
#include "apps/cli/commands.h"
#include "apps/lib/memory_limit.h"
#include "apps/lib/short_spin.h"

int main(int argc, char** argv) {
  using namespace verace::cli;
  verace::apps::spin_briefly(argv);
  // A file beyond the limit (ulimit -f) is an error of writing, with a message, not a sudden death.
  std::signal(SIGXFSZ, SIG_IGN);
  verace::apps::spare_address_space();
  return run_command_line(
      argc, argv,
      {train_command(), eval_command(), threshold_command(), predict_command(), faces_command(),
       fakes_command(), fgsm_command(), dataset_inspect_command(), inspect_command(),
       convert_command(), diff_command(), fetch_command(), demo_command(), report_command(),
       gradcheck_command(), dump_command(), info_command()});
}
