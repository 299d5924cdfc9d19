// Mirrors include/mpx/policy/place_by_cost.hpp.
#include <mpx/policy/place_by_cost.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <models.hpp>
#include <mpx_test.hpp>

#include <mpx/core/random.hpp>
#include <mpx/plan/plan.hpp>

using namespace mpx::literals;

namespace {

// --- by hand ---------------------------------------------------------------------------------------------------------
template <std::size_t N>
constexpr std::array<mpx::layer_info, N> with_flops(std::array<double, N> const& flops) {
  std::array<mpx::layer_info, N> layers{};
  for (std::size_t i = 0; i < N; ++i) layers[i].forward_flops = flops[i];
  return layers;
}
template <std::size_t N>
constexpr std::array<mpx::layer_info, N> with_bytes(std::array<std::size_t, N> const& state,
                                                    std::array<std::size_t, N> const& kept) {
  std::array<mpx::layer_info, N> layers{};
  for (std::size_t i = 0; i < N; ++i) {
    layers[i].state_bytes = state[i];
    layers[i].kept_bytes = kept[i];
  }
  return layers;
}

/// Does device d hold the next expected[d] layers, for each d?
template <class Placement, std::size_t N, std::size_t Devices>
constexpr bool gives(std::array<mpx::layer_info, N> const& layers, std::size_t const (&expected)[Devices]) {
  auto const where = Placement::assign(layers);
  std::size_t i = 0;
  for (std::size_t d = 0; d < Devices; ++d)
    for (std::size_t k = 0; k < expected[d]; ++k, ++i)
      if (i == N || where[i] != mpx::device{mpx::device_kind::host, static_cast<int>(d)}) return false;
  return i == N;
}

template <std::size_t... Speeds>
using by_speed = mpx::place_by_cost<sizeof...(Speeds), mpx::balance_time, mpx::device_weights<Speeds...>>;

constexpr auto head_heavy = with_flops<5>({0, 2, 2, 2, 6});
constexpr auto alike = with_flops<6>({1, 1, 1, 1, 1, 1});

}  // namespace

static_assert(mpx::placement_policy<mpx::place_by_cost<1>>);
static_assert(mpx::placement_policy<mpx::place_by_cost<3, mpx::balance_memory>>);
static_assert(mpx::placement_policy<mpx::place_by_cost<2, mpx::balance_time_within<1_GiB>, mpx::device_weights<2, 1>>>);

// 0 + 2 + 2 + 2 against 6; a cut one layer earlier has 8 behind it.
static_assert(gives<mpx::place_by_cost<2>>(head_heavy, {4, 1}));
static_assert(gives<mpx::place_by_cost<1>>(head_heavy, {5}));
static_assert(gives<mpx::place_by_cost<5>>(head_heavy, {1, 1, 1, 1, 1}));
// Three devices cannot be better than 6. Of the cuts that reach it, the one that gives the first devices least.
static_assert(gives<mpx::place_by_cost<3>>(head_heavy, {1, 3, 1}));
static_assert(gives<mpx::place_by_cost<4>>(alike, {1, 1, 2, 2}));

// Twice as fast, twice as many layers.
static_assert(gives<by_speed<2, 1>>(alike, {4, 2}));
static_assert(gives<by_speed<1, 4, 1>>(alike, {1, 4, 1}));
static_assert(gives<by_speed<3, 3>>(alike, {3, 3}));

// The first of two devices keeps two microbatches. Where layers keep 3 bytes of each, two of them need 2 * 2 + 2 * 6
// there, 16; one needs 2 + 2 * 3 = 8, and leaves 6 + 9 = 15 to the other device.
using by_memory = mpx::place_by_cost<2, mpx::balance_memory>;
static_assert(gives<by_memory>(with_bytes<4>({2, 2, 2, 2}, {0, 0, 0, 0}), {2, 2}));
static_assert(gives<by_memory>(with_bytes<4>({2, 2, 2, 2}, {3, 3, 3, 3}), {1, 3}));

