/// @file
/// Dropout of one row.
#pragma once

#include <cstddef>
#include <cstdint>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/kernels/lanes.hpp>
#include <mpx/kernels/philox.hpp>

namespace mpx::kernels {

/// What is dropped as it is.
struct unchanged {
  template <class A>
  static MPX_HOST_DEVICE MPX_INLINE A value(A x) {
    return x;
  }
};

/// y[c] = kept(c) ? f(x[c]) / (1 - rate) : 0, with a formula f. As it is, forward and backward are alike: dx is the dropout
/// of dy.
/// Bits belong to (step, sequence, token, channel), whatever the microbatch's size, padding or device.
/// Shapes  x, y: [width]; y may be x
template <class Formula = unchanged, lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void dropout_row(L const& along, T* y, T const* x, dropout_draw const& draw,
                                            std::uint32_t sequence, std::uint32_t token_in_slice, std::size_t width) {
  using A = accumulator_t<T>;
  A const factor = draw.template factor<A>();
  std::uint32_t const dropped = draw.dropped();
  std::uint64_t const key = draw.key;
  std::uint32_t const step = draw.step;
  std::uint32_t const row = draw.first_sequence + sequence, token = draw.first_token + token_in_slice;
  auto const kept = [=](A value, std::uint32_t bits) { return bits >= dropped ? Formula::value(value) * factor : A(0); };
  auto const lower = [=](A value, std::uint32_t word) { return T(kept(value, word & 0xffffu)); };
  auto const upper = [=](A value, std::uint32_t word) { return T(kept(value, word >> 16)); };
  // One draw serves eight channels. `count` of them, from the `from`-th on, where it does not serve all:
  auto const part_of_draw = [=, &along](T* to, T const* in, std::uint32_t number, std::size_t from, std::size_t count) {
    if (count == 0) return;
    random_words const words = philox_words({number, token, row, step}, key);
    std::uint32_t const all[4] = {words.a, words.b, words.c, words.d};
    along.each(count, [=](std::size_t i) {
      std::uint32_t const word = all[(from + i) / 2];
      to[i] = (from + i) % 2 == 0 ? lower(A(in[i]), word) : upper(A(in[i]), word);
    });
  };
  std::size_t const into = draw.first_channel % 8;  // a slice of the channels may begin within a draw
  std::size_t const lead = into == 0 ? 0 : width < 8 - into ? width : 8 - into;
  part_of_draw(y, x, draw.first_channel / 8, into, lead);
  T* const to = y + lead;
  T const* const from = x + lead;
  std::uint32_t const first = (draw.first_channel + static_cast<std::uint32_t>(lead)) / 8;
  std::size_t const whole = (width - lead) / 8;
  along.each(whole, [&](std::size_t eight) {
    random_words const words = philox_words({first + static_cast<std::uint32_t>(eight), token, row, step}, key);
    std::size_t const c = 8 * eight;
    A const x0 = from[c], x1 = from[c + 1], x2 = from[c + 2], x3 = from[c + 3];
    A const x4 = from[c + 4], x5 = from[c + 5], x6 = from[c + 6], x7 = from[c + 7];
    to[c] = lower(x0, words.a);
    to[c + 1] = upper(x1, words.a);
    to[c + 2] = lower(x2, words.b);
    to[c + 3] = upper(x3, words.b);
    to[c + 4] = lower(x4, words.c);
    to[c + 5] = upper(x5, words.c);
    to[c + 6] = lower(x6, words.d);
    to[c + 7] = upper(x7, words.d);
  });
  part_of_draw(to + 8 * whole, from + 8 * whole, first + static_cast<std::uint32_t>(whole), 0, width - lead - 8 * whole);
}

/// dx[i] = y[i] > 0 ? factor dy[i] : 0, y being the dropout of a relu: what is above zero has passed both.
/// Shapes  dx, dy, y: [n]; dx may be dy
template <lanes L, class T>
MPX_HOST_DEVICE MPX_INLINE void relu_dropout_gradient(L const& along, T* dx, T const* dy, T const* y, accumulator_t<T> factor,
                                                      std::size_t n) {
  using A = accumulator_t<T>;
  along.each(n, [=](std::size_t i) { dx[i] = T(A(y[i]) > A(0) ? A(dy[i]) * factor : A(0)); });
}

}  // namespace mpx::kernels
