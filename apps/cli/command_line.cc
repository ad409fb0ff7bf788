// Command line on CLI11: commands, groups of commands, errors with the nearest known word.
#include "apps/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <new>  // NOLINT(raw-memory): for std::bad_alloc
#include <system_error>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

constexpr const char* kAbout =
    "Recognises deep-fake faces with ResNet-50: training, evaluation, prediction and attack.";
constexpr const char* kMore =
    "\n`verace COMMAND --help` explains a command and gives examples. Start with `verace demo`.";

// Levenshtein's distance, one row at a time.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row[b.size()];
}

// ", did you mean 'train'" for the nearest of `known`; empty if none is near.
std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  size_t least = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    if (const size_t d = distance(word, candidate); d < least) {
      least = d;
      best = candidate;
    }
  }
  return best.empty() ? "" : text::format(": did you mean {}?", best);
}

struct Parser {
  CLI::App app{kAbout, "verace"};
  std::vector<Command> commands;
  std::vector<std::unique_ptr<Flags>> flags;
  std::vector<CLI::App*> apps;  // one per command
  std::map<std::string, CLI::App*> groups;

  explicit Parser(std::vector<Command> all);
  int run(int argc, const char* const* argv);
  CLI::App* parent_of(const std::string& name);
  // The command that the words name, as far as they name one.
  const CLI::App* used_app() const;
  // Throws Error(kInput) for words and flags that nothing takes.
  void refuse_extras() const;
};

void style(CLI::App& app) {
  app.allow_extras();
  app.get_formatter()->column_width(30);
  app.set_help_flag("--help,-h", "Print this help");
}

// The app under which the last word of a command's name stands.
CLI::App* Parser::parent_of(const std::string& name) {
  const size_t space = name.find(' ');
  if (space == std::string::npos) return &app;
  const std::string group = name.substr(0, space);
  CLI::App*& made = groups[group];
  if (made != nullptr) return made;
  const std::string about = group == "attack"    ? "Fool a network with pictures"
                            : group == "dataset" ? "Look at data sets of videos"
                                                 : "Read, convert, compare and fetch weight files";
  made = app.add_subcommand(group, about);
  style(*made);
  return made;
}

Parser::Parser(std::vector<Command> all) : commands(std::move(all)) {
  style(app);
  app.footer(kMore);
  app.set_version_flag("--version", "verace " VERACE_VERSION, "Print the version");
  for (const Command& command : commands) {
    CLI::App* parent = parent_of(command.name);
    const std::string word = command.name.substr(command.name.rfind(' ') + 1);
    CLI::App* sub = parent->add_subcommand(word, command.summary);
    style(*sub);
    const std::string details = command.details.empty() ? "" : "\n" + command.details + "\n";
    sub->footer(details + "\nExamples:\n" + command.examples);
    apps.push_back(sub);
    flags.push_back(std::make_unique<Flags>(*sub));
    command.declare(*flags.back());
  }
}

const CLI::App* Parser::used_app() const {
  const CLI::App* used = &app;
  while (!used->get_subcommands().empty()) used = used->get_subcommands().front();
  return used;
}

void Parser::refuse_extras() const {
  if (app.remaining(true).empty()) return;
  const std::string word = app.remaining(true).front();
  const CLI::App& used = *used_app();
  std::string path = used.get_name();
  for (const CLI::App* up = used.get_parent(); up != nullptr; up = up->get_parent()) {
    path = up->get_name() + " " + path;
  }
  std::vector<std::string> known;
  if (word.starts_with('-')) {
    const std::string flag = word.substr(0, word.find('='));
    for (const CLI::Option* option : used.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    fail_input(text::format("there is no flag {}{} (`{} --help` lists them)", flag,
                            suggestion(flag, known), path));
  }
  for (const CLI::App* sub : used.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(sub->get_name());
  }
  if (known.empty()) {
    fail_input(text::format("'{}' was not expected here (see `{} --help`)", word, path));
  }
  fail_input(text::format("there is no command '{}'{} (`{} --help` lists them)", word,
                          suggestion(word, known), path));
}

int Parser::run(int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& e) {
    refuse_extras();
    return app.exit(e);
  } catch (const CLI::CallForVersion& e) {
    return app.exit(e);
  } catch (const CLI::ArgumentMismatch& e) {
    const std::string text = e.what();  // "--lr: 1 required X missing"
    fail_input(text.substr(0, text.find(':')) + ": needs a value (see --help)");
  } catch (const CLI::ParseError& e) {
    std::string text = e.what();
    std::ranges::replace(text, '\n', ' ');
    fail_input(text + " (see --help)");
  }
  refuse_extras();
  const CLI::App* used = used_app();
  const auto found = std::ranges::find(apps, used);
  if (found == apps.end()) {
    std::fputs(used->help().c_str(), stdout);
    return 0;
  }
  const auto i = static_cast<size_t>(found - apps.begin());
  flags[i]->apply();
  return commands[i].run(*flags[i]);
}

}  // namespace

int run_command_line(int argc, const char* const* argv, std::vector<Command> commands) {
  try {
    const int code = Parser(std::move(commands)).run(argc, argv);
    // Whoever redirects results must learn that they are not complete.
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      fail_input(
          "standard output: not all of it could be written: free some space there, or send it to "
          "another place");
    }
    return code;
  } catch (const Error& e) {
    std::fflush(stdout);
    if (e.kind() == ErrorKind::kInput) {
      text::print(stderr, "verace: {}\n", e.what());
      return kExitInput;
    }
    text::print(stderr, "verace: {}{}\n",
                e.kind() == ErrorKind::kDevice ? "" : "internal error, please report: ",
                one_line(e.what()));
  } catch (const std::bad_alloc&) {
    text::print(stderr, "verace: out of memory: use a smaller --batch\n");
  } catch (const std::filesystem::filesystem_error& e) {
    text::print(stderr, "verace: {}: {}: check the path and its permissions\n",
                one_line(e.path1().string()), e.code().message());
    return kExitInput;
  } catch (const std::system_error& e) {
    // Of a thread that could not be started.
    text::print(stderr, "verace: the system refuses a resource ({}): use fewer --threads and {}\n",
                one_line(e.what()), "--workers, or raise the limits (ulimit -a)");
  } catch (const std::exception& e) {
    text::print(stderr, "verace: internal error, please report: {}\n", one_line(e.what()));
  }
  return kExitInternal;
}

}  // namespace verace::cli
