#include <mpx_test.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include <mpx/io/text.hpp>

#include "scratch_file.hpp"

using mpx::axis;
using mpx::text_dataset;
using mpx::text_part;
using mpx_test::refusal;
using mpx_test::scratch_file;
using ids = std::vector<std::int32_t>;

namespace {

/// Byte i of the text is i.
std::string counted(int size) {
  std::string text;
  for (int i = 0; i < size; ++i) text += static_cast<char>(i);
  return text;
}

}  // namespace

TEST_CASE("text_dataset trains on the first nine tenths of a file and validates on the rest", "[io][text]") {
  scratch_file const file(counted(200));
  auto const data = text_dataset::read(file.path, 8);
  CHECK(data.origin() == file.path);
  CHECK(data.context() == 8);
  CHECK(data.bytes(text_part::training) == counted(200).substr(0, 180));
  CHECK(data.bytes(text_part::validation) == counted(200).substr(180));
}

TEST_CASE("text_dataset reads its part in windows that follow each other, the last one padded", "[io][text]") {
  // Training: bytes 0 to 9, so 9 targets in windows of 4, 4 and 1.
  text_dataset const data(counted(11), 4, "eleven");
  auto const batches = data.sequential_windows(text_part::training, 2);
  REQUIRE(batches.size() == 2);
  CHECK(batches[0].origin == "eleven");
  CHECK(batches[0].size.sequences == 2);
  CHECK(batches[0].size.tokens_on(axis::source) == 0);
  CHECK(batches[0].size.tokens_on(axis::target) == 4);
  CHECK(batches[0].find("inputs")->values == ids{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(batches[0].find("targets")->values == ids{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(batches[0].find("target_lengths")->values == ids{4, 4});
  CHECK(batches[0].find("target_lengths")->per_sequence);
  CHECK(batches[1].find("inputs")->values == ids{8, 0, 0, 0});
  CHECK(batches[1].find("targets")->values == ids{9, -1, -1, -1});
  CHECK(batches[1].find("target_lengths")->values == ids{1});
}

TEST_CASE("text_dataset ends with a whole window where the part has one", "[io][text]") {
  text_dataset const data(counted(9), 4, "nine");  // training has all: 9 / 10 = 0 bytes are left out
  auto const batches = data.sequential_windows(text_part::training, 2);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].find("target_lengths")->values == ids{4, 4});
}

TEST_CASE("text_dataset draws windows of its part by seed, step and sequence", "[io][text]") {
  text_dataset const data(counted(200), 8, "text");
  int least = 200, most = 0;
  for (std::uint64_t step = 0; step < 200; ++step) {
    auto const batch = data.random_windows(text_part::validation, 4, 1, step);
    auto const& inputs = batch.find("inputs")->values;
    auto const& targets = batch.find("targets")->values;
    REQUIRE(inputs.size() == 32);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      CHECK(targets[i] == inputs[i] + 1);
      CHECK(inputs[i] == inputs[i / 8 * 8] + static_cast<int>(i % 8));
      least = std::min(least, inputs[i]);
      most = std::max(most, targets[i]);
    }
    CHECK(batch.find("target_lengths")->values == ids{8, 8, 8, 8});
  }
  CHECK(least == 180);
  CHECK(most == 199);
  auto const inputs = [&data](std::uint64_t seed, std::uint64_t step) {
    return data.random_windows(text_part::training, 4, seed, step).find("inputs")->values;
  };
  CHECK(inputs(1, 0) == inputs(1, 0));
  CHECK(inputs(1, 0) != inputs(1, 1));
  CHECK(inputs(1, 0) != inputs(2, 0));
  // The first sequences do not depend on how many there are.
  auto const two = data.random_windows(text_part::training, 2, 1, 0).find("inputs")->values;
  auto const four = inputs(1, 0);
  CHECK(std::equal(two.begin(), two.end(), four.begin()));
}

TEST_CASE("text_dataset keeps bytes above 127 as ids 128 to 255", "[io][text]") {
  text_dataset const data("\xff\x80\xc3", 2, "bytes");
  auto const batch = data.sequential_windows(text_part::training, 1).at(0);
  CHECK(batch.find("inputs")->values == ids{255, 128});
  CHECK(batch.find("targets")->values == ids{128, 195});
}

TEST_CASE("text_dataset refuses a file that cannot be read, is empty or too short", "[io][text]") {
  CHECK(refusal<mpx::error>([] { (void)text_dataset::read("/nowhere/text", 4); }) ==
        "cannot read file (/nowhere/text): expected a readable text file, got none");
  CHECK(refusal<mpx::error>([] { (void)text_dataset::read("/tmp", 4); }) ==
        "cannot read file (/tmp): expected a readable text file, got none");
  scratch_file const empty;
  CHECK(refusal<mpx::error>([&] { (void)text_dataset::read(empty.path, 4); }) ==
        "file is empty (" + empty.path + "): expected 5 bytes or more, got 0");
  scratch_file const short_file("1234");
  CHECK(refusal<mpx::error>([&] { (void)text_dataset::read(short_file.path, 4); }) ==
        "file is too short (" + short_file.path + "): expected 5 bytes or more, got 4");
  CHECK(text_dataset(std::string("12345"), 4, "five").bytes(text_part::training).size() == 5);
}

TEST_CASE("text_dataset refuses empty windows, empty batches and parts that are too short", "[io][text]") {
  CHECK(refusal<mpx::error>([] { text_dataset("12345", 0, "five"); }) ==
        "bad context (five): expected 1 token or more, got 0");
  text_dataset const data(counted(20), 4, "twenty");  // 18 and 2
  for (auto refused : {refusal<mpx::error>([&] { (void)data.random_windows(text_part::training, 0, 1, 0); }),
                       refusal<mpx::error>([&] { (void)data.sequential_windows(text_part::training, 0); })})
    CHECK(refused == "empty batch (twenty): expected 1 sequence or more in a batch, got 0");
  CHECK(refusal<mpx::error>([&] { (void)data.random_windows(text_part::validation, 1, 1, 0); }) ==
        "validation part is too short (twenty): expected 5 bytes or more, got 2");
  text_dataset const tiny(counted(9), 4, "nine");  // 9 and 0
  CHECK(refusal<mpx::error>([&] { (void)tiny.sequential_windows(text_part::validation, 1); }) ==
        "validation part is too short (nine): expected 2 bytes or more, got 0");
}
