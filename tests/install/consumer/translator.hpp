#pragma once

#include <iosfwd>

#include <mpx/mpx.hpp>

using model = mpx::seq2seq<mpx::source_vocabulary<11>, mpx::target_vocabulary<13>, mpx::width<16>, mpx::heads<2>,
                           mpx::feed_forward<32>, mpx::encoder_layers<1>, mpx::decoder_layers<1>, mpx::context<16>>;

using recipe = mpx::recipe<
    mpx::place_at<mpx::at<"encoder", mpx::host<0>>, mpx::at<"decoder", mpx::host<1>>>,
    mpx::one_f_one_b<mpx::microbatches<4>>, mpx::bf16_mixed, mpx::dynamic_loss_scaling, mpx::clip_by_global_norm,
    mpx::noam, mpx::adam,
    mpx::microbatch_capacity<mpx::sequences<8>, mpx::source_tokens<8>, mpx::target_tokens<8>>>;

void print_plan(std::ostream& out);
