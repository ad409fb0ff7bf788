// Framing the faces of judged videos and pictures.
#include "apps/lib/annotate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "apps/lib/metrics.h"
#include "data/draw.h"
#include "data/frame_source.h"
#include "data/picture_name.h"
#include "data/text.h"
#include "data/video_sets/files.h"
#include "data/video_writer.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

constexpr data::Ink kTextWhite{255, 255, 255}, kFakeRed{190, 30, 30}, kRealGreen{20, 120, 60},
    kGrey{70, 70, 70};
constexpr int kJpegQuality = 95;

data::Ink colour_of(bool fake) { return fake ? kFakeRed : kRealGreen; }

int64_t scale_of(const data::Image& frame) {
  return std::max<int64_t>(1, std::min(frame.width, frame.height) / 240);
}

std::string percent(double probability) { return text::format("{:.1f} %", 100 * probability); }

std::string caption(const MediaVerdict& item, const Decision& decision) {
  if (!item.fake_probability) return "cannot judge: " + item.why_not;
  return text::format("{} {} - {} of {} faces", verdict_word(item, decision),
                      percent(*item.fake_probability),
                      kPolicyNames[static_cast<size_t>(decision.policy.policy)], item.faces.size());
}

// Pixels that the box touches.
data::PixelBox pixels_of(const data::FaceBox& box) {
  const auto whole = [](float x) { return static_cast<int64_t>(std::clamp(x, -1e6F, 1e6F)); };
  return {whole(std::floor(box.x1)), whole(std::floor(box.y1)), whole(std::ceil(box.x2)),
          whole(std::ceil(box.y2))};
}

void draw_face(data::Image& frame, const MediaFace& face, const Decision& decision, bool thick) {
  const bool fake = is_fake(face.probability, decision.faces);
  const int64_t scale = scale_of(frame);
  const data::PixelBox box = pixels_of(face.in_frame.box);
  draw_frame(frame, box, thick ? 2 * scale : std::max<int64_t>(1, scale / 2), colour_of(fake));
  const std::string text = text::format("{} {}", fake ? "fake" : "real", percent(face.probability));
  // Above the face; where there is no room, inside of it.
  const int64_t height = data::kTextHeight * scale;
  const int64_t y = box.y1 - height >= height ? box.y1 - height : std::max(box.y1, height);
  const int64_t x = std::clamp<int64_t>(
      box.x1, 0, std::max<int64_t>(0, frame.width - data::text_width(text) * scale));
  data::draw_text(frame, x, y, text, {kTextWhite, colour_of(fake), scale});
}

void draw_caption(data::Image& frame, const MediaVerdict& item, const Decision& decision) {
  const std::string text = caption(item, decision);
  const data::Ink paper = item.fake_probability
                              ? colour_of(verdict_word(item, decision) == std::string("fake"))
                              : kGrey;
  // Smaller where it would not fit.
  const int64_t most = frame.width / data::text_width(text);
  data::draw_text(
      frame, 0, 0, text,
      {kTextWhite, paper, std::clamp<int64_t>(scale_of(frame), 1, std::max<int64_t>(1, most))});
}

// Cut, or filled up with black.
data::Image in_size(data::Image frame, int64_t width, int64_t height) {
  if (frame.width == width && frame.height == height) return frame;
  data::Image result{height, width, std::vector<uint8_t>(static_cast<size_t>(width * height * 3))};
  const int64_t wide = std::min(width, frame.width), high = std::min(height, frame.height);
  for (int64_t y = 0; y < high; ++y) {
    std::copy_n(frame.rgb.data() + y * frame.width * 3, wide * 3,
                result.rgb.data() + y * width * 3);
  }
  return result;
}

// The faces by frame; frames that were looked at in vain have none.
std::map<int64_t, std::vector<const MediaFace*>> faces_by_frame(const MediaVerdict& item) {
  std::map<int64_t, std::vector<const MediaFace*>> frames;
  for (const int64_t frame : item.without_face) frames[frame];
  for (const MediaFace& face : item.faces) frames[face.frame].push_back(&face);
  return frames;
}

std::string annotate_picture(const MediaVerdict& item, const Decision& decision,
                             const fs::path& out) {
  data::Image picture = data::read_image(item.path);
  for (const MediaFace& face : item.faces) draw_face(picture, face, decision, true);
  draw_caption(picture, item, decision);
  const bool png = data::lower(out.extension().string()) == ".png";
  data::write_file(out, png ? data::encode_png(picture) : data::encode_jpeg(picture, kJpegQuality),
                   data::Durability::kSync);
  return "picture " + data::name_of(out);
}

std::string annotate_video(const MediaVerdict& item, const Decision& decision,
                           const fs::path& out) {
  const auto source = data::open_frames(item.path);
  const data::FrameSourceInfo& info = source->info();
  const double rate =
      info.seconds > 0 ? static_cast<double>(info.frames) / info.seconds : 25.0;  // of a folder
  const auto writer = data::create_video(out, info.width, info.height, rate);
  const auto frames = faces_by_frame(item);
  while (source->advance()) {
    data::Image frame = in_size(source->image(), info.width, info.height);
    auto last = frames.upper_bound(source->index());
    if (last != frames.begin()) {
      --last;
      const bool looked_at = last->first == source->index();
      for (const MediaFace* face : last->second) draw_face(frame, *face, decision, looked_at);
    }
    draw_caption(frame, item, decision);
    writer->add(frame);
  }
  writer->finish();
  return writer->description();
}

}  // namespace

void check_annotation(const fs::path& input, const fs::path& out, const std::string& flag) {
  const auto refuse = [&](const std::string& why) {
    fail_input(text::format("{} {}: {}", flag, data::name_of(out), why));
  };
  std::error_code error;
  const fs::path parent = out.parent_path();
  if (!parent.empty() && !fs::is_directory(parent, error)) {
    refuse(text::format("there is no folder {}: make it first", data::name_of(parent)));
  }
  if (fs::equivalent(input, out, error)) refuse("is what is judged: name another file");
  if (!data::is_picture_name(input) || fs::is_directory(input, error)) return;
  const std::string ending = data::lower(out.extension().string());
  if (ending != ".png" && ending != ".jpg" && ending != ".jpeg") {
    refuse("a picture is written as .png or .jpg: name such a file");
  }
}

std::string annotate(const MediaVerdict& item, const Decision& decision, const fs::path& out) {
  return item.is_picture ? annotate_picture(item, decision, out)
                         : annotate_video(item, decision, out);
}

}  // namespace verace::apps
