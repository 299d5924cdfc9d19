// The bodies of cuda/ under emulated blocks: row lengths around a warp, a block's threads and the bounds between them.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <mpx/host/lanes.hpp>

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

TEMPLATE_TEST_CASE("what an element becomes does not depend on where operands lie", "[cuda][elements]", float, mpx::bf16) {
  // Each operand in turn begins 0, 1 or 4 elements after a multiple of 16 bytes; what lies around the result stays.
  constexpr std::size_t n = 2048 + 13;
  std::vector<TestType> x(n + 8), dy(n + 8), wanted(n + 8), dx(n + 8);
  for (std::size_t i = 0; i < n + 8; ++i) {
    x[i] = TestType(static_cast<float>(i % 37) - 18.0f);
    dy[i] = TestType(static_cast<float>(i % 11) * 0.25f);
  }
  for (std::size_t const at_dx : {0, 1, 4})
    for (std::size_t const at_dy : {0, 1, 4})
      for (std::size_t const at_x : {0, 1, 4}) {
        std::fill(dx.begin(), dx.end(), TestType(7.0f));
        std::copy_n(dx.begin(), n + 8, wanted.begin());
        mpx::on_host::lanes const host;
        mpx::kernels::activation_gradient<mpx::relu>(host, wanted.data() + at_dx, dy.data() + at_dy, x.data() + at_x, n);
        test::emulate(mpx::on_cuda::activation_backward<mpx::relu, TestType>{dx.data() + at_dx, dy.data() + at_dy,
                                                                           x.data() + at_x, n});
        for (std::size_t i = 0; i < n + 8; ++i) REQUIRE(static_cast<float>(dx[i]) == static_cast<float>(wanted[i]));
      }
}