// Of five alike, both cuts in the middle have 3 on one side; the one that comes first wins. Where the last two layers
// are recomputed, and so run forward twice, 2 * 3 against 3 + 4 + 4 is worse than 3 * 3 against 4 + 4.
constexpr auto five = with_flops<5>({1, 1, 1, 1, 1});
static_assert(gives<mpx::place_by_cost<2>>(five, {2, 3}));
static_assert(gives<mpx::place_by_cost<2>>([] {
  auto layers = five;
  layers[3].recomputed = layers[4].recomputed = true;
  return layers;
}(), {3, 2}));

// Fewer layers than devices: nothing is placed, and a plan says why (tests/compile_fail).
static_assert(!mpx::place_by_cost<7>::assign(alike)[0].placed());

// A budget moves the cut away from where time alone puts it, the middle, or leaves none.
namespace {

constexpr auto large_first = [] {
  auto layers = with_bytes<4>({10, 1, 1, 1}, {0, 0, 0, 0});
  for (auto& layer : layers) layer.forward_flops = 1;
  return layers;
}();
template <mpx::bytes Budget>
using within = mpx::place_by_cost<2, mpx::balance_time_within<Budget>>;

}  // namespace
static_assert(gives<within<11_B>>(large_first, {2, 2}));
static_assert(gives<within<10_B>>(large_first, {1, 3}));
static_assert(!within<9_B>::assign(large_first)[3].placed());

// 128 layers on 16 devices stay within the compilers' default limits, also where nearly all cuts are equally good.
static_assert(mpx::place_by_cost<16>::assign([] {
  std::array<double, 128> flops{};
  for (std::size_t i = 112; i < 128; ++i) flops[i] = 1;
  return with_flops(flops);
}())[0].placed());

// --- real models -----------------------------------------------------------------------------------------------------
namespace {

template <class Placement>
using run = mpx::recipe<Placement, mpx::one_f_one_b<mpx::microbatches<8>>, mpx::bf16_mixed,
                        mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;

template <class Model, class Placement>
constexpr double slowest = [] {
  double most = 0;
  for (auto const& stage : mpx::plan_v<Model, run<Placement>>.stages) most = std::max(most, stage.forward_flops);
  return most;
}();

// A head of 50257 x 768 costs as much as five and a half blocks of 12 * 768^2, the table in front of them nothing.
using gpt2_small =
    mpx::gpt2<mpx::vocabulary<50257>, mpx::width<768>, mpx::heads<12>, mpx::layers<12>, mpx::context<16>>;
// The source's table fills memory and costs no time; the decoder's blocks cost more than the encoder's.
using uneven_seq2seq = mpx::seq2seq<mpx::source_vocabulary<5000>, mpx::target_vocabulary<300>, mpx::width<64>,
                                    mpx::heads<4>, mpx::feed_forward<256>, mpx::encoder_layers<4>,
                                    mpx::decoder_layers<4>, mpx::context<16>>;

/// Bytes on the fullest device, of the kinds that costs_in_bytes counts.
template <class Model, class Placement>
constexpr std::size_t fullest = [] {
  std::size_t most = 0;
  auto const& plan = mpx::plan_v<Model, run<Placement>>;
  for (auto const d : plan.devices) {
    auto const use = plan.memory_on(d);
    mpx::bytes const state = use.weights + use.master + use.gradients + use.optimizer + use.constants;
    most = std::max(most, (state + use.activations).count);
  }
  return most;
}();

/// `state_bytes` of a stage's layers are its regions, each of them aligned.
template <class Model, class Placement>
constexpr bool states_add_up = [] {
  auto const& plan = mpx::plan_v<Model, run<Placement>>;
  for (auto const& stage : plan.stages) {
    std::size_t sum = 0;
    for (std::size_t r = stage.first; r < stage.end; ++r) sum += plan.layers[r].state_bytes;
    std::size_t const laid_out =
        stage.weights.size + stage.master.size + stage.gradients.size + stage.states.size + stage.constants.size;
    if (laid_out < sum || laid_out - sum >= 5 * mpx::alignment) return false;
  }
  return true;
}();

}  // namespace

