// Copies of checkpoints on other nodes: held whole or not at all, chosen the same way every time, and what
// a run goes on from when the scheduler's own are lost.
#include "model/checkpoint_folder.hpp"
#include "runtime/daemon/copy_holder.hpp"
#include "runtime/daemon/copy_recovery.hpp"
#include "runtime/daemon/copy_shelf.hpp"

#include "../model/files_checkpoint_fixture.hpp"
#include "scratch_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <set>

using namespace skippipe;
using namespace skippipe::runtime::daemon;
using skippipe::runtime::testing::scratch_folder;
namespace fs = std::filesystem;

namespace {

/// The scheduler's side: a checkpoint and who serves it.
struct source {
  fs::path folder;
  file_set set;
  file_shelf shelf;

  source(const fs::path& root, std::uint64_t iteration)
      : folder(small_checkpoint{}.write(root, iteration)), set(checkpoint_files(folder)) {
    shelf.put(set, folder);
  }
  part_fetcher fetch() {
    return [this](const file_part_request& wanted) { return shelf.read(wanted); };
  }
};

void damage(const fs::path& file) {
  std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
  bytes.seekg(-1, std::ios::end);
  const char last = static_cast<char>(bytes.get());
  bytes.seekp(-1, std::ios::end);
  bytes.put(static_cast<char>(last ^ 1));
}

bool has(const copy_shelf& shelf, const file_set& set) {
  return shelf.read({set.id, model::manifest_name, 0}).error.empty();
}

/// A fetcher that reads what a node holds.
part_fetcher from(const copy_shelf& shelf) {
  return [&shelf](const file_part_request& wanted) { return shelf.read(wanted); };
}

} // namespace

TEST_CASE("a node holds the copies that it was last told to", "[daemon][copies]") {
  scratch_folder here;
  source one{here / "run/checkpoints", 1}, two{here / "run/checkpoints", 2};
  {
    copy_shelf shelf{here / "copies"};
    shelf.take({"job-1", one.set, {}}, one.fetch());
    shelf.take({"job-1", two.set, {one.set.id}}, two.fetch());
    CHECK(has(shelf, one.set));
    CHECK(has(shelf, two.set));
  }
  // Another life of the same daemon.
  copy_shelf shelf{here / "copies"};
  CHECK(has(shelf, one.set));
  shelf.take({"job-1", two.set, {}}, [](const file_part_request&) -> file_part {
    throw std::logic_error("fetched again");
  });
  CHECK_FALSE(has(shelf, one.set));
  CHECK(has(shelf, two.set));
  CHECK_FALSE(fs::exists(here / "copies/job-1" / one.set.id));
  shelf.take({"job-1", {}, {}}, {});
  CHECK(fs::is_empty(here / "copies/job-1"));
}

TEST_CASE("a copy is verified before it counts", "[daemon][copies][R9]") {
  scratch_folder here;
  source one{here / "run/checkpoints", 1}, two{here / "run/checkpoints", 2};
  copy_shelf shelf{here / "copies"};
  shelf.take({"job-1", one.set, {}}, one.fetch());
  damage(two.folder / "stage-00.safetensors");
  CHECK_THROWS_WITH(shelf.take({"job-1", two.set, {}}, two.fetch()), Catch::Contains("damaged"));
  CHECK_FALSE(has(shelf, two.set));
  CHECK(has(shelf, one.set)); // What it had before stays.

  // Damaged where it lies: fetched anew.
  damage(here / "copies/job-1" / one.set.id / "stage-01.safetensors");
  shelf.take({"job-1", one.set, {}}, one.fetch());
  CHECK_NOTHROW(model::verify_checkpoint(here / "copies/job-1" / one.set.id));
}

TEST_CASE("what a node is told to copy stays in its folder", "[daemon][copies][R8]") {
  scratch_folder here;
  source one{here / "run/checkpoints", 1};
  copy_shelf shelf{here / "copies"};
  CHECK_THROWS(shelf.take({"../job", one.set, {}}, one.fetch()));
  CHECK_THROWS(shelf.take({"..", one.set, {}}, one.fetch()));
  auto wrong = one.set;
  wrong.id = "../../run";
  CHECK_THROWS(shelf.take({"job", wrong, {}}, one.fetch()));
  CHECK(fs::exists(one.folder));
  CHECK(has(shelf, one.set) == false);
}

