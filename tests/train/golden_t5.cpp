// T5 against PyTorch: logits, loss, every gradient, parameters after three steps. Without biases nothing keeps a relu's
// input away from zero, where bf16's rounding would switch it: f32 alone is compared.
#include "golden.hpp"

namespace {

using model = mpx::t5<mpx::vocabulary<29>, mpx::width<32>, mpx::heads<4>, mpx::head_width<12>, mpx::feed_forward<64>,
                      mpx::encoder_layers<2>, mpx::decoder_layers<2>>;
// Sources of 40 tokens reach the buckets that hold several distances.
using capacity = mpx::microbatch_capacity<mpx::sequences<3>, mpx::source_tokens<40>, mpx::target_tokens<24>>;

}  // namespace

TEST_CASE("t5 in f32 agrees with PyTorch to 1e-5", "[train][golden]") {
  test::matches_golden<model, mpx::f32_only, mpx::place_evenly<3>, capacity>("t5", 1e-5);
}
