// Encoding frames, and putting them into a container.
#pragma once

#include <memory>

#include "data/video/library.h"

namespace verace::data::video {

// As Library::encode().
std::unique_ptr<Encoder> make_encoder(ByteSink& sink, const EncoderOptions& options);

}  // namespace verace::data::video