TEST_CASE("the holder of copies is chosen the same way every time", "[daemon][copies]") {
  const auto pick = [](std::vector<copy_candidate> nodes, const std::string& job,
                       const copy_wishes& wishes) {
    const auto* found = choose_holder(nodes, job, wishes);
    std::reverse(nodes.begin(), nodes.end());
    const auto* again = choose_holder(nodes, job, wishes);
    CHECK((found == nullptr) == (again == nullptr));
    if (found == nullptr)
      return std::string{};
    CHECK(found->name.size() > 0);
    return again->name;
  };
  std::vector<copy_candidate> nodes;
  for (const auto* name : {"a", "b", "c", "d"})
    nodes.push_back({name, "10.0.0.1", {}});
  CHECK(pick({}, "job", {}) == "");
  const auto first = pick(nodes, "job", {"", "", "10.0.0.1"});
  CHECK(first == pick(nodes, "job", {"", "", "10.0.0.1"}));
  // Jobs spread.
  std::set<std::string> chosen;
  for (int i = 0; i < 40; ++i)
    chosen.insert(pick(nodes, "job-" + std::to_string(i), {"", "", "10.0.0.1"}));
  CHECK(chosen.size() == 4);
  // Another host than the scheduler's before all else, then who holds it already.
  nodes[2].host = "10.0.0.2";
  for (int i = 0; i < 10; ++i)
    CHECK(pick(nodes, "job-" + std::to_string(i), {"", "a", "10.0.0.1"}) == "c");
  nodes[2].host = "10.0.0.1";
  for (int i = 0; i < 10; ++i)
    CHECK(pick(nodes, "job-" + std::to_string(i), {"", "a", "10.0.0.1"}) == "a");
  CHECK(pick(nodes, "job", {"b", "a", "10.0.0.1"}) == "b");
  CHECK(pick(nodes, "job", {"x", "a", "10.0.0.1"}) == "");
}

TEST_CASE("a lost or damaged checkpoint comes back from the copy", "[daemon][copies][R9]") {
  scratch_folder here;
  const auto run = here / "run";
  source old{run / "checkpoints", 10}, fresh{run / "checkpoints", 20};
  copy_shelf node{here / "copies"};
  node.take({"job", old.set, {}}, old.fetch());
  node.take({"job", fresh.set, {old.set.id}}, fresh.fetch());
  const std::vector<copy_source> copies = {{{"n", 10, old.set}, from(node)},
                                           {{"n", 20, fresh.set}, from(node)}};
  std::vector<std::string> notes;
  const auto recover = [&](const std::vector<copy_source>& from) {
    notes.clear();
    return recover_checkpoint(run, from, [&](const std::string& line) { notes.push_back(line); });
  };
  const auto newest = [&] { return model::newest_verified(run).filename(); };

  SECTION("nothing is fetched where all is well") {
    const part_fetcher never = [](const file_part_request&) -> file_part {
      throw std::logic_error("fetched");
    };
    CHECK(recover({{{"n", 20, fresh.set}, never}}).empty());
    CHECK(notes.empty());
  }
  SECTION("the folder is gone") {
    fs::remove_all(run);
    CHECK(recover(copies).empty());
    CHECK(newest() == "step-00000020");
    CHECK(notes.size() == 1);
    CHECK(checkpoint_files(run / "checkpoints/step-00000020").id == fresh.set.id);
    CHECK_FALSE(fs::exists(run / ".fetched"));
  }
  SECTION("the newest is damaged") {
    damage(fresh.folder / "stage-02.optimizer.safetensors");
    CHECK(recover(copies).empty());
    CHECK(newest() == "step-00000020");
    CHECK_NOTHROW(model::verify_checkpoint(fresh.folder));
  }
  SECTION("the newest copy is damaged, too") {
    fs::remove_all(run);
    damage(here / "copies/job" / fresh.set.id / "stage-00.safetensors");
    CHECK(recover(copies).empty());
    CHECK(newest() == "step-00000010");
    CHECK(notes.size() == 2);
  }
  SECTION("an older one here serves while the copy's node is away") {
    fs::remove_all(fresh.folder);
    CHECK(recover({{{"n", 20, fresh.set}, {}}}).empty());
    CHECK(newest() == "step-00000010");
  }
  SECTION("without any, the copy's node is waited for") {
    fs::remove_all(run);
    CHECK(recover({{{"n", 20, fresh.set}, {}}}) == std::vector<std::string>{"n"});
    CHECK_FALSE(fs::exists(run / "checkpoints"));
  }
  SECTION("nothing verifies anywhere") {
    fs::remove_all(run);
    damage(here / "copies/job" / fresh.set.id / "stage-00.safetensors");
    damage(here / "copies/job" / old.set.id / "stage-00.safetensors");
    CHECK_THROWS_WITH(recover(copies), Catch::Contains("no checkpoint of the job is left"));
  }
}