// Six blocks, six blocks, and the head alone.
using three = run<mpx::place_by_cost<3>>;
static_assert(slowest<gpt2_small, mpx::place_by_cost<3>> == 6 * mpx::layers_v<gpt2_small, three>[1].forward_flops);
static_assert(mpx::device_of<gpt2_small, three, "layers.5"> == mpx::host<0>{});
static_assert(mpx::device_of<gpt2_small, three, "layers.6"> == mpx::host<1>{});
static_assert(mpx::device_of<gpt2_small, three, "layers.11"> == mpx::host<1>{});
static_assert(mpx::device_of<gpt2_small, three, "head"> == mpx::host<2>{});
static_assert(slowest<gpt2_small, mpx::place_by_cost<3>> < slowest<gpt2_small, mpx::place_evenly<3>>);
static_assert(slowest<uneven_seq2seq, mpx::place_by_cost<4>> < slowest<uneven_seq2seq, mpx::place_evenly<4>>);
static_assert(fullest<uneven_seq2seq, mpx::place_by_cost<4, mpx::balance_memory>> <
              fullest<uneven_seq2seq, mpx::place_by_cost<4>>);
static_assert(states_add_up<gpt2_small, mpx::place_by_cost<3>> && states_add_up<uneven_seq2seq, mpx::place_evenly<4>>);

