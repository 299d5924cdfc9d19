// error: mpx::cross_attention requires each option to be biased, unbiased, unscaled or head_width<D>
// fact: cross_attention_options<[^>]*rotary
#include <mpx/model/attention.hpp>

mpx::cross_attention<8, 2, mpx::init::xavier_uniform, mpx::rotary<>> layer;
