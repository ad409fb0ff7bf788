// Names, and one sample more for each real one.
#include "data/pseudo_fakes/samples.h"

#include "kernels/check.h"

namespace verace::data {

std::string pseudo_fake_video(const std::string& real_video) { return real_video + "~pseudo-fake"; }

std::string pseudo_fake_identity(const Sample& real) {
  return real.identity.empty() ? real.video : real.identity;
}

Sample pseudo_fake_of(const Sample& real) {
  VERACE_CHECK(real.label == kReal && !real.pseudo_fake && real.landmarks);
  Sample fake = real;
  fake.label = kFake;
  fake.pseudo_fake = true;
  fake.video = pseudo_fake_video(real.video);
  fake.identity = pseudo_fake_identity(real);
  return fake;
}

PseudoFakesAdded add_pseudo_fakes(Dataset& dataset, Split split) {
  PseudoFakesAdded result;
  const size_t count = dataset.samples.size();
  for (size_t i = 0; i < count; ++i) {
    const Sample& sample = dataset.samples[i];
    if (sample.split != split || sample.label != kReal) continue;
    if (!sample.landmarks) {
      ++result.without_landmarks;
      continue;
    }
    dataset.samples.push_back(pseudo_fake_of(Sample(sample)));
    ++result.added;
  }
  return result;
}

}  // namespace verace::data
