// The bodies of cuda/ under emulated blocks: row lengths around a warp, a block's threads and the bounds between them.
#include <array>
#include <cstddef>

#include "cuda/emulation_backend.hpp"
#include "laws/machine.hpp"

using test::emulated_backend;

TEST_CASE("block lanes visit every index once", "[cuda][lanes]") {
  struct body {
    std::size_t n;
    int* visits;
    [[nodiscard]] mpx::on_cuda::launch_size size() const { return {1, 64, mpx::on_cuda::lane_bytes}; }
    void operator()(test::emulated_block const& block) const {
      mpx::on_cuda::block_lanes(block).each(n, [to = visits](std::size_t i) { ++to[i]; });
    }
  };
  for (std::size_t const n : {0, 1, 31, 32, 33, 63, 64, 65, 200}) {
    std::vector<int> visits(n + 1, 0);
    test::emulate(body{n, visits.data()});
    for (std::size_t i = 0; i <= n; ++i) REQUIRE(visits[i] == (i < n ? 1 : 0));
  }
}

TEST_CASE("block lanes give each thread the sum, and the largest that is a number", "[cuda][lanes]") {
  struct body {
    std::size_t n;
    float *sums, *maxima;
    [[nodiscard]] mpx::on_cuda::launch_size size() const { return {2, 96, mpx::on_cuda::lane_bytes}; }
    void operator()(test::emulated_block const& block) const {
      mpx::on_cuda::block_lanes const along(block);
      std::size_t const at = block.index() * block.threads() + block.thread();
      sums[at] = along.sum(n, [](std::size_t i) { return static_cast<float>(i + 1); });
      maxima[at] = along.max(n, [](std::size_t i) { return i % 3 == 0 ? NAN : static_cast<float>(i); });
    }
  };
  for (std::size_t const n : {0, 1, 2, 31, 32, 33, 95, 96, 97, 500}) {
    std::vector<float> sums(192, -1.0f), maxima(192, -1.0f);
    test::emulate(body{n, sums.data(), maxima.data()});
    float const most = n < 2 ? -std::numeric_limits<float>::infinity() : static_cast<float>((n - 1) % 3 == 0 ? n - 2 : n - 1);
    for (std::size_t t = 0; t < 192; ++t) {
      REQUIRE(sums[t] == static_cast<float>(n * (n + 1) / 2));
      REQUIRE(maxima[t] == most);
    }
  }
}

TEMPLATE_TEST_CASE("element-wise bodies give what the host gives", "[cuda][elements]", float, mpx::bf16, mpx::f16) {
  for (std::size_t const n : {0, 33, 2048, 2049}) laws::elements_agree<emulated_backend, TestType>(n);
}

TEMPLATE_TEST_CASE("the optimizers' bodies give what the host gives", "[cuda][elements]", float, mpx::bf16) {
  for (std::size_t const n : {1, 2049}) laws::updates_agree<emulated_backend, TestType>(n);
}

TEST_CASE("squares are added up portion by portion", "[cuda][sums]") {
  // A portion of a part of a chunk, of one, of one and a bit.
  for (std::size_t const portion : {7, 16384, 20000})
    for (std::size_t const n : {std::size_t{0}, std::size_t{1}, portion - 1, portion, portion + 1, 2 * portion + 5})
      laws::squares_agree<emulated_backend>(n, portion);
  laws::squares_agree<emulated_backend>(33 * 16384 + 1, 33 * 16384);  // more chunks than a warp has threads
}

TEST_CASE("row-wise bodies give what the host gives, at each number of threads", "[cuda][rows]") {
  for (std::size_t const width : {1, 31, 32, 33, 64, 65, 255, 256, 257, 1025}) laws::rows_agree<emulated_backend, float>(3, width);
}

TEMPLATE_TEST_CASE("row-wise bodies give what the host gives in 16 bits", "[cuda][rows]", mpx::bf16, mpx::f16) {
  for (std::size_t const width : {33, 257}) laws::rows_agree<emulated_backend, TestType>(2, width);
}

TEST_CASE("sums over rows do not lose a chunk", "[cuda][rows]") {
  for (std::size_t const rows : {0, 31, 32, 33, 100}) laws::rows_agree<emulated_backend, float>(rows, 5);
}

TEMPLATE_TEST_CASE("bodies over tables and positions give what the host gives", "[cuda][rows]", float, mpx::bf16) {
  for (std::size_t const width : {1, 6, 64, 66}) laws::tables_agree<emulated_backend, TestType>(2, 5, width);
}

TEMPLATE_TEST_CASE("the loss's bodies give what the host gives", "[cuda][rows]", float, mpx::bf16, mpx::f16) {
  for (std::size_t const vocabulary : {1, 13, 65, 300}) laws::losses_agree<emulated_backend, TestType>(5, vocabulary);
  for (std::size_t const rows : {0, 33}) laws::losses_agree<emulated_backend, TestType>(rows, 13);  // none; more than a warp adds
}
