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
#include <mpx/model/layer_info.hpp>
#include <mpx/tensor/scratch.hpp>
#include <mpx/tensor/view.hpp>

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

/// The tensor ranks that share a layer: one, which has all of it. Collectives over it have nothing to do.
struct one_rank {
  static constexpr std::size_t count = 1;
  static constexpr std::size_t number() { return 0; }
};

/// One of N tensor ranks, each of which has its slices of the layers.
template <class Group, std::size_t N>
struct rank_of {
  static constexpr std::size_t count = N;
  Group* group = nullptr;
  int mine = 0;

  [[nodiscard]] std::size_t number() const { return static_cast<std::size_t>(mine); }
  /// Sums over the ranks, in rank order, each sum in A.
  template <class T>
  void all_reduce(T* data, std::size_t n) const {
    group->all_reduce(mine, data, n);
  }
  template <class A>
  void all_reduce_max(A* data, std::size_t n) const {
    group->all_reduce_max(mine, data, n);
  }
};

/// Everything that a layer's forward and backward may use, besides its operands.
template <class Machine, class T, class Ranks = one_rank>
struct layer_context {
  using compute = T;
  using accumulate = accumulator_t<T>;
  static constexpr element_sizes sizes{sizeof(T), sizeof(accumulate)};
  static constexpr device_kind kind = Machine::kind;
  static constexpr std::size_t tensor_ranks = Ranks::count;

  Machine& machine;
  scratch_space& scratch;
  step_values const& step;
  extents size;                      ///< of this microbatch
  extents capacity;                  ///< of the largest one: what memory is laid out for
  std::uint32_t first_sequence = 0;  ///< position of its first sequence in the whole batch
  std::uint64_t key = 0;             ///< of this layer, for random numbers
  std::array<side_stream<T>, 4> reads{};
  std::array<feed_view, 4> feeds{};
  Ranks ranks{};
  accumulate* loss = nullptr;  ///< the host's number that becomes a loss's sum over tokens, when the machine has finished
  float* capture = nullptr;    ///< where the host wants each sequence's last logits [B, V], if it asks for them

  [[nodiscard]] int rows(axis a) const { return size.rows(a); }
  [[nodiscard]] std::size_t row_count(axis a) const { return static_cast<std::size_t>(size.rows(a)); }
  /// What this rank holds of `count` outputs, heads or columns that are divided among the tensor ranks.
  [[nodiscard]] static constexpr std::size_t share(std::size_t count) { return count / tensor_ranks; }

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

}  // namespace mpx
