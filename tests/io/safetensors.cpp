#include <mpx_test.hpp>

#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <mpx/io/safetensors.hpp>

#include "scratch_file.hpp"

using mpx::named_tensor;
using mpx::stored_type;
using mpx_test::refusal;
using mpx_test::scratch_file;

namespace {

/// A file's bytes: the header's length, the header, `data` bytes.
std::string file_of(std::string const& header, std::size_t data, std::uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data, '\0');
}
std::string file_of(std::string const& header, std::size_t data) { return file_of(header, data, header.size()); }

/// The sentence that refuses a file of these bytes, with FILE in place of its path.
std::string refused(std::string const& bytes) {
  scratch_file const file(bytes);
  auto text = refusal<mpx::error>([&] { (void)mpx::read_safetensors(file.path); });
  auto const at = text.find(file.path);
  return at == std::string::npos ? "no file in: " + text : text.replace(at, file.path.size(), "FILE");
}

std::string const w8 = R"("w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";

}  // namespace

TEST_CASE("safetensors come back as they were written", "[io][safetensors]") {
  scratch_file const file;
  mpx::write_safetensors(file.path,
                         {{"w", stored_type::f32, {2, 3}, {1, -2, 3.5f, 0, 1e-40f, 6}},
                          {"scalar", stored_type::f32, {}, {7}},
                          {"none", stored_type::f32, {0, 4}, {}},
                          {"half", stored_type::f16, {2}, {0.5f, 65504}},
                          {"brain", stored_type::bf16, {2}, {1.5f, -3e38f}},
                          {"ids", stored_type::i32, {3}, {}, {-1, 0, 2147483647}},
                          {"wide", stored_type::i64, {1}, {}, {-5}}},
                         {{"step", "12"}});
  auto const back = mpx::read_safetensors(file.path);
  CHECK(back.tensors.size() == 7);
  CHECK(back.origin == file.path);
  CHECK(back.metadata.at("step") == "12");
  CHECK(back.at("w").shape == std::vector<std::size_t>{2, 3});
  CHECK(back.at("w").values == std::vector<float>{1, -2, 3.5f, 0, 1e-40f, 6});
  CHECK(back.at("scalar").shape.empty());
  CHECK(back.at("scalar").values == std::vector<float>{7});
  CHECK(back.at("none").values.empty());
  CHECK(back.at("half").type == stored_type::f16);
  CHECK(back.at("half").values == std::vector<float>{0.5f, 65504});
  CHECK(back.at("brain").values == std::vector<float>{1.5f, static_cast<float>(mpx::bf16(-3e38f))});
  CHECK(back.at("ids").integers == std::vector<std::int32_t>{-1, 0, 2147483647});
  CHECK(back.at("ids").values.empty());
  CHECK(back.at("wide").integers == std::vector<std::int32_t>{-5});
  CHECK(back.find("x") == nullptr);
  CHECK(refusal<mpx::error>([&] { (void)back.at("x"); }) ==
        "no such tensor (" + file.path + "): expected tensor x, got 7 others");
}

TEST_CASE("safetensors written by another implementation are read", "[io][safetensors]") {
  auto const golden = mpx::read_safetensors(MPX_GOLDEN_DIR "/seq2seq.safetensors");
  CHECK(golden.at("loss").values.at(0) == Approx(2.705365).epsilon(1e-6));
  CHECK(golden.at("batch/source_lengths").integers == std::vector<std::int32_t>{5, 2, 4});
  CHECK(golden.at("logits").shape == std::vector<std::size_t>{3, 6, 13});
  CHECK(golden.at("initial/decoder.head.weight").type == stored_type::f16);
  double squares = 0;
  for (auto const& one : golden.tensors)
    if (one.name.rfind("gradient/", 0) == 0)
      for (double value : one.values) squares += value * value;
  CHECK(std::sqrt(squares) == Approx(golden.at("gradient_norm").values.at(0)).epsilon(1e-6));
}

TEST_CASE("safetensors data begin on 8 bytes", "[io][safetensors]") {
  scratch_file const file;
  mpx::write_safetensors(file.path, {{"a", stored_type::f32, {1}, {1}}});
  std::uint64_t length = 0;
  auto const bytes = file.content();
  std::memcpy(&length, bytes.data(), 8);
  CHECK(length % 8 == 0);
  CHECK(bytes.size() == 8 + length + 4);
}