// --- against every cut -----------------------------------------------------------------------------------------------
namespace {

/// Whole numbers, so that a reader and the test can be exact: `cost[d]` of layers is
/// (sum of time) / speed[d], or (sum of state) + slots[d] * (sum of kept).
struct instance {
  std::size_t devices = 0;
  std::vector<std::uint64_t> time, state, kept, speed;
};

instance random_instance(std::size_t devices, std::size_t layers, std::uint32_t number) {
  instance out;
  out.devices = devices;
  // Few different values: ties are frequent, and so are layers that cost nothing.
  auto const draw = [&](std::uint32_t what, std::size_t i, std::uint32_t below) {
    return std::uint64_t{mpx::philox({what, static_cast<std::uint32_t>(i), number, 0}, 7)[0] % below};
  };
  std::uint32_t const range = number % 3 == 0 ? 3 : number % 3 == 1 ? 12 : 1000000;
  for (std::size_t i = 0; i < layers; ++i) {
    out.time.push_back(draw(0, i, range));
    out.state.push_back(draw(1, i, range));
    out.kept.push_back(draw(2, i, range));
  }
  for (std::size_t d = 0; d < devices; ++d) out.speed.push_back(1 + draw(3, d, 3));
  return out;
}

/// a / of_a < b / of_b, without division.
struct ratio {
  std::uint64_t value = 0, of = 1;
  friend bool operator<(ratio a, ratio b) { return a.value * b.of < b.value * a.of; }
};

using ends = std::vector<std::size_t>;

/// Calls visit(ends) for every cut, in lexicographic order.
template <class Visit>
void each_cut(std::size_t devices, std::size_t layers, Visit const& visit, ends& so_far) {
  std::size_t const first = so_far.empty() ? 0 : so_far.back();
  if (so_far.size() + 1 == devices) {
    if (first == layers) return;
    so_far.push_back(layers);
    visit(so_far);
    so_far.pop_back();
    return;
  }
  for (std::size_t end = first + 1; end < layers; ++end) {
    so_far.push_back(end);
    each_cut(devices, layers, visit, so_far);
    so_far.pop_back();
  }
}

std::uint64_t sum(std::vector<std::uint64_t> const& of, std::size_t first, std::size_t end) {
  std::uint64_t total = 0;
  for (std::size_t i = first; i < end; ++i) total += of[i];
  return total;
}

std::uint64_t most_bytes(instance const& x, ends const& cut) {
  std::uint64_t most = 0;
  for (std::size_t d = 0; d < x.devices; ++d) {
    std::size_t const first = d > 0 ? cut[d - 1] : 0;
    most = std::max(most, sum(x.state, first, cut[d]) + (x.devices - d) * sum(x.kept, first, cut[d]));
  }
  return most;
}
ratio most_time(instance const& x, ends const& cut, bool weighted) {
  ratio most;
  for (std::size_t d = 0; d < x.devices; ++d) {
    ratio const own{sum(x.time, d > 0 ? cut[d - 1] : 0, cut[d]), weighted ? x.speed[d] : 1};
    if (most < own) most = own;
  }
  return most;
}

/// The first best cut; empty where `cost` allows none. cost(cut, out) gives its cost, or false.
template <class Cost>
ends first_best(instance const& x, Cost const& cost) {
  ends best, so_far;
  ratio least;
  each_cut(x.devices, x.time.size(), [&](ends const& cut) {
    ratio own;
    if (!cost(cut, own) || (!best.empty() && !(own < least))) return;
    best = cut;
    least = own;
  }, so_far);
  return best;
}

template <std::size_t Devices>
ends as_vector(mpx::layer_cut<Devices> const& cut) {
  return cut.exists() ? ends(cut.ends.begin(), cut.ends.end()) : ends{};
}

struct tally {
  int instances = 0, impossible = 0, wrong = 0;
  void compare(ends const& found, ends const& expected) {
    ++instances;
    impossible += expected.empty();
    wrong += found != expected;
  }
};

template <std::size_t Devices, std::size_t Layers>
void compare_all(tally& time, tally& weighted, tally& memory, tally& budget) {
  for (std::uint32_t number = 0; number < 60; ++number) {
    auto const x = random_instance(Devices, Layers, number);
    std::array<mpx::layer_info, Layers> layers{};
    for (std::size_t i = 0; i < Layers; ++i) {
      layers[i].forward_flops = static_cast<double>(x.time[i]);
      layers[i].state_bytes = x.state[i];
      layers[i].kept_bytes = x.kept[i];
    }
    std::array<double, Devices> speeds{}, alike_speeds{};
    for (std::size_t d = 0; d < Devices; ++d) speeds[d] = static_cast<double>(x.speed[d]);
    alike_speeds.fill(1);
    auto const bytes = mpx::costs_in_bytes<Devices>(layers);

    time.compare(as_vector(mpx::best_cut(mpx::costs_in_time(layers, alike_speeds))),
                 first_best(x, [&](ends const& cut, ratio& own) { return own = most_time(x, cut, false), true; }));
    weighted.compare(as_vector(mpx::best_cut(mpx::costs_in_time(layers, speeds))),
                     first_best(x, [&](ends const& cut, ratio& own) { return own = most_time(x, cut, true), true; }));
    auto const leanest = first_best(x, [&](ends const& cut, ratio& own) { return own = {most_bytes(x, cut)}, true; });
    memory.compare(as_vector(mpx::best_cut(bytes)), leanest);

    // Budgets from just too little to half as much again as is needed.
    std::uint64_t const needed = leanest.empty() ? 0 : most_bytes(x, leanest);
    std::uint64_t const too_little = needed - std::min<std::uint64_t>(needed, 1);
    for (std::uint64_t const allowed : {too_little, needed, needed + needed / 8, needed + needed / 2})
      budget.compare(as_vector(mpx::best_cut(mpx::costs_in_time(layers, speeds), bytes, double(allowed))),
                     first_best(x, [&](ends const& cut, ratio& own) {
                       own = most_time(x, cut, true);
                       return most_bytes(x, cut) <= allowed;
                     }));
  }
}

template <std::size_t... I>
void compare_sizes(tally& time, tally& weighted, tally& memory, tally& budget, std::index_sequence<I...>) {
  (compare_all<I / 12 + 1, I % 12 + 1>(time, weighted, memory, budget), ...);
}

}  // namespace

TEST_CASE("best_cut finds the first of the best of all cuts, 12 layers and 5 devices", "[policy][place_by_cost]") {
  tally time, weighted, memory, budget;
  compare_sizes(time, weighted, memory, budget, std::make_index_sequence<5 * 12>{});
  CHECK(time.wrong == 0);
  CHECK(weighted.wrong == 0);
  CHECK(memory.wrong == 0);
  CHECK(budget.wrong == 0);
  CHECK(time.instances == 3600);
  CHECK(budget.instances == 4 * 3600);
  CHECK(time.impossible == 60 * (1 + 2 + 3 + 4));  // fewer layers than devices
  CHECK(budget.impossible > 3000);                 // a byte too little
  CHECK(budget.impossible < 4 * 3600 / 2);
}
