// Mirrors include/mpx/core/error.hpp.
#include <mpx/core/error.hpp>

#include <string>

#include <mpx_test.hpp>

TEST_CASE("an error says what, where, what was expected and what was found", "[core][error]") {
  mpx::error const e({"token id out of range", "batch, sample 3", "0 to 10", "11"});
  CHECK(std::string(e.what()) == "token id out of range (batch, sample 3): expected 0 to 10, got 11");
  CHECK(e.details.where == "batch, sample 3");
  CHECK(e.details.expected == "0 to 10");
}

TEST_CASE("an error leaves out what is not known", "[core][error]") {
  CHECK(std::string(mpx::error({"stopped", "", "", ""}).what()) == "stopped");
  CHECK(std::string(mpx::error({"stopped", "stage 1", "", ""}).what()) == "stopped (stage 1)");
  CHECK(std::string(mpx::error({"stopped", "", "an answer", ""}).what()) == "stopped: expected an answer");
  CHECK(std::string(mpx::error({"stopped", "", "", "silence"}).what()) == "stopped: got silence");
}
