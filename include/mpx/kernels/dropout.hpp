/// @file
/// Dropout of one row.
#pragma once

#include <cstddef>
#include <cstdint>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/core/random.hpp>
#include <mpx/kernels/lanes.hpp>
#include <mpx/kernels/philox.hpp>

namespace mpx::kernels {

/// y[c] = kept(c) ? x[c] / (1 - rate) : 0. Forward and backward alike: dx is the dropout of dy.
/// A word belongs to (step, sequence, token, channel), whatever the microbatch's size, padding or device.
/// Shapes  x, y: [width]; y may be x
template <lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void dropout_row(L const& along, T* y, T const* x, dropout_draw const& draw,
                                            std::uint32_t sequence, std::uint32_t token_in_slice, std::size_t width) {
  using A = accumulator_t<T>;
  A const factor = draw.template factor<A>();
  float const rate = draw.rate;
  std::uint64_t const key = draw.key;
  std::uint32_t const step = draw.step;
  std::uint32_t const row = draw.first_sequence + sequence, token = draw.first_token + token_in_slice;
  auto const kept = [=](A value, std::uint32_t word) { return uniform(word) >= rate ? value * factor : A(0); };
  // A slice of the channels may begin within a draw: up to three elements of it come first.
  std::size_t const into = draw.first_channel % 4;
  std::size_t const lead = into == 0 ? 0 : width < 4 - into ? width : 4 - into;
  if (lead > 0) {
    random_words const words = philox_words({draw.first_channel / 4, token, row, step}, key);
    std::uint32_t const all[4] = {words.a, words.b, words.c, words.d};
    along.each(lead, [=](std::size_t i) { y[i] = T(kept(A(x[i]), all[into + i])); });
  }
  T* const to = y + lead;
  T const* const from = x + lead;
  std::uint32_t const first = (draw.first_channel + static_cast<std::uint32_t>(lead)) / 4;
  std::size_t const whole = (width - lead) / 4;  // one draw serves four channels
  along.each(whole, [&](std::size_t quad) {
    random_words const words = philox_words({first + static_cast<std::uint32_t>(quad), token, row, step}, key);
    std::size_t const c = 4 * quad;
    A const x0 = from[c], x1 = from[c + 1], x2 = from[c + 2], x3 = from[c + 3];
    to[c] = T(kept(x0, words.a));
    to[c + 1] = T(kept(x1, words.b));
    to[c + 2] = T(kept(x2, words.c));
    to[c + 3] = T(kept(x3, words.d));
  });
  random_words const rest = philox_words({first + static_cast<std::uint32_t>(whole), token, row, step}, key);
  std::uint32_t const last[3] = {rest.a, rest.b, rest.c};
  along.each(width - lead - 4 * whole, [=](std::size_t i) {
    std::size_t const c = 4 * whole + i;
    to[c] = T(kept(A(from[c]), last[i]));
  });
}

}  // namespace mpx::kernels
