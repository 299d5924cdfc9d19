// Mirrors include/mpx/plan/print.hpp.
#include <mpx/plan/print.hpp>

#include <sstream>
#include <string>

#include <models.hpp>
#include <mpx_test.hpp>

using namespace mpx::literals;
using Catch::Matchers::Contains;

namespace {

using run = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<4>>,
                        mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>,
                        mpx::one_f_one_b<mpx::microbatches<4>>>;

template <class Plan>
std::string text(Plan const& plan) {
  std::ostringstream out;
  out << plan;
  return out.str();
}

/// The line that holds `part`, with runs of spaces as one.
std::string line_with(std::string const& all, std::string const& part) {
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(part) == std::string::npos) continue;
    std::string words, word;
    std::istringstream in(line);
    while (in >> word) words += (words.empty() ? "" : " ") + word;
    return words;
  }
  return {};
}

}  // namespace

TEST_CASE("sizes are printed with three digits and a unit", "[plan][print]") {
  CHECK(mpx::to_string(0_B) == "0 B");
  CHECK(mpx::to_string(1023_B) == "1023 B");
  CHECK(mpx::to_string(1536_B) == "1.5 KiB");
  CHECK(mpx::to_string(5_MiB) == "5.0 MiB");
  CHECK(mpx::to_string(3_GiB + 512_MiB) == "3.5 GiB");
  CHECK(mpx::to_string(mpx::device(mpx::host<1>{})) == "host<1>");
  CHECK(mpx::detail::with_thousands(7) == "7");
  CHECK(mpx::detail::with_thousands(1234567) == "1'234'567");
}

TEST_CASE("a plan prints its stages, devices, links and idle share", "[plan][print]") {
  std::string const all = text(mpx::plan_v<test::small_seq2seq, run>);
  CHECK_THAT(all, Contains("plan: 10 layers, "));
  CHECK_THAT(all, Contains("2 stages on 2 devices, 4 microbatches of at most 2 sequences x 8 source x 4 target tokens"));
  CHECK_THAT(line_with(all, "encoder.embedding"), Contains("0 host<0> 4 encoder.embedding .. encoder.norm"));
  CHECK_THAT(line_with(all, "decoder.loss"), Contains("1 host<1> 6 decoder.embedding .. decoder.loss"));
  CHECK_THAT(line_with(all, "weights"), Contains("device weights master gradients optimizer constants activations scratch channels total"));
  CHECK_THAT(all, Contains("link 0 -> 1: memory [.., 32], 8.0 KiB a step forward and as much back"));
  CHECK_THAT(line_with(all, "idle"), Contains("% of the devices' time"));
  // Both devices have a row of their own, which ends with all that they hold.
  for (mpx::device d : mpx::plan_v<test::small_seq2seq, run>.devices)
    CHECK_THAT(all, Contains(mpx::to_string(mpx::plan_v<test::small_seq2seq, run>.bytes_on(d)) + "\n"));
}

TEST_CASE("a plan of one stage has no link, and says one of what there is once", "[plan][print]") {
  using alone = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<4>>>;
  std::string const all = text(mpx::plan_v<test::small_gpt2, alone>);
  CHECK_THAT(all, Contains("1 stage on 1 device, 1 microbatch of at most 2 sequences x 4 tokens"));
  CHECK_THAT(all, !Contains("link"));
  CHECK_THAT(all, Contains("idle 0.0 %"));
}

TEST_CASE("a plan on a mesh says how long its axes are, and what their ranks sum", "[plan][print]") {
  using model = mpx::with_padded_vocabulary<test::small_gpt2, 4>;
  using capacity = mpx::microbatch_capacity<mpx::sequences<2>, mpx::tokens<4>>;
  auto const on = []<class Mesh>(Mesh const&) { return text(mpx::plan_v<model, mpx::recipe<Mesh, capacity>>); };
  std::string const both = on(mpx::mesh<mpx::data<3>, mpx::tensor<2>>{});
  CHECK_THAT(both, Contains("mesh: data 3 x pipeline 1 x tensor 2, 6 devices; "));
  // Ten streams of 8 x 32 f32 and 4 x 8 f32 of the loss are 10.125 KiB; 15'552 gradients are 60.75 KiB.
  CHECK(line_with(both, "summed") ==
        "stage 0: 10.1 KiB summed over tensor ranks, 60.8 KiB of gradients summed over data ranks a step");
  CHECK(line_with(on(mpx::mesh<mpx::data<3>>{}), "summed") ==
        "stage 0: 117.5 KiB of gradients summed over data ranks a step");  // 30'080 of them
  CHECK(line_with(on(mpx::mesh<mpx::tensor<2>>{}), "summed") == "stage 0: 10.1 KiB summed over tensor ranks a step");
  CHECK_THAT(on(mpx::mesh<mpx::pipeline<2>>{}), !Contains("mesh") && !Contains("summed"));
}
