// Keras' files through WeightFile: our names, our order of axes, every value.
#include <set>

#include "tests/weights/keras_files.h"
#include "weights/weight_file.h"

namespace verace::weights::keras_file_test {
namespace {

std::string path_of(const std::string& name) { return std::string(VERACE_GOLDENS) + "/h5/" + name; }

// Elements that are not what make_h5.py wrote under the name `keras`, found through our shape.
size_t wrong_through_strides(const WeightFile& file, const TensorView& tensor,
                             const std::string& keras) {
  const std::vector<float> values = file.read_f32(tensor.name);
  const std::vector<int64_t>& s = tensor.shape;
  size_t wrong = 0;
  for (size_t at = 0; at < values.size(); ++at) {
    size_t stored = at;  // a vector
    const auto rest = static_cast<int64_t>(at);
    if (s.size() == 2) {
      const int64_t o = rest / s[1], i = rest % s[1];
      stored = static_cast<size_t>(i * s[0] + o);
    } else if (s.size() == 4) {
      const int64_t w = rest % s[3], h = rest / s[3] % s[2], i = rest / (s[3] * s[2]) % s[1],
                    o = rest / (s[3] * s[2] * s[1]);
      stored = static_cast<size_t>(((h * s[3] + w) * s[1] + i) * s[0] + o);
    }
    if (static_cast<double>(values[at]) != keras_value(keras, stored)) ++wrong;
  }
  return wrong;
}

void check_network(const std::string& name, NameFamily family, int64_t classes) {
  const WeightFile file(path_of(name));
  CHECK(file.format() == Format::kKerasHdf5);
  CHECK(file.naming().family == family);
  const ModelDescription d = describe(file);
  CHECK(d.width == 1.0 / 32);
  CHECK(d.stem_channels == 2);
  CHECK(d.classes == classes);
  CHECK(d.conv_bias_present);
  CHECK(find_mismatch(file, d) == "");
  // The parser's own names for the same tensors, in the same order.
  const std::string bytes = keras_file(name);
  const TensorTable raw = parse_keras(bytes);
  REQUIRE(raw.tensors.size() == file.tensors().size());
  for (size_t i = 0; i < raw.tensors.size(); ++i) {
    const TensorView& tensor = file.tensors()[i];
    CHECK(tensor.stored_name == raw.tensors[i].stored_name);
    CHECK_MESSAGE(wrong_through_strides(file, tensor, raw.tensors[i].name) == 0, tensor.name);
  }
}

TEST_CASE("whole networks of both generations have every value where it belongs") {
  check_network("keras1_notop.h5", NameFamily::kOldKeras, 0);
  check_network("keras3_full.h5", NameFamily::kKeras, 10);
}

TEST_CASE("what a full model says of itself is metadata, the published layout is assumed") {
  const ModelDescription full = describe(WeightFile(path_of("keras3_full.h5")));
  std::set<std::string> assumed;
  for (const Finding& one : full.findings) {
    if (one.source == Source::kAssumption) assumed.insert(one.what);
  }
  CHECK(assumed == std::set<std::string>{"input scale"});
  CHECK(full.variant == Variant::kV1);
  CHECK(full.pool == PoolMode::kPadded);
  CHECK(full.bn_epsilon == 1.001e-5);
  CHECK(full.bn_momentum == 0.01);
  CHECK(full.running_variance == RunningVariance::kBiased);  // Keras 3
  const ModelDescription old = describe(WeightFile(path_of("keras1_notop.h5")));
  CHECK(old.bn_epsilon == 1e-3);
  CHECK(old.variant == Variant::kV1);
  CHECK(old.running_variance == RunningVariance::kUnbiased);
}

TEST_CASE("files that the parser refuses are refused by name") {
  const std::pair<const char*, const char*> cases[] = {{"gzip.h5", "compressed"},
                                                       {"soft_link.h5", "soft link"},
                                                       {"libver_latest.h5", "libver"},
                                                       {"not_keras.h5", "no Keras weights"}};
  for (const auto& [name, message] : cases) {
    const std::string error = input_error([&] { WeightFile file(path_of(name)); });
    CHECK_CONTAINS(error, name);
    CHECK_CONTAINS(error, message);
  }
}

}  // namespace
}  // namespace verace::weights::keras_file_test
