// Every variant on every small shape, against the reference implementation.
#include "bench/kernels/laboratory/proof.h"

#include <algorithm>
#include <exception>

#include "kernels/check.h"

namespace verace::laboratory {
namespace {

std::vector<Values> outputs_of_run(Problem& problem, size_t variant) {
  problem.reset();
  problem.run(variant, nullptr);
  wait_for_device();
  return problem.outputs();
}

bool same_bits(const std::vector<Values>& a, const std::vector<Values>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Values& x, const Values& y) { return x.bytes == y.bytes; });
}

// What is wrong with this variant; empty: nothing. Raises `used`.
std::string check_variant(Problem& problem, size_t variant, const std::vector<Values>& want,
                          double& used) {
  const std::vector<Values> got = outputs_of_run(problem, variant);
  const test::Verdict verdict = judge(got, want);
  if (!verdict.ok) return verdict.message;
  used = std::max(used, verdict.used);
  const std::string damage = problem.damage();
  if (!damage.empty()) return damage;
  if (!same_bits(outputs_of_run(problem, variant), got)) return "two runs differ";
  return "";
}

// An access out of bounds on a GPU ends the use of the device by this process.
void require_usable_device(const Proof& proof) {
  try {
    wait_for_device();
    device_bytes(256);
  } catch (const std::exception&) {
    fail_check("usable device", __FILE__, __LINE__,
               proof.operation + " " + proof.type + ", variant '" + proof.variant +
                   "': " + proof.failed +
                   "; this process cannot use the device any more. The emulated "
                   "build of this program names the line; --without leaves the variant out");
  }
}

std::vector<Proof>::iterator find_or_add(std::vector<Proof>& proofs, const Description& what,
                                         const std::string& variant) {
  const auto same = [&](const Proof& p) {
    return p.operation == what.operation && p.type == what.type && p.variant == variant;
  };
  const auto found = std::find_if(proofs.begin(), proofs.end(), same);
  if (found != proofs.end()) return found;
  return proofs.insert(proofs.end(), Proof{what.operation, what.type, variant, 0, 0, ""});
}

}  // namespace

std::vector<Proof> prove(const Problems& problems, const std::string& without) {
  std::vector<Proof> proofs;
  for (const auto& problem : problems) {
    const std::vector<std::string> names = problem->variants();
    const std::vector<Values> want = problem->answer(kernels::DeviceKind::kReference);
    for (const int64_t shift : {0, 1}) {
      problem->prepare(shift);
      for (size_t variant = 0; variant < names.size(); ++variant) {
        if (!without.empty() && names[variant] == without) continue;
        Proof& proof = *find_or_add(proofs, problem->what(), names[variant]);
        if (!proof.ok()) continue;
        ++proof.runs;
        try {
          proof.failed = check_variant(*problem, variant, want, proof.used);
        } catch (const std::exception& error) {
          proof.failed = error.what();
          require_usable_device(proof);
        }
        if (!proof.ok()) {
          proof.failed =
              problem->what().shape + (shift != 0 ? " (unaligned)" : "") + ": " + proof.failed;
        }
      }
      problem->release();
    }
  }
  return proofs;
}

const Proof& proof_of(const std::vector<Proof>& proofs, const Description& what,
                      const std::string& variant) {
  const auto found = std::find_if(proofs.begin(), proofs.end(), [&](const Proof& p) {
    return p.operation == what.operation && p.type == what.type && p.variant == variant;
  });
  VERACE_CHECK(found != proofs.end(),
               what.operation + " " + what.type + ": '" + variant + "' was not proven");
  return *found;
}

}  // namespace verace::laboratory
