// Event files for TensorBoard: checksums against published values, frames, tags, values, appending.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/lib/run_folder.h"
#include "apps/lib/tensorboard/record.h"
#include "apps/lib/tensorboard/run_events.h"
#include "tests/apps/training_support.h"
#include "tests/support/event_reader.h"
#include "tests/support/faults.h"

namespace verace::apps::tensorboard_test {
namespace {

using Json = nlohmann::json;
using tensorboard::event_file;

EpochMetrics sample(int64_t epoch) {
  EpochMetrics m;
  const auto e = static_cast<double>(epoch);
  m.epoch = epoch;
  m.train_loss = 0.7 / e;
  m.train_accuracy = 0.5 + 0.01 * e;
  m.val = SplitMetrics{0.61 / e, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76,
                       0.16,     0.06, 0.51, 0.77, 0.78, 0.17, 0.07};
  m.test = SplitMetrics{0.62 / e, 0.81, 0.82, std::nullopt, 0.84, std::nullopt};
  m.seconds = 12.5 + e;
  m.images_per_second = 33.25;
  m.loader_wait_share = 0.015625;
  m.learning_rate = 1e-4;
  m.wall_time = 1.7e9 + 60.25 * e;
  return m;
}

std::vector<EpochMetrics> history(int64_t epochs) {
  std::vector<EpochMetrics> all;
  for (int64_t i = 1; i <= epochs; ++i) all.push_back(sample(i));
  return all;
}

// What metrics.jsonl says of an epoch, as tags.
std::map<std::string, float> expected_scalars(const EpochMetrics& epoch) {
  std::map<std::string, float> expected;
  const Json line = Json::parse(to_json(epoch));
  for (const auto& [key, value] : line.items()) {
    if (key == "epoch" || key == "wall_time" || value.is_null()) continue;
    std::string tag = "speed/" + key;
    for (const std::string split : {"train", "val", "test"}) {
      if (key.starts_with(split + "_")) tag = split + "/" + key.substr(split.size() + 1);
    }
    if (key == "learning_rate") tag = "train/learning_rate";
    expected[tag] = value.get<float>();
  }
  return expected;
}

// Whether `file` is what TensorBoard must find of these epochs.
bool holds(const std::string& file, const std::vector<EpochMetrics>& epochs) {
  std::vector<test::ReadEvent> events;
  try {
    events = test::read_events(file);
  } catch (const std::runtime_error&) {
    return false;
  }
  if (events.size() != epochs.size() + 1) return false;
  if (events[0].version != "brain.Event:2" || !events[0].scalars.empty()) return false;
  if (events[0].wall_time != epochs[0].wall_time) return false;
  for (size_t i = 0; i < epochs.size(); ++i) {
    const test::ReadEvent& event = events[i + 1];
    const auto expected = expected_scalars(epochs[i]);
    const std::map<std::string, float> got(event.scalars.begin(), event.scalars.end());
    if (event.step != epochs[i].epoch || event.wall_time != epochs[i].wall_time ||
        !event.version.empty() || got.size() != event.scalars.size() || got != expected) {
      return false;
    }
  }
  return true;
}

TEST_CASE("checksums have the published values") {
  // "Check" of CRC-32/ISCSI in the catalogue of parametrised CRC algorithms.
  CHECK(tensorboard::crc32c("123456789") == 0xE3069283u);
  CHECK(test::crc32c_by_division("123456789") == 0xE3069283u);
  // RFC 3720, appendix B.4, whose bytes are in the order of sending: the lowest first.
  std::string rising(32, '\0'), falling(32, '\0');
  for (int i = 0; i < 32; ++i) {
    rising[static_cast<size_t>(i)] = static_cast<char>(i);
    falling[static_cast<size_t>(i)] = static_cast<char>(31 - i);
  }
  CHECK(tensorboard::crc32c(std::string(32, '\0')) == 0x8A9136AAu);
  CHECK(tensorboard::crc32c(std::string(32, '\xFF')) == 0x62A8AB43u);
  CHECK(tensorboard::crc32c(rising) == 0x46DD794Eu);
  CHECK(tensorboard::crc32c(falling) == 0x113FDB5Cu);
  CHECK(tensorboard::crc32c("") == 0);
  CHECK(test::crc32c_by_division(falling) == 0x113FDB5Cu);
  // The mask, by hand: 0xE3069283 rotated right by 15 is 0x2507C60D.
  CHECK(tensorboard::masked_crc32c("123456789") == 0x2507C60Du + 0xA282EAD8u);
}

TEST_CASE("a record is framed to the byte") {
  std::string out;
  tensorboard::append_record(out, "abc");
  REQUIRE(out.size() == 8 + 4 + 3 + 4);
  CHECK(out.substr(0, 8) == std::string("\x03\0\0\0\0\0\0\0", 8));
  CHECK(out.substr(12, 3) == "abc");
  CHECK(test::read_records(out) == std::vector<std::string>{"abc"});
  tensorboard::append_record(out, "");
  tensorboard::append_record(out, std::string(300, 'x'));
  CHECK(test::read_records(out).size() == 3);
}

TEST_CASE("an event is written to the byte") {
  const std::vector<tensorboard::Scalar> one = {{"a/b", 0.5}};
  // key 0x09, the double 1; key 0x10, 300 as varint; key 0x2A, 12 bytes of summary; key 0x0A, 10
  // bytes of value: key 0x0A, "a/b"; key 0x15, the float 0.5.
  const std::string expected(
      "\x09\0\0\0\0\0\0\xF0\x3F\x10\xAC\x02\x2A\x0C\x0A\x0A\x0A\x03"
      "a/b\x15\0\0\0\x3F",
      26);
  CHECK(tensorboard::scalar_event(1, 300, one) == expected);
  CHECK(tensorboard::scalar_event(1, 1, {}).empty());
  CHECK_THROWS_AS(tensorboard::scalar_event(1, -1, one), Error);
}

TEST_CASE("the file holds what metrics.jsonl holds") {
  const auto epochs = history(3);
  CHECK(holds(event_file(epochs), epochs));
  const auto events = test::read_events(event_file(epochs));
  CHECK(events[1].scalars.size() == 3 + 14 + 4 + 3);
  CHECK(events[1].scalars[0] == std::pair<std::string, float>("train/loss", 0.7f));
  CHECK(event_file(epochs) == event_file(history(3)));
  CHECK(event_file(epochs).starts_with(event_file(history(2))));
}

TEST_CASE("what is no number is left out") {
  auto epochs = history(1);
  epochs[0].train_loss = std::numeric_limits<double>::infinity();
  epochs[0].val->auc = std::nan("");
  epochs[0].test->loss = 1e300;  // no float
  epochs[0].test->auc = std::nullopt;
  const auto events = test::read_events(event_file(epochs));
  REQUIRE(events.size() == 2);
  CHECK(events[1].scalars.size() == 3 + 14 + 4 + 3 - 3);
  for (const auto& [tag, value] : events[1].scalars) {
    INFO(tag);
    CHECK(std::isfinite(value));
    CHECK(tag != "train/loss");
    CHECK(tag != "val/auc");
    CHECK(tag != "test/loss");
    CHECK(tag != "test/auc");
  }
}

TEST_CASE("faults in the file are noticed") {
  const auto epochs = history(2);
  const std::string good = event_file(epochs);
  const std::vector<std::string> records = test::read_records(good);
  const auto framed = [&](auto frame) {
    std::string file;
    for (const std::string& record : records) frame(file, record);
    return file;
  };
  const auto number = [](std::string& out, uint64_t value, int bytes) {
    tensorboard::append_little_endian(out, value, bytes);
  };
  REQUIRE(framed(tensorboard::append_record) == good);
  test::expect_caught("checksums without mask",
                      holds(framed([&](std::string& out, const std::string& data) {
                              std::string length;
                              number(length, data.size(), 8);
                              out += length;
                              number(out, tensorboard::crc32c(length), 4);
                              out += data;
                              number(out, tensorboard::crc32c(data), 4);
                            }),
                            epochs));
  test::expect_caught("big-endian lengths",
                      holds(framed([&](std::string& out, const std::string& data) {
                              std::string length;
                              number(length, __builtin_bswap64(data.size()), 8);
                              out += length;
                              number(out, tensorboard::masked_crc32c(length), 4);
                              out += data;
                              number(out, tensorboard::masked_crc32c(data), 4);
                            }),
                            epochs));
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string damaged = good;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    test::expect_caught("one bit of byte " + std::to_string(at), holds(damaged, epochs));
  }
  auto late = epochs;
  for (EpochMetrics& epoch : late) ++epoch.epoch;
  test::expect_caught("steps from 2", holds(event_file(late), epochs));
  auto swapped = epochs;
  std::swap(swapped[1].val, swapped[1].test);
  test::expect_caught("val and test exchanged", holds(event_file(swapped), epochs));
  auto twice = epochs;
  twice.push_back(twice.back());
  test::expect_caught("a step twice", holds(event_file(twice), epochs));
}

TEST_CASE("the file grows at its end, and is made anew where it differs") {
  const TempFolder temp;
  const auto path = temp / "run/tensorboard/events.out.tfevents.verace";
  const auto write = [&](const std::vector<EpochMetrics>& epochs) {
    tensorboard::write_events(path, epochs);
    return read_text(path);
  };
  CHECK(holds(write(history(1)), history(1)));
  // A reader that has opened the file sees what comes: TensorBoard does not open it again.
  std::ifstream reader(path, std::ios::binary);
  const std::string before(std::istreambuf_iterator<char>(reader), {});
  CHECK(holds(write(history(3)), history(3)));
  reader.clear();
  const std::string after(std::istreambuf_iterator<char>(reader), {});
  CHECK(before + after == event_file(history(3)));
  CHECK(holds(write(history(3)), history(3)));  // nothing new
  // A process ended in the middle of appending.
  for (const size_t length : {size_t{0}, size_t{5}, before.size() + 9}) {
    test::write_text(path, event_file(history(3)).substr(0, length));
    CHECK(holds(write(history(3)), history(3)));
  }
  CHECK(holds(write(history(2)), history(2)));  // an earlier checkpoint goes on
  auto other = history(3);
  other[0].train_loss = 3;
  CHECK(holds(write(other), other));
  const auto folder = temp / "run/tensorboard";
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
}

TEST_CASE("what is in the way is named") {
  const TempFolder temp;
  test::write_text(temp / "tensorboard", "x");
  std::filesystem::create_directories(temp / "other/events");
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"tensorboard/events", "tensorboard"}, {"other/events", "other/events"}};
  for (const auto& [path, named] : cases) {
    const std::string message =
        input_error([&] { tensorboard::write_events(temp / path, history(1)); });
    CHECK(message.starts_with((temp / named).string() + ": "));
    CHECK(contains(message, "move away"));
  }
}

TEST_CASE("a run that is stopped and resumed has each step once") {
  const TempFolder folder;
  TrainOptions part = tiny_run(folder / "run", true);
  part.max_steps = 6;  // in the second epoch
  trained(part);
  const RunFolder run(folder / "run", true);
  const auto recorded = [&] {
    std::vector<EpochMetrics> epochs;
    std::istringstream lines(read_text(run.metrics()));
    for (std::string line; std::getline(lines, line);) {
      epochs.push_back(epoch_from_json(line, "metrics.jsonl"));
    }
    return epochs;
  };
  REQUIRE(recorded().size() == 1);
  CHECK(holds(read_text(run.events()), recorded()));
  const std::string first = read_text(run.events());
  TrainOptions resume;
  resume.resume = run.last();
  resume.quiet = true;
  trained(resume);
  REQUIRE(recorded().size() == 2);
  CHECK(holds(read_text(run.events()), recorded()));
  CHECK(read_text(run.events()).starts_with(first));
  CHECK(recorded()[1].wall_time > recorded()[0].wall_time);
  CHECK(recorded()[0].wall_time > 1.7e9);  // 2023
}

}  // namespace
}  // namespace verace::apps::tensorboard_test
