// error: mpx::relative_bias requires an even number of buckets, from 4 to 64
// fact: bias_buckets<31, 128>
#include <mpx/model/attention.hpp>

mpx::self_attention<8, 2, true, mpx::axis::target, mpx::init::xavier_uniform, mpx::init::xavier_uniform,
                    mpx::relative_bias<31>>
    layer;
