// Pipeline schedules under the names that tests give them.
#pragma once

#include <cstddef>

#include <mpx/policy/schedule.hpp>
#include <mpx/policy/zero_bubble.hpp>

namespace test {

template <std::size_t M>
using late = mpx::gpipe<mpx::microbatches<M>>;
template <std::size_t M>
using eager = mpx::one_f_one_b<mpx::microbatches<M>>;
template <std::size_t M>
using dealt = mpx::interleaved<mpx::microbatches<M>, mpx::chunks<2>>;
template <std::size_t M>
using halved = mpx::zb_h1<mpx::microbatches<M>>;
template <std::size_t M>
using halved_v = mpx::zb_v<mpx::microbatches<M>>;

using gpipe_4 = late<4>;
using one_f_one_b_4 = eager<4>;
using interleaved_4 = dealt<4>;
using zb_h1_4 = halved<4>;
using zb_v_4 = halved_v<4>;

}  // namespace test
