// Records of outputs: one line of JSON, then the bytes; and how far two files differ.
#include "bench/kernels/laboratory/outputs_file.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "kernels/check.h"

namespace verace::laboratory {
namespace {

using nlohmann::json;

struct Record {
  std::string operation, type, shape;
  Values values;
  std::string key() const { return operation + " " + type + " " + shape + " " + values.name; }
};

void write(std::ofstream& out, const Description& what, const Values& v) {
  out << json{{"operation", what.operation},
              {"type", what.type},
              {"shape", what.shape},
              {"name", v.name},
              {"element", name_of(v.type)},
              {"bytes", v.bytes.size()},
              {"absolute", v.tolerance.absolute},
              {"relative", v.tolerance.relative}}
      << "\n";
  out.write(reinterpret_cast<const char*>(v.bytes.data()),
            static_cast<std::streamsize>(v.bytes.size()));
  out << "\n";
}

ElementType element_named(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(ElementType::kUint8); ++i) {
    const auto type = static_cast<ElementType>(i);
    if (name == name_of(type)) return type;
  }
  fail_input("unknown element type '" + name + "'");
}

std::vector<Record> read(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) fail_input("cannot read " + file);
  std::vector<Record> all;
  std::string line;
  while (std::getline(in, line)) {
    const json j = json::parse(line, nullptr, false);
    if (j.is_discarded()) fail_input(file + " is no file of kernel outputs, or damaged");
    Record r{j["operation"].get<std::string>(),
             j["type"].get<std::string>(),
             j["shape"].get<std::string>(),
             {}};
    r.values.name = j["name"].get<std::string>();
    r.values.type = element_named(j["element"].get<std::string>());
    r.values.tolerance = {j["absolute"].get<double>(), j["relative"].get<double>(), ""};
    r.values.bytes.resize(j["bytes"].get<size_t>());
    in.read(reinterpret_cast<char*>(r.values.bytes.data()),
            static_cast<std::streamsize>(r.values.bytes.size()));
    if (!std::getline(in, line) || !line.empty()) fail_input(file + " ends too early");
    all.push_back(std::move(r));
  }
  if (all.empty()) fail_input(file + " holds no outputs");
  return all;
}

// Bits of a floating-point number as an integer that counts the representable numbers in order.
template <class Bits, class Signed>
int64_t ordered(Bits bits) {
  constexpr Bits kSign = Bits{1} << (8 * sizeof(Bits) - 1);
  const auto magnitude =
      static_cast<int64_t>(static_cast<Signed>(bits & static_cast<Bits>(~kSign)));
  return (bits & kSign) != 0 ? -magnitude : magnitude;
}

struct Difference {
  int64_t elements = 0, differing = 0;
  double ulps = 0;    // largest
  double used = 0;    // largest share of what is allowed
  std::string worst;  // shape and output of that
  std::string failed;
};

template <class Bits, class Signed>
void count_ulps(const Values& got, const Values& want, Difference& d) {
  const auto a = got.as<Bits>(), b = want.as<Bits>();
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    ++d.differing;
    const auto x = static_cast<double>(ordered<Bits, Signed>(a[i]));
    const auto y = static_cast<double>(ordered<Bits, Signed>(b[i]));
    d.ulps = std::max(d.ulps, std::abs(x - y));
  }
}

void count_differences(const Values& got, const Values& want, Difference& d) {
  switch (want.type) {
    case ElementType::kDouble:
      return count_ulps<uint64_t, int64_t>(got, want, d);
    case ElementType::kFloat:
      return count_ulps<uint32_t, int32_t>(got, want, d);
    case ElementType::kHalf:
    case ElementType::kBFloat16:
      return count_ulps<uint16_t, int16_t>(got, want, d);
    default:
      d.differing += got.bytes == want.bytes ? 0 : 1;
  }
}

void add(const Record& got, const Record& want, Difference& d) {
  d.elements += want.values.count();
  if (got.values.bytes.size() != want.values.bytes.size()) {
    d.failed = want.shape + ": sizes differ";
    return;
  }
  count_differences(got.values, want.values, d);
  Values allowed = got.values;
  allowed.tolerance = {2 * want.values.tolerance.absolute, 2 * want.values.tolerance.relative,
                       "each side may use its tolerance"};
  const test::Verdict verdict = judge({allowed}, {widened(want.values)});
  if (!verdict.ok && d.failed.empty()) d.failed = want.shape + ": " + verdict.message;
  if (verdict.ok && verdict.used > d.used) {
    d.used = verdict.used;
    d.worst = want.shape + " " + want.values.name;
  }
}

void print(const std::string& name, const Difference& d) {
  std::printf("%-40s %9lld elements  ", name.c_str(), static_cast<long long>(d.elements));
  if (!d.failed.empty()) {
    std::printf("FAILED: %s\n", d.failed.c_str());
  } else if (d.differing == 0) {
    std::printf("bit-equal\n");
  } else {
    std::printf("%lld differ, by at most %.0f ulp; %.0f %% of what is allowed (%s)\n",
                static_cast<long long>(d.differing), d.ulps, 100 * d.used, d.worst.c_str());
  }
}

json of(const std::string& name, const Difference& d) {
  json j{{"kernel", name},
         {"elements", d.elements},
         {"differing", d.differing},
         {"max_ulp", d.ulps},
         {"share_of_tolerance", d.used},
         {"worst", d.worst},
         {"bit_equal", d.differing == 0}};
  if (!d.failed.empty()) j["failed"] = d.failed;
  return j;
}

}  // namespace

void write_outputs(const Problems& problems, const std::string& file) {
  std::ofstream out(file, std::ios::binary);
  std::set<std::string> names;
  for (const auto& problem : problems) {
    const Description& what = problem->what();
    VERACE_CHECK(names.insert(what.operation + what.type + what.shape).second,
                 "two problems are called " + what.operation + " " + what.shape);
    problem->prepare(0);
    problem->run(0, nullptr);
    wait_for_device();
    for (const Values& v : problem->outputs()) write(out, problem->what(), v);
    problem->release();
  }
  if (!out.flush()) fail_input("cannot write " + file);
  std::printf("outputs of %zu problems written\n", problems.size());
}

bool compare_outputs(const std::string& got_file, const std::string& want_file,
                     const std::string& json_file) {
  std::map<std::string, Record> got;
  for (Record& r : read(got_file)) got.emplace(r.key(), std::move(r));
  std::map<std::string, Difference> differences;
  for (const Record& want : read(want_file)) {
    Difference& d = differences[want.operation + " " + want.type];
    const auto found = got.find(want.key());
    if (found == got.end()) {
      d.failed = "missing in " + got_file + ": " + want.key();
    } else {
      add(found->second, want, d);
      got.erase(found);
    }
  }
  for (const auto& [key, record] : got) {
    differences[record.operation + " " + record.type].failed = "missing in " + want_file;
  }
  json all = json::array();
  size_t failed = 0, equal = 0;
  for (const auto& [name, d] : differences) {
    print(name, d);
    all.push_back(of(name, d));
    failed += d.failed.empty() ? 0 : 1;
    equal += d.failed.empty() && d.differing == 0 ? 1 : 0;
  }
  std::printf("%zu kernels: %zu bit-equal, %zu within tolerance, %zu failed\n", differences.size(),
              equal, differences.size() - equal - failed, failed);
  if (!json_file.empty()) std::ofstream(json_file) << all.dump(1) << "\n";
  return failed == 0;
}

}  // namespace verace::laboratory
