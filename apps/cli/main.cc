// The command line `verace`: its commands, one file each.
#include "apps/cli/command_line.h"
#include "apps/cli/commands.h"

int main(int argc, char** argv) {
  using namespace verace::cli;
  return run_command_line(argc, argv,
                          {train_command(), eval_command(), threshold_command(), predict_command(),
                           fgsm_command(), inspect_command(), demo_command(), info_command()});
}
