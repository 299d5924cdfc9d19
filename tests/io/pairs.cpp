#include <mpx_test.hpp>

#include <string>
#include <vector>

#include <mpx/io/pairs.hpp>

#include "scratch_file.hpp"

using mpx::text_pair;
using mpx_test::refusal;
using mpx_test::scratch_file;

TEST_CASE("read_pairs reads source and target of each line", "[io][pairs]") {
  scratch_file const file("12\tone two\n3\tthree\n");
  CHECK(mpx::read_pairs(file.path) == std::vector<text_pair>{{"12", "one two"}, {"3", "three"}});
}

TEST_CASE("read_pairs takes CR LF, and a last line without an end", "[io][pairs]") {
  scratch_file const file("12\tone two\r\n\xe2\x82\xac\teuro");
  CHECK(mpx::read_pairs(file.path) == std::vector<text_pair>{{"12", "one two"}, {"\xe2\x82\xac", "euro"}});
}

TEST_CASE("read_pairs refuses a file that cannot be read", "[io][pairs]") {
  CHECK(refusal<mpx::error>([] { (void)mpx::read_pairs("/nowhere/pairs.tsv"); }) ==
        "cannot read file (/nowhere/pairs.tsv): expected a readable file of pairs, got none");
  CHECK(refusal<mpx::error>([] { (void)mpx::read_pairs("/tmp"); }) ==
        "cannot read file (/tmp): expected a readable file of pairs, got none");
}

TEST_CASE("read_pairs refuses a bad file with its name, the line, what was expected and what was found",
          "[io][pairs]") {
  auto const refused = [](std::string content) {
    scratch_file const file(content);
    auto text = refusal<mpx::error>([&] { (void)mpx::read_pairs(file.path); });
    auto const at = text.find(file.path);
    return at == std::string::npos ? "no file in: " + text : text.replace(at, file.path.size(), "FILE");
  };
  CHECK(refused("") == "file is empty (FILE): expected lines source<TAB>target, got no line");
  CHECK(refused("1\tone\n2 two\n") == "line without a tab (FILE, line 2): expected source<TAB>target, got \"2 two\"");
  CHECK(refused("1\tone\n\n2\ttwo\n") == "line without a tab (FILE, line 2): expected source<TAB>target, got \"\"");
  CHECK(refused("1\tone\ttwo\n") ==
        "line with a second tab (FILE, line 1): expected source<TAB>target, got \"1\tone\ttwo\"");
  CHECK(refused("\tone\n") == "line with an empty side (FILE, line 1): expected source<TAB>target, got no source");
  CHECK(refused("1\tone\n1\t\r\n") ==
        "line with an empty side (FILE, line 2): expected source<TAB>target, got no target");
  CHECK(refused("1\t  \n") == "line with an empty side (FILE, line 1): expected source<TAB>target, got no target");
  CHECK(refused("1\tone\n2\ttw\xf6\n") == "line is not UTF-8 (FILE, line 2): expected UTF-8, got byte 0xf6 at byte 5");
}
