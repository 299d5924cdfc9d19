// A model option where a policy belongs.
// error: mpx::recipe requires each argument to be a policy: a placement \(assign\), schedule \(tasks\), precision \(compute\), loss scaling \(state\), clipping \(scale or element\), lr schedule \(rate\), optimizer \(states\), recompute \(recomputes\), mesh, canonical_sum, sequence_parallel, gradient_buckets, shard_optimizer, fits or microbatch_capacity
// fact: checked_policy<mpx::width<32>
#include <mpx/policy/recipe.hpp>

#include <mpx/model/options.hpp>

mpx::recipe<mpx::width<32>, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
