// A data set of drawn faces: real ones, and fakes into which the inner face of somebody else was
// put.
//
// Both classes go through the same steps: two photographs, one resampled onto the other, matched in
// colour and blended, then JPEG. In a real picture both photographs are of one scene; in a fake the
// inner face is another person's, with a light and a camera of its own, drawn from the same
// distributions. So nothing about a picture as a whole (colour, contrast, sharpness, noise, size of
// the file) tells the classes apart; only that the inner face does not belong to the rest.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "data/detected_face.h"
#include "data/image.h"
#include "kernels/exec.h"

namespace verace::data::faces {

struct DrawnFace {
  Image image;  // before it becomes a JPEG file
  int jpeg_quality = 85;
  bool lit_from_left = false;
};

// Frame `frame` of person `target`; the inner face is person `donor`'s (target itself: a real
// picture). Depends on the arguments alone. size: at least 32 pixels.
DrawnFace draw_face(uint64_t seed, int64_t size, int64_t target, int64_t donor, int64_t frame);

// Where a detector would see the eyes, the nose and the mouth of that face, in pixels.
std::array<ImagePoint, kFaceLandmarks> drawn_landmarks(uint64_t seed, int64_t size, int64_t target,
                                                       int64_t frame);

struct DatasetOptions {
  uint64_t seed = 1;
  int64_t size = 64;                               // pixels
  std::array<int64_t, 3> identities{300, 40, 60};  // train, val, test: different persons
  int64_t frames = 4;                              // pictures of each video
};

// How many pictures that makes.
int64_t picture_count(const DatasetOptions& options);

// Writes DIR/{train,val,test}/{real,fake}/IDENTITY/FRAME.jpg, and two manifests as load_dataset()
// reads them: faces.csv (label: real or fake, landmarks and box of each face) and light.csv (the
// real pictures; label: 0 lit from the left, 1 from the right). Every identity has a real video and
// a fake one; the fake's inner face is of another identity of the same split. Equal bytes for any
// number of threads. `directory` is made if needed and must be empty; a split has no identity, or
// at least two. `written` is called with the number of pictures done. Throws Error(kInput) where
// that or writing fails.
void write_dataset(const std::filesystem::path& directory, const DatasetOptions& options,
                   const kernels::Exec& exec, const std::function<void(int64_t)>& written = {});

}  // namespace verace::data::faces