TEST_CASE("read_safetensors refuses a file that cannot be read", "[io][safetensors]") {
  CHECK(refusal<mpx::error>([] { (void)mpx::read_safetensors("/nowhere/w"); }) ==
        "cannot read file (/nowhere/w): expected a readable safetensors file, got none");
  CHECK_THAT(refusal<mpx::error>([] { (void)mpx::read_safetensors("/tmp"); }),
             Catch::Matchers::StartsWith("cannot read file (/tmp"));
}

TEST_CASE("read_safetensors refuses a truncated file", "[io][safetensors]") {
  CHECK(refused("") == "file is truncated (FILE, header length): expected 8 bytes, got 0");
  CHECK(refused("1234567") == "file is truncated (FILE, header length): expected 8 bytes, got 7");
  CHECK(refused(file_of("{}", 0, 3)) == "file is truncated (FILE, header): expected 3 bytes, got 2");
  CHECK(refused(file_of("{" + w8 + "}", 7)) ==
        "offsets out of range (FILE, tensor w): expected begin <= end <= 7 bytes of data, got [0, 8]");
  // Every prefix of a good file is refused.
  std::string const whole = file_of("{" + w8 + "}", 8);
  REQUIRE(refused(whole) == "no file in: ");
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK(refused(whole.substr(0, size)) != "no file in: ");
}

TEST_CASE("read_safetensors refuses a header that is too long before it allocates", "[io][safetensors]") {
  CHECK(refused(file_of("{}", 0, 100'000'001)) ==
        "header is too long (FILE, header length): expected at most 100000000 bytes, got 100000001");
  CHECK_THAT(refused(file_of("{}", 0, ~0ull)), Catch::Matchers::StartsWith("header is too long"));
}

TEST_CASE("read_safetensors refuses a header that is not a JSON object of tensors", "[io][safetensors]") {
  CHECK_THAT(refused(file_of("{\"w\":", 0)), Catch::Matchers::StartsWith("header is not JSON (FILE, header)"));
  CHECK_THAT(refused(file_of("", 0)), Catch::Matchers::StartsWith("header is not JSON (FILE, header)"));
  CHECK_THAT(refused(file_of("{\"\xff\":1}", 0)), Catch::Matchers::StartsWith("header is not JSON (FILE, header)"));
  CHECK(refused(file_of("[]", 0)) ==
        "header is no JSON object (FILE, header): expected an object of tensors, got array");
  CHECK(refused(file_of(R"({"w":1})", 0)) == "bad tensor entry (FILE, tensor w): expected an object, got number");
  CHECK(refused(file_of("{" + w8 + "," + w8 + "}", 8)) ==
        "tensor stands twice (FILE, tensor w): expected one entry of this name, got two");
  CHECK(refused(file_of(R"({"__metadata__":[]})", 0)) ==
        "bad metadata (FILE, __metadata__): expected an object of strings, got array");
  CHECK(refused(file_of(R"({"__metadata__":{"a":1}})", 0)) ==
        "bad metadata (FILE, __metadata__.a): expected a string, got number");
}

TEST_CASE("read_safetensors refuses an entry that lacks or bends a member", "[io][safetensors]") {
  auto const entry = [](std::string const& text) { return refused(file_of("{\"w\":{" + text + "}}", 8)); };
  CHECK(entry(R"("shape":[2],"data_offsets":[0,8])") ==
        "bad tensor entry (FILE, tensor w): expected dtype as a string, got none");
  CHECK(entry(R"("dtype":5,"shape":[2],"data_offsets":[0,8])") ==
        "bad tensor entry (FILE, tensor w): expected dtype as a string, got 5");
  CHECK(entry(R"("dtype":"F8","shape":[2],"data_offsets":[0,8])") ==
        "dtype is not supported (FILE, tensor w): expected F32, BF16, F16, I32 or I64, got F8");
  CHECK(entry(R"("dtype":"F32","data_offsets":[0,8])") ==
        "bad tensor entry (FILE, tensor w): expected shape as an array of whole numbers, 0 or more, got none");
  for (std::string const shape : {"-2", "[-2]", "[2.0]", "[\"2\"]", "{}", "null", "[[2]]"})
    CHECK(entry(R"("dtype":"F32","data_offsets":[0,8],"shape":)" + shape) ==
          "bad tensor entry (FILE, tensor w): expected shape as an array of whole numbers, 0 or more, got " + shape);
  CHECK(entry(R"("dtype":"F32","shape":[2],"data_offsets":[8])") ==
        "bad tensor entry (FILE, tensor w): expected two data_offsets, got 1");
}

