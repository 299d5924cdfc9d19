// Compares a model with what PyTorch computed for it in f64 (tests/golden/make_goldens.py).
#pragma once

#include <cmath>
#include <map>
#include <string>

#include <mpx/io/safetensors.hpp>
#include <mpx/mpx.hpp>

#include <mpx_test.hpp>

#include "support/models.hpp"

namespace test {

/// |a - b| / |b|, both over all given elements (Frobenius).
struct relative_error {
  double difference = 0, size = 0;
  void add(double is, double should) {
    difference += (is - should) * (is - should);
    size += should * should;
  }
  [[nodiscard]] double value() const { return size > 0 ? std::sqrt(difference / size) : std::sqrt(difference); }
};

/// The biases of keys move all scores of a query alike: their exact gradient is zero, and Adam divides the rounding in
/// its place by itself. They are compared before the optimizer, not after it.
inline bool is_key_bias(std::string const& name, std::size_t i, std::size_t width) {
  if (name.ends_with("qkv.bias")) return i / width == 1;
  return name.ends_with("key_value.bias") && i / width == 0;
}

using golden_capacity = mpx::microbatch_capacity<mpx::sequences<4>, mpx::source_tokens<8>, mpx::target_tokens<8>>;

template <class Model, class Precision, class Placement, class Capacity = golden_capacity,
          class Backend = mpx::on_host::backend>
void matches_golden(std::string const& name, double bound) {
  using recipe = mpx::recipe<Placement, mpx::gpipe<mpx::microbatches<1>>, Precision, mpx::clip_by_global_norm,
                             mpx::noam, mpx::adam, Capacity>;
  auto const golden = mpx::read_safetensors(std::string(MPX_GOLDEN_DIR) + '/' + name + ".safetensors");
  auto const after = mpx::read_safetensors(std::string(MPX_GOLDEN_DIR) + '/' + name + "_after_3.safetensors");

  mpx::trainer<Model, recipe, Backend> trainer{{.clipping = {.max_norm = 1.0f}, .lr = {.warmup = 100}, .dropout = 0.0f}};
  std::size_t parameters = 0;
  for (auto const& t : golden.tensors)
    if (t.name.starts_with("initial/")) {
      trainer.set_parameter(t.name.substr(8), t.values);
      ++parameters;
    }
  std::size_t owned = 0;
  trainer.each_parameter([&](std::string const&, auto const& p) { owned += p.info->tied_to.empty(); });
  REQUIRE(owned == parameters);  // none is left at its own first value

  mpx::batch batch;
  for (auto const& t : golden.tensors) {
    if (!t.name.starts_with("batch/")) continue;
    bool const source = t.name.starts_with("batch/source"), lengths = t.name.ends_with("lengths");
    mpx::axis const on = source ? mpx::axis::source : mpx::axis::target;
    batch.size.sequences = static_cast<int>(t.shape[0]);
    if (!lengths) batch.size.tokens[source ? 0 : 1] = static_cast<int>(t.shape[1]);
    batch.columns.push_back({t.name.substr(6), on, lengths, t.integers});
  }

  // Forward: the logits behind each sequence's last token.
  auto const& logits = golden.at("logits");
  std::size_t const tokens = logits.shape[1], vocabulary = logits.shape[2];
  auto const last = trainer.next_token_logits(batch);
  relative_error forward;
  for (std::size_t s = 0; s < logits.shape[0]; ++s)
    for (std::size_t v = 0; v < vocabulary; ++v)
      forward.add(last[s * vocabulary + v],
                  logits.values[(s * tokens + static_cast<std::size_t>(batch.find("target_lengths")->values[s]) - 1) * vocabulary + v]);
  CHECK(forward.value() <= bound);

  // Loss, norm, every gradient.
  auto const first = trainer.step(batch);
  CHECK(std::abs(first.loss / golden.at("loss").values[0] - 1) <= bound);
  CHECK(std::abs(first.gradient_norm / golden.at("gradient_norm").values[0] - 1) <= bound);
  for (auto const& t : golden.tensors) {
    if (!t.name.starts_with("gradient/")) continue;
    auto const is = trainer.gradient(t.name.substr(9));
    relative_error gradient;
    for (std::size_t i = 0; i < is.size(); ++i) gradient.add(is[i], t.values[i]);
    INFO(t.name);
    CHECK(gradient.value() <= bound);
  }

  // Parameters after three steps of Adam, clipping and noam.
  CHECK(std::abs(trainer.step(batch).loss / after.at("loss_2").values[0] - 1) <= bound);
  CHECK(std::abs(trainer.step(batch).loss / after.at("loss_3").values[0] - 1) <= bound);
  for (auto const& t : after.tensors) {
    if (!t.name.starts_with("after_3/")) continue;
    auto const is = trainer.parameter(t.name.substr(8));
    relative_error parameter;
    for (std::size_t i = 0; i < is.size(); ++i)
      if (!is_key_bias(t.name, i, 32)) parameter.add(is[i], t.values[i]);
    INFO(t.name);
    CHECK(parameter.value() <= bound);
  }
}

}  // namespace test
