// Data sets name their videos; what comes from several inputs is told apart by its paths.
#include "apps/lib/faces/inputs.h"

#include <map>
#include <set>
#include <system_error>

#include "apps/lib/predictor.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

// "Celeb-real/id0_0000" as it is; of "/clips/a" and "../clips/a", which lead elsewhere, "a".
std::string inner_name(const std::string& name) {
  const fs::path path = fs::path(name).lexically_normal();
  const bool leads_out = path.is_absolute() || *path.begin() == "..";
  std::vector<std::string> parts;
  for (const fs::path& part : leads_out ? path.filename() : path) {
    const std::string text = part.string();
    if (text.empty() || text == "." || text == ".." || text == "/") continue;
    // Hidden folders would be left out by those who look for pictures.
    parts.push_back(text.starts_with('.') ? "_" + text : text);
  }
  return parts.empty() ? "video" : text::join(parts, "/");
}

data::VideoSet pictures_of(const std::string& input) {
  data::VideoSet set;
  set.kind = "pictures";
  set.root = input;
  for (const fs::path& path : expand_pictures({input})) {
    std::error_code error;
    if (!fs::exists(path, error)) {
      fail_input(text::format("{}: no such picture; check the path", data::name_of(path)));
    }
    const std::string name = fs::path(path).lexically_normal().replace_extension().generic_string();
    set.videos.push_back({path, std::nullopt, name, "", std::nullopt, {}});
  }
  return set;
}

std::string tally_text(const data::Tally& tally) {
  std::vector<std::string> first;
  for (const std::string& name : tally.first) first.push_back(one_line(name));
  const bool more = tally.count > static_cast<int64_t>(first.size());
  return text::format("{}: {} ({}{})", tally.what, tally.count, text::join(first, ", "),
                      more ? ", ..." : "");
}

class Collector {
 public:
  explicit Collector(const FacePipelineOptions& options) : options_(options) {}

  FaceInputs collect() {
    if (options_.splits && options_.inputs.size() != 1) {
      fail_input("--splits: divides one data set: name its folder alone");
    }
    for (const std::string& input : options_.inputs) add(input);
    for (FaceJob& job : inputs_.jobs) finish(job);
    return std::move(inputs_);
  }

 private:
  void add(const std::string& input) {
    data::VideoSet set =
        options_.pictures ? pictures_of(input) : data::load_video_set(input, options_.set);
    if (options_.splits) inputs_.splits = data::assign_splits(set, *options_.splits);
    if (set.videos.size() > 1) {
      inputs_.notes.push_back(
          text::format("{}: {}, {} videos", data::name_of(input), set.kind, set.videos.size()));
    }
    for (const data::Tally& note : set.notes) {
      inputs_.notes.push_back(text::format("{}: {}", data::name_of(input), tally_text(note)));
    }
    for (data::VideoSample& video : set.videos) {
      refuse_twice(video.path);
      // Names of two data sets may be equal; paths are not.
      if (!names_.insert(video.name).second) {
        video.name = video.path.lexically_normal().generic_string();
        if (!names_.insert(video.name).second) {
          fail_input(text::format("{}: another input has the same name; give it in another call",
                                  data::name_of(video.path)));
        }
      }
      if (!video.label) video.label = options_.label;
      inputs_.jobs.push_back({std::move(video), "", 0});
    }
  }

  void refuse_twice(const fs::path& path) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(path, error);
    if (!error && !paths_.insert(real.string()).second) {
      fail_input(
          text::format("{}: stands twice among the inputs; name it once", data::name_of(path)));
    }
  }

  void finish(FaceJob& job) {
    if (options_.count.by_class && !job.video.label) {
      fail_input(text::format(
          "--faces-per-video {}: nothing says whether {} is real or fake: give one number, or "
          "--label",
          options_.count.text(), data::name_of(job.video.path)));
    }
    job.wanted = options_.count.of(job.video.label);
    const std::string name = inner_name(job.video.name);
    job.folder = name;
    for (int copy = 2; !folders_.insert(job.folder).second; ++copy) {
      job.folder = text::format("{}~{}", name, copy);
    }
  }

  const FacePipelineOptions& options_;
  FaceInputs inputs_;
  std::set<std::string> names_, paths_, folders_;
};

}  // namespace

FaceInputs collect_inputs(const FacePipelineOptions& options) {
  return Collector(options).collect();
}

}  // namespace verace::apps
