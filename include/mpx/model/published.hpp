/// @file
/// Architectures that their authors published, as types. A type costs nothing: gpt3_175b can be planned on any machine.
#pragma once

#include <cstddef>

#include <mpx/model/gpt2.hpp>
#include <mpx/model/llama.hpp>
#include <mpx/model/t5.hpp>

namespace mpx {

namespace detail {

template <std::size_t Context, std::size_t Layers, std::size_t Width, std::size_t Heads>
using openai_gpt = gpt2<vocabulary<50257>, context<Context>, layers<Layers>, width<Width>, heads<Heads>>;

template <std::size_t Layers, std::size_t Width, std::size_t Heads, std::size_t FeedForward>
using meta_llama =
    llama<vocabulary<32000>, context<2048>, layers<Layers>, width<Width>, heads<Heads>, feed_forward<FeedForward>>;

template <std::size_t Layers, std::size_t Width, std::size_t Heads, std::size_t HeadWidth, std::size_t FeedForward>
using google_t5 = t5<vocabulary<32128>, encoder_layers<Layers>, decoder_layers<Layers>, width<Width>, heads<Heads>,
                     head_width<HeadWidth>, feed_forward<FeedForward>>;

}  // namespace detail

// GPT-2, by its number of parameters. The paper's table says 117M, 345M, 762M and 1542M; the released checkpoints hold
// 124'439'808, 354'823'168, 774'030'080 and 1'557'611'200, and so do these types.
// Source  Radford et al. 2019, "Language models are unsupervised multitask learners", table 2; github.com/openai/gpt-2
using gpt2_124m = detail::openai_gpt<1024, 12, 768, 12>;
using gpt2_355m = detail::openai_gpt<1024, 24, 1024, 16>;
using gpt2_774m = detail::openai_gpt<1024, 36, 1280, 20>;
using gpt2_1558m = detail::openai_gpt<1024, 48, 1600, 25>;

// GPT-3, by the names of the paper's table. Two of its rows contradict themselves, and these types keep the head width
// that the row gives: XL has 24 heads of 128 columns and a width of 2048 there, which is 16 heads; 13B has 40 heads of
// 128 columns and a width of 5140, which is 5120. Every second layer of GPT-3 attends to a local band: that changes
// FLOPs, but no parameter and no saved byte; here all layers attend to all tokens before them.
// Source  Brown et al. 2020, arXiv:2005.14165, table 2.1
using gpt3_125m = detail::openai_gpt<2048, 12, 768, 12>;
using gpt3_350m = detail::openai_gpt<2048, 24, 1024, 16>;
using gpt3_760m = detail::openai_gpt<2048, 24, 1536, 16>;
using gpt3_1_3b = detail::openai_gpt<2048, 24, 2048, 16>;
using gpt3_2_7b = detail::openai_gpt<2048, 32, 2560, 32>;
using gpt3_6_7b = detail::openai_gpt<2048, 32, 4096, 32>;
using gpt3_13b = detail::openai_gpt<2048, 40, 5120, 40>;
using gpt3_175b = detail::openai_gpt<2048, 96, 12288, 96>;

// LLaMA. Its feed-forward width is two thirds of 4 C, rounded up to a multiple of 256.
// Source  Touvron et al. 2023, arXiv:2302.13971, table 2; the vocabulary and the rounding are those of its release
using llama_7b = detail::meta_llama<32, 4096, 32, 11008>;
using llama_13b = detail::meta_llama<40, 5120, 40, 13824>;
using llama_33b = detail::meta_llama<60, 6656, 52, 17920>;
using llama_65b = detail::meta_llama<80, 8192, 64, 22016>;

// Llama 2 70B and Llama 3 8B, whose heads share keys and values: 8 to one, and 4 to one. Llama 3 turns by a larger base.
// Source  Touvron et al. 2023, arXiv:2307.09288, table 1 and section 2.2; Grattafiori et al. 2024, arXiv:2407.21783, table 3;
//         widths of the feed-forward and the vocabularies are those of the released checkpoints
using llama2_70b = llama<vocabulary<32000>, context<4096>, layers<80>, width<8192>, heads<64>, key_value_heads<8>,
                         feed_forward<28672>>;
using llama3_8b = llama<vocabulary<128256>, context<8192>, layers<32>, width<4096>, heads<32>, key_value_heads<8>,
                        feed_forward<14336>, rotary<500'000>>;

// T5, version 1.0. Sizes are the paper's; the vocabulary is the released checkpoints', 32'000 pieces and what is added
// to them, rounded up to a multiple of 128.
// Source  Raffel et al. 2019, arXiv:1910.10683, section 3.7;
//         github.com/google-research/text-to-text-transfer-transformer
using t5_small = detail::google_t5<6, 512, 8, 64, 2048>;
using t5_base = detail::google_t5<12, 768, 12, 64, 3072>;
using t5_large = detail::google_t5<24, 1024, 16, 64, 4096>;
using t5_3b = detail::google_t5<24, 1024, 32, 128, 16384>;
using t5_11b = detail::google_t5<24, 1024, 128, 128, 65536>;

}  // namespace mpx