TEST_CASE("loads and stores of adjacent elements are as wide as operands' places allow", "[cuda][elements]") {
  struct body {
    std::size_t n, lead;
    std::atomic<int>* visits;  // of each element; then how many came together
    [[nodiscard]] mpx::on_cuda::launch_size size() const { return {1, 64, 0}; }
    void operator()(test::emulated_block const& block) const {
      mpx::on_cuda::each_adjacent<4>(block, n, lead, [&](auto number, std::size_t first) {
        for (std::size_t i = 0; i < number(); ++i) ++visits[first + i];
        if (number() == 4) visits[n] += 4;
      });
    }
  };
  for (std::size_t const n : {0, 3, 4, 7, 255, 256, 257, 600})
    for (std::size_t const lead : {std::size_t{0}, n / 2, n}) {
      std::vector<std::atomic<int>> visits(n + 1);
      test::emulate(body{n, lead, visits.data()});
      for (std::size_t i = 0; i < n; ++i) REQUIRE(visits[i] == 1);
      REQUIRE(visits[n] == static_cast<int>((n - lead) / 4 * 4));
    }
  auto const at = [](auto type, std::uintptr_t address) { return reinterpret_cast<decltype(type) const*>(address); };
  CHECK(mpx::on_cuda::is_aligned<4>(at(mpx::bf16(), 8)));
  CHECK_FALSE(mpx::on_cuda::is_aligned<8>(at(mpx::bf16(), 8)));
  CHECK(mpx::on_cuda::lead_of<8>(100, at(mpx::bf16(), 16)) == 0);
  CHECK(mpx::on_cuda::lead_of<8>(100, at(mpx::bf16(), 18)) == 7);
  CHECK(mpx::on_cuda::lead_of<8>(7, at(mpx::bf16(), 18)) == 7);
  CHECK(mpx::on_cuda::lead_of<8>(100, at(mpx::bf16(), 18), at(mpx::bf16(), 34)) == 7);
  CHECK(mpx::on_cuda::lead_of<8>(100, at(mpx::bf16(), 18), at(mpx::bf16(), 20)) == 100);
  CHECK(mpx::on_cuda::lead_of<4>(100, at(mpx::bf16(), 6), at(0.0f, 28)) == 1);
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

TEMPLATE_TEST_CASE("rows that are as long as a block's registers, and longer", "[cuda][rows]", float, mpx::bf16) {
  std::size_t const most = sizeof(TestType) == 2 ? 16384 : 8192;
  REQUIRE(mpx::on_cuda::row_in_registers<TestType>::fits(most));
  REQUIRE_FALSE(mpx::on_cuda::row_in_registers<TestType>::fits(most + 1));
  for (std::size_t const width : {most, most + 1}) laws::rows_agree<emulated_backend, TestType>(1, width);
}

TEMPLATE_TEST_CASE("a norm does not depend on where its rows lie", "[cuda][rows]", float, mpx::bf16) {
  for (std::size_t const width : {8, 40, 520, 1024}) {
    std::size_t const n = 3 * width + 1;
    std::vector<TestType> x(n), y(n, TestType(0.0f)), weight(width + 1);
    std::array<std::vector<TestType>, 2> norms, gradients;
    std::vector<float> mean(3), rstd(3);
    for (std::size_t const at : {0, 1}) {  // elements after a multiple of 16 bytes
      for (std::size_t i = 0; i < 3 * width; ++i) x[at + i] = TestType(static_cast<float>((i * i) % 101) * 0.37f);
      for (std::size_t i = 0; i < width; ++i) weight[at + i] = TestType(static_cast<float>(i % 7) - 2.5f);
      TestType* const to = y.data() + 1 - at;
      TestType const *const from = x.data() + at, *const by = weight.data() + at;
      test::emulate(mpx::on_cuda::layer_norm_forward<TestType>{to, mean.data(), rstd.data(), from, by, by, 3, width});
      norms[at].assign(to, to + 3 * width);
      TestType const* const dy = norms[0].data();
      test::emulate(mpx::on_cuda::layer_norm_input_gradient<TestType>{to, dy, from, mean.data(), rstd.data(), by, 3, width});
      gradients[at].assign(to, to + 3 * width);
    }
    REQUIRE(std::memcmp(norms[0].data(), norms[1].data(), 3 * width * sizeof(TestType)) == 0);
    REQUIRE(std::memcmp(gradients[0].data(), gradients[1].data(), 3 * width * sizeof(TestType)) == 0);
  }
}

TEST_CASE("sums over rows do not lose a chunk", "[cuda][rows]") {
  for (std::size_t const rows : {0, 31, 32, 33, 100}) laws::rows_agree<emulated_backend, float>(rows, 5);
}

TEMPLATE_TEST_CASE("bodies over tables and positions give what the host gives", "[cuda][rows]", float, mpx::bf16) {
  for (std::size_t const width : {1, 6, 64, 66}) laws::tables_agree<emulated_backend, TestType>(2, 5, width);
}

TEST_CASE("a row of a table adds all of its tokens in their order", "[cuda][rows]") {
  // Runs of ids as long as steps of the search for their end, and around them. Big and small summands: order shows.
  constexpr std::size_t width = 6;
  std::vector<std::int32_t> ids, rows;
  for (int id = 0; id < 20; ++id)
    for (int i = 0; i <= id * (id % 3 + 1); ++i) ids.push_back(id);
  for (std::size_t i = 0; i < ids.size(); ++i) rows.push_back(static_cast<std::int32_t>((7 * i) % ids.size()));
  REQUIRE(ids.size() % 7 != 0);
  std::vector<float> dy(ids.size() * width), table(20 * width, 0.5f), wanted = table;
  for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = i % 5 == 0 ? 1e7f : 0.3f * static_cast<float>(i % 13);
  for (std::size_t i = 0; i < ids.size(); ++i)
    for (std::size_t c = 0; c < width; ++c)
      wanted[static_cast<std::size_t>(ids[i]) * width + c] += dy[static_cast<std::size_t>(rows[i]) * width + c] * 0.25f;
  test::emulate(mpx::on_cuda::embedding_backward<float>{table.data(), dy.data(), {ids.data(), rows.data()}, ids.size(), width,
                                                       0.25f, {0, 20}});
  for (std::size_t i = 0; i < wanted.size(); ++i) REQUIRE(table[i] == wanted[i]);
}

TEMPLATE_TEST_CASE("the loss's bodies give what the host gives", "[cuda][rows]", float, mpx::bf16, mpx::f16) {
  for (std::size_t const vocabulary : {1, 13, 65, 300}) laws::losses_agree<emulated_backend, TestType>(5, vocabulary);
  for (std::size_t const rows : {0, 33}) laws::losses_agree<emulated_backend, TestType>(rows, 13);  // none; more than a warp adds
}

namespace {

/// Sums of squares and Adam steps of parameters of these sizes, together or one by one.
std::vector<std::vector<float>> squares_and_updates(std::vector<std::size_t> const& sizes, bool together) {
  emulated_backend::machine m;
  std::vector<std::vector<float>> all;
  std::vector<float> sums(2 * (sizes.size() + 200), 0.5f);
  for (std::size_t i = 0; i < sizes.size(); ++i)
    for (std::uint32_t part = 0; part < 4; ++part)  // gradient, master, two states
      all.push_back(laws::numbers<float>(sizes[i], static_cast<std::uint32_t>(i) + part));
  auto const run = [&](auto const& work) {
    if (together) m.together(work);
    else work();
  };
  constexpr std::size_t portion = 3 * 16384;
  run([&] {
    for (std::size_t i = 0, at = 0; i < sizes.size(); ++i) {
      m.add_squares(&sums[2 * at], 2, all[4 * i].data(), sizes[i], portion);
      at += (sizes[i] + portion - 1) / portion;
    }
  });
  run([&] {
    for (std::size_t i = 0; i < sizes.size(); ++i)
      m.template update<mpx::adam>(mpx::adam{}.at(static_cast<long>(i % 3 + 1), 0.1f), all[4 * i + 1].data(), static_cast<float*>(nullptr),
                                   static_cast<float const*>(all[4 * i].data()),
                                   std::array<float*, 2>{all[4 * i + 2].data(), all[4 * i + 3].data()}, sizes[i], 0.5f,
                                   mpx::element_bound<mpx::no_clipping>{});
  });
  m.finish();
  all.push_back(sums);
  return all;
}

}  // namespace

TEST_CASE("what is started together gives the bits of what is started one by one", "[cuda][rows]") {
  // Parameters without elements, more than one start has room for, and one of several portions.
  std::vector<std::size_t> sizes{0, 1, 2049, 4 * 16384 + 5, 0, 300};
  for (std::size_t i = 0; i < 150; ++i) sizes.push_back(1 + i % 7);
  sizes.push_back(0);
  auto const together = squares_and_updates(sizes, true), alone = squares_and_updates(sizes, false);
  REQUIRE(together.size() == alone.size());
  for (std::size_t i = 0; i < alone.size(); ++i) CHECK(laws::same_bits(together[i], alone[i]));
  CHECK(!laws::same_bits(alone[1 + 4], laws::numbers<float>(1, 2)));  // a master that has moved
  CHECK(squares_and_updates({}, true).size() == 1);
}

TEST_CASE("bodies are started together as long as they are alike", "[cuda][rows]") {
  using mpx::on_cuda::totals_of;
  mpx::on_cuda::side_by_side<totals_of> all{};
  CHECK(all.size().blocks == 0);
  totals_of const narrow{{}, 3, nullptr, 9, 3}, wide{{}, 1, nullptr, 100, 100}, none{{}, 0, nullptr, 0, 3};
  CHECK(all.add(narrow));
  CHECK(all.add(none));
  CHECK(!all.add(wide));  // of more threads
  CHECK(all.add(narrow));
  CHECK(all.size().blocks == 6);
  while (all.count < all.most) CHECK(all.add(narrow));
  CHECK(!all.add(narrow));
  CHECK(all.add(none));
  CHECK(sizeof all <= 4096);
}
