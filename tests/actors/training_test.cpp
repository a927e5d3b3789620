// Training through scheduled paths equals a plain loop (R6), bit for bit in deterministic mode (R12).
#include "training_problem.hpp"

#include <catch2/catch.hpp>

using namespace skippipe;

namespace {

/// Largest relative difference of a single parameter; the denominator is at least `floor`.
double worst_element(const training_result& a, const training_result& b) {
  double worst = 0;
  for (const auto& [name, value] : a.parameters) {
    const auto& other = b.parameters.at(name);
    const auto difference = (value - other).abs() / other.abs().clamp_min(1e-6);
    worst = std::max(worst, difference.max().item<double>());
  }
  return worst;
}

double worst_tensor(const training_result& a, const training_result& b) {
  double worst = 0;
  for (const auto& [name, value] : a.parameters) {
    const auto& other = b.parameters.at(name);
    worst = std::max(worst, ((value - other).norm() / other.norm()).item<double>());
  }
  return worst;
}

bool bit_equal(const training_result& a, const training_result& b) {
  for (const auto& [name, value] : a.parameters)
    if (!at::equal(value, b.parameters.at(name)))
      return false;
  return a.parameters.size() == b.parameters.size();
}

void check_against_plain(training_problem problem) {
  SECTION("float64, every parameter") {
    problem.model.compute = model::dtype::float64;
    const auto got = train_embedded(problem), want = train_plain(problem);
    REQUIRE(got.failure == "");
    REQUIRE(got.parameters.size() == want.parameters.size());
    CHECK(worst_element(got, want) <= 1e-9);
    for (std::size_t t = 0; t < want.losses.size(); ++t)
      CHECK(got.losses[t] == Approx(want.losses[t]).epsilon(1e-11));
    CHECK(want.losses.back() < want.losses.front());
  }
  SECTION("float32, every tensor") {
    const auto got = train_embedded(problem), want = train_plain(problem);
    REQUIRE(got.failure == "");
    CHECK(worst_tensor(got, want) <= 1e-6);
    REQUIRE(got.losses.size() == want.losses.size());
    for (std::size_t t = 0; t < want.losses.size(); ++t)
      CHECK(std::abs(got.losses[t] - want.losses[t]) <= 1e-5);
  }
}

} // namespace

TEST_CASE("full paths equal the plain loop in any arrangement", "[actors][training][R6]") {
  training_problem problem;
  problem.replicas =
      GENERATE(std::vector<std::uint32_t>{1, 1, 1, 1}, std::vector<std::uint32_t>{2, 2, 1, 1},
               std::vector<std::uint32_t>{1, 3, 2, 3}, std::vector<std::uint32_t>{3, 1, 3, 2});
  check_against_plain(problem);
}

TEST_CASE("skipped and swapped paths equal the plain loop on the same routes",
          "[actors][training][R6]") {
  training_problem problem;
  problem.path_length = 3;
  problem.replicas =
      GENERATE(std::vector<std::uint32_t>{1, 1, 1, 1}, std::vector<std::uint32_t>{2, 3, 1, 2});
  bool skipped = false, swapped = false;
  for (const auto& route : problem.routes()) {
    skipped |= route.size() < 3;
    swapped |= route[0] > route[1];
  }
  REQUIRE(skipped);
  REQUIRE(swapped);
  check_against_plain(problem);
}

TEST_CASE("deterministic runs are bit-equal, whatever the nodes", "[actors][training][R12]") {
  const auto length = GENERATE(4u, 3u);
  const auto type = GENERATE(model::dtype::float32, model::dtype::bfloat16);
  training_problem problem;
  problem.path_length = length;
  problem.model.compute = type;
  problem.deterministic = true;
  problem.iterations = 8;
  const auto first = train_embedded(problem);
  REQUIRE(first.failure == "");
  SECTION("two runs") { CHECK(bit_equal(train_embedded(problem), first)); }
  SECTION("another order and other nodes") {
    problem.plan_seed = 99;
    problem.memory = 2;
    CHECK(bit_equal(train_embedded(problem), first));
  }
  SECTION("other replica counts") {
    for (std::vector<std::uint32_t> replicas :
         {std::vector<std::uint32_t>{1, 1, 1, 1}, {3, 2, 2, 2}, {1, 3, 3, 1}}) {
      problem.replicas = replicas;
      const auto other = train_embedded(problem);
      REQUIRE(other.failure == "");
      CHECK(bit_equal(other, first));
    }
  }
  SECTION("another number of threads") {
    problem.threads = 5;
    CHECK(bit_equal(train_embedded(problem), first));
  }
  SECTION("another seed of the routes differs") {
    if (length == 3) {
      problem.route_seed = 12;
      CHECK_FALSE(bit_equal(train_embedded(problem), first));
    }
  }
}

TEST_CASE("what LibTorch refuses is one line", "[actors][training][R10]") {
  training_problem problem;
  problem.device = at::hasCUDA() ? "cuda:99" : "cuda:0";
  const auto why = train_embedded(problem).failure;
  CHECK_FALSE(why.empty());
  CHECK(why.find('\n') == std::string::npos);
}
