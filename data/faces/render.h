// Draws a person: the light that reaches the camera, before lens and sensor.
#pragma once

#include "data/faces/model.h"

namespace verace::data::faces {

// size x size colours in linear light; 2 x 2 rays per pixel. Depends on nothing but the arguments:
// equal on every machine.
Picture render(const Person& person, const Shot& shot, int64_t size);

}  // namespace verace::data::faces
