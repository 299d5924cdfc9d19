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
                                            std::uint32_t sequence, std::uint32_t token, std::size_t width) {
  using A = accumulator_t<T>;
  A const factor = A(1) / (A(1) - A(draw.rate));
  float const rate = draw.rate;
  std::uint64_t const key = draw.key;
  std::uint32_t const step = draw.step;
  std::uint32_t const row = draw.first_sequence + sequence;
  auto const kept = [=](A value, std::uint32_t word) { return uniform(word) >= rate ? value * factor : A(0); };
  std::uint32_t const first = draw.first_channel / 4;
  if (draw.first_channel % 4 != 0) {  // a slice that begins within a draw
    along.each(width, [=](std::size_t c) {
      std::uint32_t const channel = draw.first_channel + static_cast<std::uint32_t>(c);
      random_words const w = philox_words({channel / 4, token, row, step}, key);
      y[c] = T(kept(A(x[c]), channel % 4 == 0 ? w.a : channel % 4 == 1 ? w.b : channel % 4 == 2 ? w.c : w.d));
    });
    return;
  }
  std::size_t const whole = width / 4;  // one draw serves four channels
  along.each(whole, [&](std::size_t quad) {
    random_words const words = philox_words({first + static_cast<std::uint32_t>(quad), token, row, step}, key);
    std::size_t const c = 4 * quad;
    A const x0 = x[c], x1 = x[c + 1], x2 = x[c + 2], x3 = x[c + 3];
    y[c] = T(kept(x0, words.a));
    y[c + 1] = T(kept(x1, words.b));
    y[c + 2] = T(kept(x2, words.c));
    y[c + 3] = T(kept(x3, words.d));
  });
  random_words const rest = philox_words({first + static_cast<std::uint32_t>(whole), token, row, step}, key);
  std::uint32_t const last[3] = {rest.a, rest.b, rest.c};
  along.each(width - 4 * whole, [=](std::size_t i) {
    std::size_t const c = 4 * whole + i;
    y[c] = T(kept(A(x[c]), last[i]));
  });
}

}  // namespace mpx::kernels
