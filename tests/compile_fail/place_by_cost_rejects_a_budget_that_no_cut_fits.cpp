// The table has 5 * 8 values, the linear layer 8 * 5 + 5 behind alignment to 16: 48 and 64 of 16 bytes each. The head
// gets the second device, where one microbatch is in flight; the table the first, with two.
// error: mpx::place_by_cost requires its budget to be at least what the fullest device needs in the best cut
// fact: bytes_needed<[0-9]+
// fact: bytes_available<1024
#include <mpx/model/cross_entropy.hpp>
#include <mpx/model/embedding.hpp>
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>
#include <mpx/plan/plan.hpp>

using namespace mpx::literals;
using model = mpx::sequential<mpx::token_embedding<5, 8, "inputs">, mpx::linear<8, 5>, mpx::cross_entropy<5>>;
using run = mpx::recipe<mpx::place_by_cost<2, mpx::balance_time_within<1_KiB>>,
                        mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
