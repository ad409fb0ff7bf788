// Reports about a weight file for people (a table) and programs (JSON).
#pragma once

#include <optional>
#include <string>

#include "weights/model_description.h"
#include "weights/weight_file.h"

namespace verace::weights {

// What looking at a file has shown.
struct Inspection {
  const WeightFile& file;
  std::optional<ModelDescription> network;  // empty: it was refused
  std::string refusal;                      // why; one line
  std::string mismatch;  // of the tensors with the network (find_mismatch); empty: all are there
  // Of the file with itself (safetensors_checksum.h): "right", "wrong", empty where there is none.
  std::string checksum;

  // Whether a command would take the file as a network, or as one's backbone.
  bool is_usable() const { return network && mismatch.empty() && checksum != "wrong"; }
};

// Reads the whole file where it has a checksum, else only its header. `file` must outlive what is
// returned.
Inspection inspect(const WeightFile& file, const Overrides& overrides = {});

// Lines of text: the format, the tensors (name, what the file calls it where that differs, dtype,
// shape, bytes and, with `statistics`, min, max, mean of the finite elements and how many are not
// finite), totals, metadata, whether the checksum is right, and the network's findings with their
// source, or why it is refused. Statistics read the whole file.
std::string inspect_table(const Inspection& seen, bool statistics = false);

// The same as a JSON object: file, format, bytes, metadata {...}, checksum "right", "wrong" or
// null, tensors [...], network {...} or null, findings [...], refusal and mismatch (a text or
// null), usable.
std::string inspect_json(const Inspection& seen, bool statistics = false);

}  // namespace verace::weights
