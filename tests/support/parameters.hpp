// What a trainer has learned, byte by byte.
#pragma once

#include <cstddef>
#include <vector>

#include <mpx/train/trainer.hpp>

namespace test {

/// Every parameter's master values, the copies that the layers read, and the optimizer's states.
template <class Model, class Recipe, class Backend>
std::vector<unsigned char> all_bytes(mpx::basic_trainer<Model, Recipe, Backend>& trainer) {
  std::vector<unsigned char> out;
  auto const append = [&](auto const* from, std::size_t count) {
    if (from == nullptr) return;
    auto const* const bytes = reinterpret_cast<unsigned char const*>(from);
    out.insert(out.end(), bytes, bytes + count * sizeof(*from));
  };
  constexpr auto states = static_cast<std::size_t>(Recipe::optimizer::states);
  trainer.each_parameter([&](auto const&, auto const& p) {
    append(p.master, p.info->count);
    append(p.weights, p.info->count);
    for (std::size_t k = 0; k < states; ++k) append(p.states + k * p.state_stride, p.info->count);
  });
  return out;
}

}  // namespace test
