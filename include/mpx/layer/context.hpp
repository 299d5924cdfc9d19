/// @file
/// What a layer knows of the run while it works on one microbatch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <mpx/core/dtype.hpp>
#include <mpx/core/extent.hpp>
#include <mpx/core/random.hpp>
#include <mpx/model/layer.hpp>
#include <mpx/model/layer_info.hpp>
#include <mpx/tensor/scratch.hpp>

namespace mpx {

enum class run_mode : unsigned char { training, evaluation };

/// Values that hold for a whole step, the same on every device.
struct step_values {
  run_mode mode = run_mode::training;
  std::uint64_t seed = 1;
  std::uint32_t step = 1;  ///< counts optimizer steps from 1
  float dropout = 0;
  float label_smoothing = 0;
  float gradient_scale = 1;  ///< loss scale / tokens of the whole batch
};

/// A held stream as a layer sees it: the value, and where its gradient is summed.
template <class T>
struct side_stream {
  std::string_view label;
  T const* value = nullptr;
  T* gradient = nullptr;
};

struct feed_view {
  std::string_view label;
  std::int32_t const* values = nullptr;
};

/// Everything that a layer's forward and backward may use, besides its operands.
template <class Machine, class T>
struct layer_context {
  using compute = T;
  using accumulate = accumulator_t<T>;
  static constexpr element_sizes sizes{sizeof(T), sizeof(accumulate)};

  Machine& machine;
  scratch_space& scratch;
  step_values const& step;
  extents size;                      ///< of this microbatch
  extents capacity;                  ///< of the largest one: what memory is laid out for
  std::uint32_t first_sequence = 0;  ///< position of its first sequence in the whole batch
  std::uint64_t key = 0;             ///< of this layer, for random numbers
  std::array<side_stream<T>, 4> reads{};
  std::array<feed_view, 4> feeds{};
  accumulate* loss = nullptr;  ///< where a loss writes its sum over tokens
  float* capture = nullptr;    ///< where a loss writes each sequence's last logits [B, V], when they are asked for

  [[nodiscard]] int rows(axis a) const { return size.rows(a); }

  /// Scratch for a tensor, at capacity, so that its place does not depend on the microbatch.
  template <class U>
  [[nodiscard]] U* take(tensor_extent const& tensor) const {
    return reinterpret_cast<U*>(scratch.take(tensor.bytes(capacity, sizes)));
  }

  /// The feed with this label. The plan has proved that it exists.
  [[nodiscard]] std::int32_t const* feed(std::string_view label) const {
    for (auto const& f : feeds)
      if (f.label == label) return f.values;
    return nullptr;
  }

  [[nodiscard]] side_stream<T> const& stream(std::string_view label) const {
    std::size_t i = 0;
    while (i + 1 < reads.size() && reads[i].label != label) ++i;
    return reads[i];
  }

  /// The same for the i-th layer of a composition, with a key of its own.
  [[nodiscard]] layer_context child(std::size_t i) const {
    layer_context c = *this;
    c.key = mixed_key(key, i);
    return c;
  }
};

/// The tensors that layer L keeps from forward to backward.
template <class L, class Context>
class saved_tensors {
 public:
  saved_tensors(Context const& c, std::byte* begin) {
    for (std::size_t i = 0; i < at_.size(); ++i) {
      at_[i] = begin;
      begin += L::saves[i].bytes(c.capacity, Context::sizes);
    }
  }
  /// The i-th of L::saves, as elements of type U.
  template <class U>
  [[nodiscard]] U* get(std::size_t i) const {
    return reinterpret_cast<U*>(at_[i]);
  }

 private:
  std::array<std::byte*, L::saves.size()> at_{};
};

/// Elements from a layer's first parameter to its I-th one.
template <class L, std::size_t I>
inline constexpr std::size_t parameter_offset = []<class... P>(boost::hana::tuple<P...>*) {
  constexpr std::array<std::size_t, sizeof...(P)> counts{padded_elements(P::shape::size)...};
  std::size_t offset = 0;
  for (std::size_t i = 0; i < I; ++i) offset += counts[i];
  return offset;
}(static_cast<typename L::parameters*>(nullptr));

namespace detail {

template <class Layer, bool Forward, bool Backward>
struct layer_runs {
  static_assert(Forward,
                "mpx::layer requires its author to offer `template <class C, class T> static void forward(C const&, "
                "T const* weights, T const* constants, T const* x, T* y, std::byte* saved)`");
  static_assert(!Forward || Backward,
                "mpx::layer requires its author to offer `template <class C, class T, class A> static void "
                "backward(C const&, T const* weights, A* gradients, T const* constants, T const* dy, T* dx, "
                "std::byte* saved)`");
};

template <class L, class C, class T = typename C::compute>
inline constexpr bool runs_forward = requires(C const& c, T const* in, T* out, std::byte* saved) {
  L::forward(c, in, in, in, out, saved);
};
template <class L, class C, class T = typename C::compute, class A = typename C::accumulate>
inline constexpr bool runs_backward = requires(C const& c, T const* in, A* gradients, T* out, std::byte* saved) {
  L::backward(c, in, gradients, in, in, out, saved);
};

/// Is an error where a layer lacks one of its functions, or has it in another form.
template <class L, class C>
using layer_runs_t = layer_runs<L, runs_forward<L, C>, runs_backward<L, C>>;

}  // namespace detail

/// How a layer runs. Primitive layers specialise it; a layer of the user's own offers the two functions itself:
///   template <class C> static void forward(C const&, compute const* weights, compute const* constants,
///                                          compute const* x, compute* y, std::byte* saved)
///   template <class C> static void backward(C const&, compute const* weights, accumulate* gradients,
///                                           compute const* constants, compute const* dy, compute* dx, std::byte* saved)
/// x is the kept input when the layer keeps it, and the same memory as y when it works in place. dy is read only;
/// dx is written; gradients are added to.
template <class L>
struct execution {
  static constexpr bool by_layer = true;  ///< nobody has specialised it: the layer brings the functions itself

  template <class C>
  static void prepare(C const& c, typename C::compute* constants) {
    if constexpr (requires { L::prepare(c, constants); }) L::prepare(c, constants);
  }
  template <class C, class T, class X>
  static void forward(C const& c, T const* weights, T const* constants, X x, T* y, std::byte* saved) {
    if constexpr (detail::runs_forward<L, C>)
      L::forward(c, weights, constants, x, y, saved);
    else
      static_cast<void>(sizeof(detail::layer_runs_t<L, C>));
  }
  template <class C, class T, class A>
  static void backward(C const& c, T const* weights, A* gradients, T const* constants, T const* dy, T* dx, std::byte* saved) {
    if constexpr (detail::runs_backward<L, C>)
      L::backward(c, weights, gradients, constants, dy, dx, saved);
    else
      static_cast<void>(sizeof(detail::layer_runs_t<L, C>));
  }
};

/// A layer without constants has nothing to prepare.
struct no_constants {
  template <class C, class T>
  static void prepare(C const&, T*) {}
};

}  // namespace mpx
