// verace dataset inspect: what a data set of videos or a manifest holds, and how it is divided.
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/video_set_flags.h"
#include "apps/lib/manifest_report.h"
#include "apps/lib/video_set_report.h"
#include "data/picture_name.h"
#include "data/video_sets/files.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct DatasetInspectArguments {
  std::string root;
  VideoSetFlags set;
  bool json = false, list = false;
};

// A file that is neither a video nor a picture: load_dataset() says what is wrong with it.
bool is_manifest(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && !data::is_video_name(path) &&
         !data::is_picture_name(path);
}

int show_manifest(const Flags& flags, const DatasetInspectArguments& o) {
  for (const char* flag : {"--splits", "--compression", "--methods", "--list"}) {
    if (flags.given(flag)) {
      fail_input(text::format("{}: a manifest has its splits and is a list: leave it out", flag));
    }
  }
  const data::Dataset dataset = data::load_dataset(o.root, {.allow_leak = true});
  text::print(stdout, "{}",
              o.json ? apps::manifest_json(o.root, dataset) : apps::manifest_text(o.root, dataset));
  return 0;
}

int run(const Flags& flags, const DatasetInspectArguments& o) {
  flags.require("ROOT", "name a folder of videos, or a manifest");
  flags.refuse_both("--json", "--list", "the list is CSV");
  check_video_set(flags, o.set);
  if (is_manifest(o.root)) return show_manifest(flags, o);
  data::VideoSet set = data::load_video_set(o.root, o.set.set);
  std::optional<data::SplitReport> splits;
  if (o.set.rule) splits = data::assign_splits(set, o.set.splits);
  if (o.list) {
    text::print(stdout, "{}", apps::video_list_csv(set));
  } else if (o.json) {
    text::print(stdout, "{}", apps::video_set_json(set, splits ? &*splits : nullptr));
  } else {
    text::print(stdout, "{}{}", apps::video_set_text(set),
                splits ? apps::split_report_text(*splits) : std::string());
  }
  return 0;
}

}  // namespace

Command dataset_inspect_command() {
  const auto options = std::make_shared<DatasetInspectArguments>();
  return {
      "dataset inspect",
      "Show what a data set of videos holds, and how it is divided without leaks",
      "ROOT is Celeb-DF (v1, v2), FaceForensics++, or folders real and fake (also below train,\n"
      "val and test); parts of them will do. Or a manifest of faces (CSV). No video is decoded.",
      "  verace dataset inspect Celeb-DF-v2 --splits official\n"
      "  verace dataset inspect Celeb-DF-v2 --splits identity --shares 0.7,0.1,0.2\n"
      "  verace dataset inspect FaceForensics++ --compression c23 --methods Deepfakes --json\n"
      "  verace dataset inspect clips --splits video --list\n",
      [options](Flags& flags) {
        flags.argument("ROOT", "The folder of the data set, or a manifest", options->root);
        flags.toggle("--json", "Print JSON instead of tables", options->json);
        flags.toggle("--list", "Print a CSV with a line for each video instead", options->list);
        declare_video_set(flags, options->set);
      },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
