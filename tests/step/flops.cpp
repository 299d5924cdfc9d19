// The plan's FLOPs are the run's FLOPs: a machine that counts what its products are asked for.
#include <atomic>
#include <type_traits>

#include <mpx/mpx.hpp>

#include <mpx_test.hpp>

#include "support/models.hpp"

namespace {

std::atomic<double> gemm_flops{0}, attention_flops{0};

void count(std::atomic<double>& to, double more) {
  for (double now = to; !to.compare_exchange_weak(now, now + more);) {
  }
}

/// The host's machine, counting.
class counting_machine : public mpx::on_host::machine {
 public:
  template <class T, class U>
  void gemm(mpx::gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    count(gemm_flops, 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k));
    machine::gemm(s, a, b, c, bias);
  }
  template <class T>
  void attention_forward(mpx::attention_shape const& s, T* o, mpx::accumulator_t<T>* lse, T const* q, T const* k,
                         T const* v, std::int32_t const* lengths,
                         mpx::score_bias<std::type_identity_t<T>> const& bias = {}) {
    std::size_t const products = s.sequences * s.heads * s.query_tokens * s.key_tokens * s.head_width;
    count(attention_flops, 4.0 * static_cast<double>(products));
    machine::attention_forward(s, o, lse, q, k, v, lengths, bias);
  }
};

struct counting_backend : mpx::on_host::backend {
  using machine = counting_machine;
};
static_assert(mpx::backend<counting_backend>);

template <class Model, class Recompute>
void flops_are_planned() {
  using recipe = mpx::recipe<mpx::place_evenly<2>, mpx::gpipe<mpx::microbatches<2>>, Recompute,
                             mpx::microbatch_capacity<mpx::sequences<3>, mpx::source_tokens<6>, mpx::target_tokens<5>>>;
  mpx::trainer<Model, recipe, counting_backend> trainer;
  auto const full = test::make_batch(6, 6, 5);
  double forward = 0, again = 0;
  for (auto const& stage : trainer.plan.stages) {
    forward += 2 * stage.forward_flops;  // two microbatches
    again += 2 * stage.recomputed_flops;
  }

  gemm_flops = attention_flops = 0;
  trainer.evaluate(full);
  double const products = gemm_flops, attention = attention_flops;
  CHECK(products + attention == forward);

  // Each product has two more of its size in backward; a recomputed layer repeats its forward.
  gemm_flops = attention_flops = 0;
  trainer.step(full);
  double const repeated_attention = attention_flops - attention;
  CHECK(gemm_flops == 3 * products + again - repeated_attention);
  CHECK(repeated_attention == (again > 0 ? attention : 0));
}

}  // namespace

TEST_CASE("seq2seq computes the FLOPs that its plan says", "[step][flops]") {
  flops_are_planned<test::small_seq2seq, mpx::keep_activations>();
}

TEST_CASE("t5 computes the FLOPs that its plan says", "[step][flops]") {
  flops_are_planned<test::small_t5, mpx::keep_activations>();
}

TEST_CASE("recomputed gpt2 computes the FLOPs that its plan says", "[step][flops]") {
  flops_are_planned<test::small_gpt2, mpx::recompute_block>();
}