TEST_CASE("read_safetensors refuses offsets that are out of range, overlap or leave holes", "[io][safetensors]") {
  auto const entry = [](char name, int begin, int end) {
    return std::string("\"") + name + R"(":{"dtype":"F32","shape":[)" + std::to_string((end - begin) / 4) +
           R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  CHECK(refused(file_of(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", 8)) ==
        "offsets out of range (FILE, tensor w): expected begin <= end <= 8 bytes of data, got [8, 4]");
  CHECK(refused(file_of("{" + entry('a', 0, 12) + "}", 8)) ==
        "offsets out of range (FILE, tensor a): expected begin <= end <= 8 bytes of data, got [0, 12]");
  CHECK(refused(file_of("{" + entry('a', 0, 8) + "," + entry('b', 4, 12) + "}", 12)) ==
        "tensors overlap (FILE, tensor b): expected begin at byte 8, got 4");
  CHECK(refused(file_of("{" + entry('a', 0, 4) + "," + entry('b', 8, 12) + "}", 12)) ==
        "bytes that belong to no tensor (FILE, tensor b): expected begin at byte 4, got 8");
  CHECK(refused(file_of("{" + entry('a', 0, 4) + "}", 8)) ==
        "bytes that belong to no tensor (FILE, data): expected 4 bytes, got 8");
}

TEST_CASE("read_safetensors refuses shapes that disagree with the bytes, without overflow", "[io][safetensors]") {
  CHECK(refused(file_of(R"({"w":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}})", 8)) ==
        "shape and bytes disagree (FILE, tensor w): expected F16 [2] in as many bytes as its shape asks for, "
        "got 8 bytes");
  // 2^32 * 2^32 * 4 bytes are 0 in 64 bits.
  CHECK_THAT(refused(file_of(R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0)),
             Catch::Matchers::StartsWith("shape and bytes disagree (FILE, tensor w)"));
}

TEST_CASE("read_safetensors refuses an I64 that does not fit 32 bits", "[io][safetensors]") {
  std::string bytes = file_of(R"({"w":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", 8);
  bytes[bytes.size() - 4] = 1;
  CHECK(refused(bytes) == "number is too large (FILE, tensor w): expected 32 bits, got 4294967296");
}

TEST_CASE("write_safetensors refuses what it could not read back, and leaves the old file", "[io][safetensors]") {
  scratch_file const file("old");
  auto const written = [&file](std::vector<named_tensor> const& tensors) {
    return refusal<mpx::error>([&] { mpx::write_safetensors(file.path, tensors); });
  };
  CHECK(written({{"w", stored_type::f32, {3}, {1, 2}}}) ==
        "shape and elements disagree (" + file.path +
            ", tensor w): expected F32 [3] with as many elements, got 2 values and 0 integers");
  CHECK_THAT(written({{"w", stored_type::i32, {1}, {1}}}), Catch::Matchers::StartsWith("shape and elements disagree"));
  CHECK_THAT(written({{"w", stored_type::f32, {1}, {1}}, {"w", stored_type::f32, {1}, {1}}}),
             Catch::Matchers::StartsWith("bad tensor name (" + file.path + ", tensor w)"));
  CHECK_THAT(written({{"\xff", stored_type::f32, {1}, {1}}}),
             Catch::Matchers::StartsWith("name or metadata is not UTF-8"));
  CHECK(file.content() == "old");
}

TEST_CASE("write_safetensors leaves the old file when the disk refuses", "[io][safetensors]") {
  scratch_file const file("old");
  // A file may have 4 KiB and no more while this tensor of 40 KB is written.
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit small = before;
  small.rlim_cur = 4096;
  auto const handler = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  auto const text = refusal<mpx::error>([&file] {
    mpx::write_safetensors(file.path, {{"w", stored_type::f32, {10000}, std::vector<float>(10000)}});
  });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(text == "cannot write file (" + file.path + "): expected a writable place, got File too large");
  CHECK(file.content() == "old");
  CHECK_FALSE(std::ifstream(file.path + ".part").is_open());
  CHECK_THAT(refusal<mpx::error>([] { mpx::write_safetensors("/nowhere/w", {}); }),
             Catch::Matchers::StartsWith("cannot write file (/nowhere/w)"));
}
