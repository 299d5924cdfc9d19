// error: mpx::place_at requires each rule to name a layer or section of the model
// fact: rule_named<[^"]*"decodr"[^"]*nearest<[^"]*"decoder"[^"]*"encoder"
#include <mpx/model/seq2seq.hpp>
#include <mpx/plan/plan.hpp>

using model = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<8>, mpx::heads<2>>;
using run = mpx::recipe<mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decodr", mpx::host<1>>>,
                        mpx::microbatch_capacity<mpx::sequences<8>, mpx::source_tokens<4>, mpx::target_tokens<4>>>;
constexpr auto& plan = mpx::plan_v<model, run>;
