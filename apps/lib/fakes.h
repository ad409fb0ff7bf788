// A data set of real faces and pseudo-fakes of them (data/pseudo_fakes/), as files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apps/lib/face_detector.h"
#include "data/dataset.h"
#include "kernels/exec.h"

namespace verace::apps {

struct FakesOptions {
  // A manifest of faces, a data set's folder (train, val, test), or a folder of pictures, which
  // are all taken as real then. Fakes in it are left out.
  std::filesystem::path input;
  std::filesystem::path out;  // made; must be empty
  int64_t per_face = 1;       // pseudo-fakes of each real face, from 1
  uint64_t seed = 1;
  int jpeg_quality = 0;  // of all pictures, 1..100; 0: PNG without loss, and the real files' bytes
};

struct FakesResult {
  data::ClassCounts counts{};         // of what was written
  int64_t fakes_ignored = 0;          // of the input
  std::vector<std::string> left_out;  // one line each: pictures of which nothing could be made
};

// Writes, for each real face with landmarks (or whose landmarks `finder` finds: those of the
// largest face), out/real/NUMBER.* and out/fake/NUMBER[-K].png or .jpg, a contact sheet
// (out/sheet.png: real, mask, fake of the first ones) and at the end out/faces.csv, a manifest of
// faces; where the input's crops are known (crop_record.h), also out/faces.json. A fake's split and
// identity are those of the real face (where that is unknown, both get the real video's name), its
// video is named apart (data/pseudo_fakes/samples.h).
//
// Both classes went through the same steps: with a quality, all pictures are compressed anew; else
// the real ones are the input's bytes, and the fakes equal them outside of the masks. NUMBER is the
// sample's place in the input, and the seed of its fakes (with options.seed and K). Equal bytes for
// any number of threads. `done` is called with the number of faces done. finder may be null.
//
// Throws Error(kInput) where the input cannot be read or holds no real face, where writing fails,
// and where of no face anything can be made.
FakesResult write_fakes(const FakesOptions& options, FaceFinder* finder, const kernels::Exec& exec,
                        const std::function<void(int64_t, int64_t)>& done = {});

}  // namespace verace::apps
