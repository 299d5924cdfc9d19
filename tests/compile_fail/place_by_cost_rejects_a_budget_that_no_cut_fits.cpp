// In the best cut the table is alone. The other device holds 8 * 5 weights, padded to 64 of 16 bytes, with gradient and
// Adam's states; the head's input, 128 rows of 8 values; and of the loss the logits, 128 rows of 5: 1024 + 4096 + 2560
// bytes.
// error: mpx::place_by_cost requires its budget to be at least what the fullest device needs in the best cut
// fact: bytes_needed<7680
// fact: bytes_available<1024
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using namespace mpx::literals;
using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::language_head<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::place_by_cost<2, mpx::balance_time_within<1_KiB>>,
                        mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
