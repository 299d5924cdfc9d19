// Mirrors include/mpx/plan/sections.hpp.
#include <mpx/plan/sections.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

#include <mpx/model/published.hpp>
#include <mpx/plan/plan.hpp>

#include <mpx_test.hpp>

namespace {

using namespace mpx::literals;

template <class Mesh, class... More>
using recipe = mpx::recipe<Mesh, mpx::bf16_mixed, mpx::adam, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>, More...>;
template <std::size_t D, std::size_t P = 1, std::size_t T = 1>
using mesh = mpx::mesh<mpx::data<D>, mpx::pipeline<P>, mpx::tensor<T>>;

using tied = mpx::gpt2<mpx::vocabulary<4100>, mpx::width<32>, mpx::heads<4>, mpx::layers<2>, mpx::context<16>>;

template <class Model, class Recipe>
auto sections(std::size_t stage) {
  std::vector<mpx::gradient_section<Recipe::mesh::mesh_data>> out;
  mpx::each_section<Model, Recipe>(mpx::plan_v<Model, Recipe>.stages[stage], [&](auto const& s, auto const&) { out.push_back(s); });
  return out;
}

}  // namespace

TEST_CASE("sections are all parameters of a stage; slices are all of a section, cut between portions", "[plan][sections]") {
  using divided = recipe<mesh<3, 2>, mpx::shard_optimizer, mpx::gradient_buckets<20_KiB>>;
  constexpr auto& plan = mpx::plan_v<tied, divided>;
  for (std::size_t s = 0; s < plan.stage_count; ++s) {
    CAPTURE(s);
    auto all = sections<tied, divided>(s);
    // Where slices may begin: at a parameter, and in it at every 65 536 elements.
    std::vector<std::size_t> starts;
    for (std::size_t row = plan.stages[s].first; row < plan.stages[s].end; ++row)
      mpx::detail::each_placed<tied, divided>({row, row + 1, plan.places[row].parameter_offset, 0}, [&](auto const& p) {
        for (std::size_t i = 0; i < p.count; i += 65'536) starts.push_back(p.begin + i);
      });
    starts.push_back(plan.stages[s].parameter_elements);
    std::sort(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.begin < b.begin; });
    std::size_t end = 0, wrong = 0;
    std::array<std::size_t, 3> of_rank{};
    for (auto const& section : all) {
      CHECK(section.begin == end);
      end = section.end;
      CHECK(section.slices.front() == 0);
      CHECK(section.slices.back() == section.size());
      CHECK(std::is_sorted(section.slices.begin(), section.slices.end()));
      for (std::size_t const cut : section.slices) wrong += std::count(starts.begin(), starts.end(), section.begin + cut) != 1;
      for (std::size_t r = 0; r < 3; ++r) of_rank[r] += section.slices[r + 1] - section.slices[r];
    }
    CHECK(wrong == 0);
    CHECK(end == plan.stages[s].parameter_elements);
    CHECK(plan.stages[s].slice_elements == *std::max_element(of_rank.begin(), of_rank.end()));
  }
}

TEST_CASE("a table and its tied copy are divided alike, each in a section of its own", "[plan][sections]") {
  using divided = recipe<mesh<3, 2>, mpx::shard_optimizer>;
  auto const first = sections<tied, divided>(0), last = sections<tied, divided>(1);
  // 4100 x 32 elements are three portions, the last one of 128 elements: one rank has none.
  std::array<std::size_t, 4> const of_table{0, 65'536, 65'536, 131'200};
  auto const tables = [&](auto const& of) {
    return std::count_if(of.begin(), of.end(), [&](auto const& s) { return s.size() == 131'200 && s.slices == of_table; });
  };
  CHECK(tables(first) == 1);
  CHECK(tables(last) == 1);
  // Without division nothing needs to be alone: one bucket, one section.
  CHECK(sections<tied, recipe<mesh<3, 2>>>(0).size() == 1);
}

// GPT-2 124M: what each of 8 data ranks has is within 1 % of an eighth, and the states' bytes follow.
using small = mpx::gpt2_124m;
constexpr auto& whole = mpx::plan_v<small, recipe<mesh<8>>>;
constexpr auto& eighth = mpx::plan_v<small, recipe<mesh<8>, mpx::shard_optimizer>>;
constexpr std::size_t elements = whole.stages[0].parameter_elements;
constexpr std::size_t held = whole.stages[0].weight_elements;  // the head reads the table
static_assert(held == elements - 50257 * 768);
static_assert(!whole.stages[0].divided && eighth.stages[0].divided);
static_assert(eighth.stages[0].slice_elements >= elements / 8 && eighth.stages[0].slice_elements * 800 < elements * 101);
static_assert(eighth.stages[0].weight_slice_elements >= held / 8 && eighth.stages[0].weight_slice_elements * 800 < held * 101);
static_assert(eighth.stages[0].states.size == 2 * 4 * eighth.stages[0].weight_slice_elements);
static_assert(eighth.stages[0].master.size == 4 * eighth.stages[0].weight_slice_elements);
static_assert(eighth.stages[0].weights.size == whole.stages[0].weights.size);
static_assert(eighth.stages[0].gradients.size == whole.stages[0].gradients.size);
static_assert(eighth.bytes_on(mpx::host<0>{}) == whole.bytes_on(mpx::host<0>{}) - mpx::bytes{12 * (held - eighth.stages[0].weight_slice_elements)});
static_assert(eighth.data_sum_bytes(0) == whole.data_sum_bytes(0) && eighth.data_sum_bytes(0) == mpx::bytes{4 * elements});
static_assert(eighth.data_gather_bytes(0) == mpx::bytes{2 * held} && whole.data_gather_bytes(0) == 0_B);

// Layers read f32 masters as they are: those stay whole, and travel.
template <class... More>
using f32 = mpx::recipe<mesh<8>, mpx::adam, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<16>>, More...>;
constexpr auto& f32_eighth = mpx::plan_v<small, f32<mpx::shard_optimizer>>;
static_assert(f32_eighth.stages[0].master.size == 4 * held && f32_eighth.stages[0].states.size == eighth.stages[0].states.size);
static_assert(f32_eighth.data_gather_bytes(0) == mpx::bytes{4 * held});

// Gradients divided as well: a slice of them, and two buckets on their way, for each of four microbatches.
template <class... More>
using by_four = recipe<mesh<8>, mpx::gpipe<mpx::microbatches<4>>, More...>;
constexpr auto& keeps = mpx::plan_v<small, by_four<mpx::sum_each_microbatch>>;
constexpr auto& divides = mpx::plan_v<small, by_four<mpx::shard_gradients>>;
static_assert(divides.stages[0].gradients.size == 4 * divides.stages[0].slice_elements && divides.stages[0].waiting_sums.size == 0);
static_assert(divides.stages[0].bucket_buffers.size == 2 * 4 * divides.stages[0].bucket_elements);
static_assert(divides.stages[0].bucket_elements == divides.layers[0].parameter_elements);  // the tables
static_assert(keeps.stages[0].waiting_sums.size == keeps.stages[0].gradients.size);
static_assert(divides.data_sum_bytes(0) == keeps.data_sum_bytes(0) && divides.data_sum_bytes(0) == whole.data_sum_bytes(0) * 4);

// Alone, a rank has nobody to divide with.
static_assert(!mpx::plan_v<small, recipe<mesh<1>, mpx::shard_optimizer>>.stages[0].divided);
