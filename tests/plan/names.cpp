// Mirrors include/mpx/plan/names.hpp: how far a misspelt name is from those that exist.
#include <mpx/plan/names.hpp>

#include <string>
#include <vector>

#include <models.hpp>
#include <mpx_test.hpp>

namespace {

using mpx::detail::edit_distance;
using mpx::detail::nearest_names;

constexpr std::size_t far = 100;
static_assert(edit_distance("decodr", "decoder", far) == 1);
static_assert(edit_distance("linaer", "linear", far) == 2);
static_assert(edit_distance("kitten", "sitting", far) == 3);
static_assert(edit_distance("", "head", far) == 4 && edit_distance("head", "", far) == 4);
static_assert(edit_distance("head", "head", far) == 0);
static_assert(edit_distance("kitten", "sitting", 3) == 3 && edit_distance("kitten", "sitting", 2) == 2);

/// The textbook's recursion, without a table.
std::size_t distance(std::string const& a, std::string const& b) {
  if (a.empty() || b.empty()) return a.size() + b.size();
  return std::min({distance(a.substr(1), b) + 1, distance(a, b.substr(1)) + 1,
                   distance(a.substr(1), b.substr(1)) + (a[0] != b[0])});
}

using recipe = mpx::recipe<mpx::microbatch_capacity<mpx::sequences<2>, mpx::source_tokens<4>, mpx::target_tokens<4>>>;
template <class Model>
constexpr auto& layers = mpx::layers_v<Model, recipe>;

std::vector<std::string> said(nearest_names const& near) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < near.worth_saying(); ++i) out.emplace_back(near.names[i].view());
  return out;
}

std::vector<std::string> layers_near(std::string_view wanted) {
  nearest_names near{wanted};
  mpx::detail::offer_layers(near, layers<test::small_seq2seq>);
  return said(near);
}

std::vector<std::string> rules_near(std::string_view wanted) {
  nearest_names near{wanted};
  mpx::detail::offer_sections(near, layers<test::small_seq2seq>);
  mpx::detail::offer_layers(near, layers<test::small_seq2seq>);
  return said(near);
}

std::vector<std::string> parameters_near(std::string_view wanted) {
  nearest_names near{wanted};
  mpx::detail::offer_parameters<test::small_gpt2>(near, layers<test::small_gpt2>);
  return said(near);
}

using texts = std::vector<std::string>;

}  // namespace

TEST_CASE("the distance of two names is the fewest edits between them", "[plan][names]") {
  std::vector<std::string> words{""};
  for (std::size_t i = 0; words.size() < 40; ++i)  // all words of a and b, the short ones first
    for (char c : {'a', 'b'}) words.push_back(words[i] + c);
  for (auto const& a : words)
    for (auto const& b : words) {
      std::size_t const exact = distance(a, b);
      CHECK(edit_distance(a, b, far) == exact);
      CHECK(edit_distance(a, b, 2) == std::min<std::size_t>(exact, 2));
    }
}

TEST_CASE("a misspelt rule is near to sections and layers", "[plan][names]") {
  CHECK(rules_near("decodr") == texts{"decoder", "encoder"});
  CHECK(rules_near("encoder.layer") == texts{"encoder.layers", "decoder.layers", "encoder.layers.0"});
  CHECK(rules_near("decoder.nrom") == texts{"decoder.norm", "encoder.norm", "decoder.head"});
}

TEST_CASE("a misspelt layer is near to layers, the one with its number first", "[plan][names]") {
  CHECK(layers_near("encoder.layer.1") == texts{"encoder.layers.1", "encoder.layers.0", "decoder.layers.1"});
  CHECK(layers_near("decoder.layers.7") == texts{"decoder.layers.0", "decoder.layers.1", "encoder.layers.0"});
}

TEST_CASE("a misspelt parameter is near to those that have values of their own", "[plan][names]") {
  CHECK(parameters_near("embedding.tokn.weight")[0] == "embedding.token.weight");
  CHECK(parameters_near("layers.1.mlp.upp.weight")[0] == "layers.1.mlp.up.weight");
  CHECK(parameters_near("head.weigth")[0] != "head.weight");  // it is tied itself
}

TEST_CASE("a name that is near to none has one nearest name", "[plan][names]") {
  CHECK(layers_near("transformer_block_number_twelve").size() == 1);
}

TEST_CASE("what is too long is cut off", "[plan][names]") {
  std::string const a(200, 'a');
  CHECK(edit_distance(a, a + "b", far) == 0);
  nearest_names near{a};
  mpx::detail::short_text candidate;
  candidate.add(a);
  near.offer(candidate);
  CHECK(said(near) == texts{std::string(mpx::detail::short_text::most, 'a')});
}
