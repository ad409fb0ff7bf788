// verace dataset inspect: what a data set of videos holds, and how it would be divided.
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/video_set_flags.h"
#include "apps/lib/video_set_report.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct Options {
  std::string root;
  VideoSetFlags set;
  bool json = false, list = false;
};

int run(const Flags& flags, const Options& o) {
  flags.require("ROOT", "name a folder of videos");
  flags.refuse_both("--json", "--list", "the list is CSV");
  check_video_set(flags, o.set);
  data::VideoSet set = data::load_video_set(o.root, o.set.set);
  std::optional<data::SplitReport> splits;
  if (o.set.rule) splits = data::assign_splits(set, o.set.splits);
  if (o.list) {
    text::print(stdout, "{}", apps::video_list_csv(set));
  } else if (o.json) {
    text::print(stdout, "{}", apps::video_set_json(set, splits ? &*splits : nullptr));
  } else {
    text::print(stdout, "{}{}", apps::video_set_text(set),
                splits ? apps::splits_text(*splits) : std::string());
  }
  return 0;
}

}  // namespace

Command dataset_inspect_command() {
  const auto options = std::make_shared<Options>();
  return {
      "dataset inspect",
      "Show what a data set of videos holds, and how it is divided without leaks",
      "ROOT is Celeb-DF (v1, v2), FaceForensics++, or folders real and fake (also below train,\n"
      "val and test); parts of them will do. No video is opened.",
      "  verace dataset inspect Celeb-DF-v2 --splits official\n"
      "  verace dataset inspect Celeb-DF-v2 --splits identity --shares 0.7,0.1,0.2\n"
      "  verace dataset inspect FaceForensics++ --compression c23 --methods Deepfakes --json\n"
      "  verace dataset inspect clips --splits video --list\n",
      [options](Flags& flags) {
        flags.argument("ROOT", "The folder of the data set", options->root);
        flags.toggle("--json", "Print JSON instead of tables", options->json);
        flags.toggle("--list", "Print a CSV with a line for each video instead", options->list);
        declare_video_set(flags, options->set);
      },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
