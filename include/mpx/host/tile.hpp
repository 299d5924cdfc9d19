/// @file
/// Products of small matrices that lie in cache, kept in vector registers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>

namespace mpx::on_host {

namespace detail {

#if defined(__AVX512F__)
inline constexpr std::size_t vector_bytes = 64;
inline constexpr int block_rows = 8;  // of 32 registers: 8 x 2 sums, 2 of b
#elif defined(__AVX__)
inline constexpr std::size_t vector_bytes = 32;
inline constexpr int block_rows = 4;  // of 16 registers: 4 x 2 sums, 2 of b
#else
inline constexpr std::size_t vector_bytes = 16;
inline constexpr int block_rows = 4;
#endif

template <class A>
struct vector_of;
template <>
struct vector_of<float> {
  typedef float type __attribute__((vector_size(vector_bytes)));
};
template <>
struct vector_of<double> {
  typedef double type __attribute__((vector_size(vector_bytes)));
};
template <>
struct vector_of<std::uint32_t> {
  typedef std::uint32_t type __attribute__((vector_size(vector_bytes)));
};

}  // namespace detail

/// Does the machine multiply two bf16 side by side with two others, and add both products to an f32, at once?
#if defined(__AVX512BF16__)
template <class T>
inline constexpr bool in_pairs = std::is_same_v<T, bf16>;
#else
template <class T>
inline constexpr bool in_pairs = false;
#endif

/// What a tile holds of an operand of type T along the depth of a product: an accumulator, or a pair of bf16 in 32 bits,
/// the lower half first.
template <class T>
using tile_element = std::conditional_t<in_pairs<T>, std::uint32_t, accumulator_t<T>>;

/// Elements along a depth of n.
template <class T>
[[nodiscard]] constexpr std::size_t tile_depth(std::size_t n) {
  return in_pairs<T> ? (n + 1) / 2 : n;
}

/// Two bf16 side by side.
MPX_INLINE std::uint32_t pair_of(bf16 low, bf16 high) {
  return std::uint32_t{low.bits} | std::uint32_t{high.bits} << 16;
}

/// Tiles have heights that are multiples of this ...
inline constexpr std::size_t tile_height = 8;
/// ... and widths that are multiples of this.
inline constexpr std::size_t tile_width = 16;

[[nodiscard]] constexpr std::size_t padded(std::size_t n, std::size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

/// A matrix inside a tile: element (r, c) is data[r * row + c * column].
template <class E>
struct tile_view {
  E const* data;
  std::size_t row;
  std::size_t column;
};

namespace detail {

template <class A>
MPX_INLINE typename vector_of<A>::type read(A const* from) {
  typename vector_of<A>::type value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

/// sum + left * right, for each of the vector's lanes
template <class A>
MPX_INLINE typename vector_of<A>::type plus_product(typename vector_of<A>::type sum, A const& left,
                                                    typename vector_of<A>::type right) {
  return sum + left * right;
}
#if defined(__AVX512BF16__)
/// The same for pairs. The compilers' header of intrinsics costs a third of a second in every file that includes it.
MPX_INLINE vector_of<float>::type plus_product(vector_of<float>::type sum, std::uint32_t const& left,
                                               vector_of<std::uint32_t>::type right) {
  asm("vdpbf16ps %[left]%{1to16%}, %[right], %[sum]" : [sum] "+v"(sum) : [right] "v"(right), [left] "m"(left));
  return sum;
}
#endif

template <class A, class E, int Rows, int Vectors>
MPX_INLINE void tile_block(A* c, std::size_t c_row, tile_view<E> a, tile_view<E> b, std::size_t depth, bool add) {
  using vector = typename vector_of<A>::type;
  constexpr std::size_t lanes = vector_bytes / sizeof(A);
  vector sum[Rows][Vectors];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int x = 0; x < Vectors; ++x) sum[r][x] = add ? read(c + r * c_row + x * lanes) : vector{};
  }
  for (std::size_t p = 0; p < depth; ++p) {
    typename vector_of<E>::type right[Vectors];
#pragma GCC unroll 8
    for (int x = 0; x < Vectors; ++x) right[x] = read(b.data + p * b.row + x * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      E const& left = a.data[r * a.row + p * a.column];
#pragma GCC unroll 8
      for (int x = 0; x < Vectors; ++x) sum[r][x] = plus_product(sum[r][x], left, right[x]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int x = 0; x < Vectors; ++x) std::memcpy(c + r * c_row + x * lanes, &sum[r][x], sizeof(vector));
  }
}

}  // namespace detail

/// c[r, x] = (add ? c[r, x] : 0) + sum over p of a[r, p] b[p, x], p ascending
/// Shapes  c: [rows, width], a: [rows, depth], b: [depth, width] with columns side by side; rows a multiple of
///         tile_height, width of tile_width
/// Types   E: A itself, or pairs of bf16, whose two products are added one after the other
template <class A, class E>
MPX_KERNEL void tile_multiply(A* c, std::size_t c_row, tile_view<E> a, tile_view<E> b, std::size_t rows, std::size_t width,
                              std::size_t depth, bool add) {
  constexpr std::size_t lanes = detail::vector_bytes / sizeof(A);
  std::size_t x = 0;
  auto const strip = [&]<int Vectors>(std::integral_constant<int, Vectors>) {
    for (std::size_t r = 0; r < rows; r += detail::block_rows) {
      tile_view<E> const left{a.data + r * a.row, a.row, a.column}, right{b.data + x, b.row, 1};
      detail::tile_block<A, E, detail::block_rows, Vectors>(c + r * c_row + x, c_row, left, right, depth, add);
    }
    x += Vectors * lanes;
  };
  while (x + 2 * lanes <= width) strip(std::integral_constant<int, 2>{});
  if (x < width) strip(std::integral_constant<int, 1>{});
}

}  // namespace mpx::on_host
