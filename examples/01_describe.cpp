// Describes a model as a type, and prints what the compiler knows of each layer. Nothing runs and nothing is allocated:
// a description is an empty type, and a mistake in it does not compile.
#include <mpx/model/gpt2.hpp>
#include <mpx/plan/plan.hpp>

#include <iomanip>
#include <iostream>

// Layers stand in order. repeat makes many layers of one type, each with parameters of its own; a section names what is
// in it. Each layer must take the shape that the one before it gives.
using block = mpx::transformer_block<mpx::width<64>, mpx::heads<4>>;
using model = mpx::sequential<mpx::token_embedding<256, 64, "inputs">,    // ids [B, T] to x [B, T, 64]
                              mpx::learned_positions<32, 64>,             // sequences of up to 32 tokens
                              mpx::repeat<3, block>,                      // attention and mlp
                              mpx::section<"top", mpx::layer_norm<64>,    //
                                           mpx::language_head<64, 256>,   // logits [B, T, 256]
                                           mpx::cross_entropy<256>>>;     // the loss ends every model

// What memory and time a layer needs depends on the largest microbatch: 8 sequences of 32 tokens.
using recipe = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<32>>>;
constexpr auto& table = mpx::layers_v<model, recipe>;

// All of it is known to the compiler ...
static_assert(table.size() == 8);
static_assert(table[0].parameters == 256 * 64);
static_assert(table[2].gives == mpx::stream_info{"x", 64});
static_assert(mpx::find_layer(table, "layers.2") == 4);

// ... for models that mpx brings as well, and of any size.
using gpt2 = mpx::gpt2<mpx::vocabulary<50257>, mpx::width<768>, mpx::heads<12>, mpx::layers<12>, mpx::context<1024>>;
static_assert(mpx::plan_v<gpt2, recipe>.parameters() == 124'439'808);

int main() {
  std::cout << std::fixed << std::setprecision(1) << "layer            parameters  saved bytes    MFLOP  output\n";
  for (auto const& layer : table) {
    std::cout << std::left << std::setw(16) << layer.name.text() << std::right << std::setw(11) << layer.parameters
              << std::setw(13) << layer.saved_bytes << std::setw(9) << layer.forward_flops / 1e6 << "  ";
    if (layer.gives.exists()) std::cout << layer.gives.label << " [B, T, " << layer.gives.width << "]\n";
    else std::cout << "the loss\n";
  }
}
