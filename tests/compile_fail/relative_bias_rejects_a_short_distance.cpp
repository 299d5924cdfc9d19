// error: mpx::relative_bias requires its distance to be more than half of its buckets
// fact: bias_buckets<32, 16>
#include <mpx/model/attention.hpp>

mpx::self_attention<8, 2, true, mpx::axis::target, mpx::init::xavier_uniform, mpx::init::xavier_uniform,
                    mpx::relative_bias<32, 16>>
    layer;
