// verace report through the real program, and the reports that train and demo write by themselves.
#include <nlohmann/json.hpp>

#include "apps/lib/model_file.h"
#include "apps/lib/weights_digest.h"
#include "data/synthetic.h"
#include "tests/cli/world.h"
#include "tests/support/xml.h"

namespace verace::report_test {
namespace {

using Json = nlohmann::json;
using test::contains;
using test::expect_refusal;
using test::parse_xml;
using test::read_text;
using test::Words;
using test::World;
namespace fs = std::filesystem;

TEST_CASE("train leaves a report with the figures of its own files") {
  const World& world = World::get();
  const test::Finished trained = world.run(world.train("reported", {"--epochs", "3"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(contains(trained.out, "report: " + world / "reported/report.html"));
  const std::string html = read_text(world / "reported/report.html");
  CHECK(parse_xml(html).error == "");
  // All but the attack is there.
  CHECK(contains(html, "Missing: the attack"));
  size_t missing = 0;
  for (size_t at = html.find("Missing"); at != std::string::npos; at = html.find("Missing", at + 1))
    ++missing;
  CHECK(missing == 1);
  // The evaluation is that of the best epoch, whose model is stored: as verace eval says (in
  // batches of the same size: with AVX2, other sizes are other products with other roundings).
  const test::Finished eval =
      world.run({"eval", "--model", world / "reported", "--data", world / "data", "--json",
                 "--threads", "1", "--quiet", "--batch", "8"});
  const Json said = Json::parse(eval.out);
  const Json kept = Json::parse(read_text(world / "reported/evaluation.json"));
  CHECK(kept["faces"] == said["faces"]);
  CHECK(kept["videos"] == said["videos"]);
  CHECK(kept["threshold"] == said["threshold"]);
  const Json run = Json::parse(read_text(world / "reported/run.json"));
  CHECK(run["version"] == 1);
  CHECK(run["kind"] == "train");
  CHECK(run["finished"] == true);
  CHECK(run["epochs"] == 3);
  CHECK(run["steps"] == 9);
  CHECK(run["train_pictures"] == 24);
  CHECK(run["seconds"].get<double>() > 0);
  CHECK(run["command"][1] == "train");
  CHECK(run["peak_memory"].get<int64_t>() > 1'000'000);
  const Json profile = Json::parse(read_text(world / "reported/profile.json"));
  CHECK(profile["training"]["pictures"] == 8);
  CHECK(profile["training"]["runs"] == 3);
  CHECK(profile["inference"]["runs"] == 3);
  double total = 0;
  for (const Json& operation : profile["training"]["operations"]) {
    total += operation["microseconds"].get<double>();
  }
  CHECK(total > 0);
  CHECK(total < 1e6 * run["seconds"].get<double>());
  CHECK(contains(html, text::format("{} operations", profile["training"]["operations"].size())));
}

TEST_CASE("the operating threshold of the report is the one that is stored with the model") {
  const World& world = World::get();
  data::SyntheticOptions pictures;
  pictures.size = 32;
  pictures.pictures_per_class = {8, 8, 6};
  data::write_synthetic_dataset(world / "with-val", pictures);
  const test::Finished trained =
      world.run(world.train("fpr", {"--data", world / "with-val", "--fpr", "0.25"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const Json kept = Json::parse(read_text(world / "fpr/evaluation.json"));
  CHECK(kept["threshold"]["source"] == "model");
  CHECK(kept["split"] == "test");
  const test::Finished eval =
      world.run({"eval", "--model", world / "fpr", "--data", world / "with-val", "--json",
                 "--threads", "1", "--quiet", "--batch", "8"});
  CHECK(kept["faces"] == Json::parse(eval.out)["faces"]);
  CHECK(contains(read_text(world / "fpr/report.html"), "false-positive rate of at most 0.25"));
}

TEST_CASE("report: an attack on the run joins it, --out leaves the run alone") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("attacked-run")).code == 0);
  REQUIRE(world
              .run({"attack", "fgsm", "--model", world / "attacked-run", "--data", world / "data",
                    "--epsilon", "0.1,0.01", "--out", world / "attacked-run/attack", "--quiet"})
              .code == 0);
  const std::string before = read_text(world / "attacked-run/report.html");
  const test::Finished report =
      world.run({"report", world / "attacked-run", "--out", world / "page"});
  INFO(report.err);
  REQUIRE(report.code == 0);
  CHECK(report.out == world / "page/report.html" + "\n");
  CHECK(report.err.empty());
  CHECK(read_text(world / "attacked-run/report.html") == before);
  const std::string html = read_text(world / "page/report.html");
  const test::XmlDocument page = parse_xml(html);
  CHECK(page.error == "");
  CHECK(html.find("Missing: the attack") == std::string::npos);
  CHECK(page.all("img").size() == 18);
  const Json attack = Json::parse(read_text(world / "attacked-run/attack/attack.json"));
  CHECK(contains(read_text(world / "page/figures/attack.csv"),
                 text::format("\n0.1,{}", attack["epsilons"][0]["accuracy_after"].get<double>())));
  CHECK(html.find("Another network") == std::string::npos);
  // The folder alone is enough: elsewhere it gives the same page, but for its name.
  fs::create_directories(world / "moved");
  fs::rename(world / "attacked-run", world / "moved/attacked-run");
  REQUIRE(world.run({"report", world / "moved/attacked-run"}).code == 0);
  CHECK(read_text(world / "moved/attacked-run/report.html") == html);
  // A threshold that is stored with the model leaves it the same network; other weights do not.
  const fs::path best = world / "moved/attacked-run/best.safetensors";
  const std::string digest = apps::weights_digest(best.string());
  CHECK(digest == attack["weights"]);
  const apps::LoadedModel model = apps::load_model(best.string());
  apps::save_model(best.string(), *model.classifier, apps::ChosenThresholds{});
  CHECK(apps::weights_digest(best.string()) == digest);
  fs::copy_file(world / "run/best.safetensors", best, fs::copy_options::overwrite_existing);
  CHECK(apps::weights_digest(best.string()) == digest);  // the same training
  REQUIRE(world.run(world.train("other-seed", {"--seed", "5"})).code == 0);
  fs::copy_file(world / "other-seed/best.safetensors", best, fs::copy_options::overwrite_existing);
  REQUIRE(world.run({"report", world / "moved/attacked-run"}).code == 0);
  CHECK(contains(read_text(world / "moved/attacked-run/report.html"), "Another network"));
}

TEST_CASE(
    "a new run in the folder has nothing of the old one's attack, and takes no one's figures") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("again")).code == 0);
  const fs::path attack = fs::path(world / "again") / "attack";
  const auto attack_it = [&] {
    return world
        .run({"attack", "fgsm", "--model", world / "again", "--data", world / "data", "--epsilon",
              "0.1", "--limit", "2", "--out", attack.string(), "--overwrite", "--quiet"})
        .code;
  };
  REQUIRE(attack_it() == 0);
  REQUIRE(world.run({"report", world / "again"}).code == 0);
  CHECK(contains(read_text(world / "again/report.html"), "left under attack"));
  CHECK(fs::exists(world / "again/figures/attack.svg"));
  test::write_text(world / "again/figures/mine.svg", "mine");
  const test::Finished trained = world.run(world.train("again", {"--overwrite", "--seed", "9"}));
  INFO(trained.out);
  REQUIRE(trained.code == 0);
  CHECK(contains(trained.out, "report: "));
  const std::string html = read_text(world / "again/report.html");
  CHECK(contains(html, "Missing: the attack"));
  CHECK(html.find("left under attack") == std::string::npos);
  CHECK_FALSE(fs::exists(attack / "attack.json"));
  CHECK_FALSE(fs::exists(attack / "attack.json.replaced"));
  CHECK(fs::exists(attack / "before"));
  CHECK_FALSE(fs::exists(world / "again/figures/attack.svg"));
  CHECK(fs::exists(world / "again/figures/roc.svg"));
  CHECK(read_text(world / "again/figures/mine.svg") == "mine");
  // A run that goes on: the network is another one now, and the page says so.
  REQUIRE(attack_it() == 0);
  const std::string best = read_text(world / "again/best.safetensors");
  for (const char* epochs : {"4", "8", "12"}) {
    REQUIRE(world.run({"train", "--resume", world / "again", "--epochs", epochs, "--quiet"}).code ==
            0);
    if (read_text(world / "again/best.safetensors") != best) break;
  }
  REQUIRE(read_text(world / "again/best.safetensors") != best);
  const std::string later = read_text(world / "again/report.html");
  CHECK(contains(later, "Another network"));
  CHECK(later.find("left under attack") == std::string::npos);
}

TEST_CASE("report --out into a folder of others' figures is refused") {
  const World& world = World::get();
  fs::create_directories(world / "thesis/figures");
  test::write_text(world / "thesis/figures/loss.svg", "mine");
  expect_refusal({"report", world / "run", "--out", world / "thesis"}, {"loss.svg", "--out"});
  CHECK(read_text(world / "thesis/figures/loss.svg") == "mine");
}

TEST_CASE("report refuses what is no run") {
  const World& world = World::get();
  expect_refusal({"report", world / "nowhere"}, {"nowhere", "is no folder", "verace train"});
  expect_refusal({"report", world / "data"}, {"holds no run", "verace train"});
  expect_refusal({"report", world / "run/config.toml"}, "is no folder");
  expect_refusal({"report", world / "run", "--out", world / "run/config.toml"}, "--out");
  expect_refusal({"report"}, "RUN");
}

TEST_CASE("a report that cannot be written costs a warning, not the run") {
  const World& world = World::get();
  fs::create_directories(world / "blocked");
  test::write_text(world / "blocked/figures", "a file in the way");
  const test::Finished trained = world.run(world.train("blocked", {"--overwrite"}));
  CHECK(trained.code == 0);
  CHECK(contains(trained.out, "WARNING: there is no report: "));
  CHECK(contains(trained.out, "done: "));
  CHECK(fs::exists(world / "blocked/best.safetensors"));
  CHECK(read_text(world / "blocked/figures") == "a file in the way");
}

TEST_CASE("a stopped run can be reported; a new run in its folder takes nothing over") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("part-report", {"--max-steps", "2", "--epochs", "2"})).code == 0);
  CHECK_FALSE(fs::exists(world / "part-report/report.html"));
  REQUIRE(world.run({"report", world / "part-report"}).code == 0);
  const std::string html = read_text(world / "part-report/report.html");
  CHECK(contains(html, "stopped before its end"));
  CHECK(contains(html, "Missing: the learning curve"));
  CHECK(contains(html, "Missing: times"));
  REQUIRE(world.run({"train", "--resume", world / "part-report", "--quiet"}).code == 0);
  CHECK(read_text(world / "part-report/report.html").find("stopped before") == std::string::npos);
  REQUIRE(world.run(world.train("part-report", {"--overwrite", "--max-steps", "1"})).code == 0);
  for (const char* old : {"report.html", "evaluation.json", "profile.json"}) {
    INFO(std::string(old));
    CHECK_FALSE(fs::exists(world / (std::string("part-report/") + old)));
  }
}

}  // namespace
}  // namespace verace::report_test
