// The commands of `verace`, each made in the file of its name.
#pragma once

#include "apps/cli/flags.h"

namespace verace::cli {

Command train_command();
Command eval_command();
Command predict_command();
Command faces_command();
Command threshold_command();
Command fgsm_command();
Command dataset_inspect_command();
Command inspect_command();
Command convert_command();
Command diff_command();
Command fetch_command();
Command demo_command();
Command info_command();
Command report_command();
Command dump_command();
Command fakes_command();
Command gradcheck_command();

}  // namespace verace::cli
