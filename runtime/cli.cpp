#include "runtime/cli.hpp"

#include "model/first_line.hpp"
#include "runtime/output.hpp"

#include <charconv>
#include <exception>
#include <iostream>
#include <limits>
#include <vector>

namespace skippipe::runtime {

namespace {

/// Names that could have stood where `word` stands.
std::string suggestion(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty())
    at = at->get_subcommands().front();
  if (word.starts_with("-")) {
    for (const auto* option : at->get_options())
      for (const auto& name : option->get_lnames())
        names.push_back("--" + name);
  } else {
    for (const auto* sub : at->get_subcommands([](const CLI::App*) { return true; }))
      names.push_back(sub->get_name());
  }
  const auto near = nearest_name(word, names);
  return near.empty() ? "" : ", did you mean '" + near + "'?";
}

/// Whoever reads what did not get out must not take the command for done.
int with_output(int code) {
  const auto problem = output_problem();
  if (problem.empty())
    return code;
  std::cerr << "skippipe: " << problem << '\n';
  return code != 0 ? code : 1;
}

} // namespace

CLI::Validator at_least(std::uint64_t least) {
  return CLI::Validator(
      [least](const std::string& text) -> std::string {
        constexpr auto most = std::numeric_limits<std::int64_t>::max();
        std::int64_t value = 0;
        const auto end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, value);
        if (read.ec == std::errc{} && read.ptr == end && value >= static_cast<std::int64_t>(least))
          return {};
        return "expected an integer in " + std::to_string(least) + ".." + std::to_string(most)
               + ", got '" + text + "'";
      },
      "");
}

int run_cli(int argc, char** argv, const std::function<void(CLI::App&, command_context&)>& add) {
  CLI::App app{"Trains language models through skipped and reordered pipelines."};
  app.name("skippipe");
  app.set_version_flag("--version", "skippipe " SKIPPIPE_VERSION);
  app.require_subcommand(1);
  command_context context;
  add(app, context);
  try {
    app.parse(argc, argv);
    return with_output(context.run ? context.run() : 0);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0)
      return with_output(app.exit(error)); // --help, --version
    // A word that nothing took says more than the requirement it left unmet.
    const auto words = app.remaining(true);
    const auto what = words.empty()
                          ? std::string{error.what()}
                          : "unknown word '" + words.front() + "'" + suggestion(app, words.front());
    std::cerr << "skippipe: " << what << " (--help lists what there is)\n";
    return exit_usage;
  } catch (const command_error& error) {
    std::cerr << "skippipe: " << error.what() << '\n';
    return error.code();
  } catch (const std::exception& error) {
    std::cerr << "skippipe: " << model::first_line(error.what()) << '\n';
    return 1;
  }
}

} // namespace skippipe::runtime
