/// @file
/// What a layer knows of the run while it works on one microbatch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <mpx/backend/concepts.hpp>
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
  static constexpr spread rows_over_tensor = spread::invariant;
  static constexpr std::size_t number() { return 0; }
};

/// One of N tensor ranks, each of which has its slices of the layers; and of the rows between them, if Rows is sharded_0.
template <class Group, std::size_t N, spread Rows = spread::invariant>
struct rank_of {
  static constexpr std::size_t count = N;
  static constexpr spread rows_over_tensor = Rows;
  using bounds = std::array<std::size_t, N + 1>;
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
  /// Slices between these bounds, of all ranks' parts the sum of this rank's one; and all ranks' slices behind each other.
  template <class T>
  void reduce_scatter(T* parts, T* slice, bounds const& slices) const {
    group->reduce_scatter(mine, parts, slice, std::span<std::size_t const>(slices));
  }
  template <class T>
  void all_gather(T const* slice, T* whole, bounds const& slices) const {
    group->all_gather(mine, const_cast<T*>(slice), whole, std::span<std::size_t const>(slices));  // is only read
  }
};

namespace detail {

template <spread Rows>
struct rows_are_whole {
  static_assert(Rows == spread::invariant,
                "mpx::sequence_parallel requires a layer to say of which view it wants the rows: row_count(axis, view)");
};

}  // namespace detail

/// Everything that a layer's forward and backward may use, besides its operands. SplitsBackward: gradients of weights come
/// later than those of inputs.
template <class Machine, class T, class Ranks = one_rank, bool SplitsBackward = false>
struct layer_context {
  using compute = T;
  using accumulate = accumulator_t<T>;
  static constexpr element_sizes sizes{sizeof(T), sizeof(accumulate)};
  static constexpr device_kind kind = Machine::kind;
  static constexpr std::size_t tensor_ranks = Ranks::count;
  static constexpr spread rows_over_tensor = Ranks::rows_over_tensor;
  static constexpr bool splits_backward = SplitsBackward;
  // What the machine offers besides.
  static constexpr bool sums_within_products = mpx::sums_within_products<Machine, T>;
  static constexpr bool gelu_within_products = mpx::gelu_within_products<Machine, T>;

  Machine& machine;
  scratch_space& scratch;
  step_values const& step;
  extents size;                      ///< of this microbatch, on the same ranks
  extents capacity;                  ///< of the largest one: what memory is laid out for
  std::uint32_t first_sequence = 0;  ///< position of its first sequence in the whole batch
  std::uint64_t key = 0;             ///< of this layer, for random numbers
  std::array<side_stream<T>, 4> reads{};
  std::array<feed_view, 4> feeds{};
  Ranks ranks{};
  // Where backwards are split, what the first half keeps for the other one.
  T* kept_gradient = nullptr;     ///< the gradient of the layer's output
  std::byte* deferred = nullptr;  ///< what else it defers, and in a composition what its parts keep
  // Where the machine applies gelu_tanh within products, of a dense layer beside one (layer/composition.hpp).
  T* activated = nullptr;            ///< forward: where gelu_tanh of its output is written too
  T const* preactivation = nullptr;  ///< backward: what the gelu_tanh in front of it took: the gradient of that is asked for
  bool replaces_gradients = false;  ///< of weights: what stands where they go is an earlier sum's, and is written over
  accumulate* loss = nullptr;  ///< the host's number that becomes a loss's sum over tokens, when the machine has finished
  float* capture = nullptr;    ///< where the host wants each sequence's last logits [B, V], if it asks for them

  /// All rows of the microbatch: for layers of which every rank has all rows.
  [[nodiscard]] int rows(axis a) const {
    static_cast<void>(sizeof(detail::rows_are_whole<rows_over_tensor>));
    return size.rows(a);
  }
  [[nodiscard]] std::size_t row_count(axis a) const { return static_cast<std::size_t>(rows(a)); }
  /// Rows that this rank holds of the tensor in a view: a slice of them, or all.
  template <view X>
  [[nodiscard]] std::size_t row_count(axis a, X) const {
    return row_count(a, X::mesh_layout.tensor == spread::sharded_0 ? spread::sharded_0 : spread::replicated);
  }
  /// And of a tensor that lies so by its description.
  [[nodiscard]] std::size_t row_count(axis a, spread described) const { return rows_of(a, described).count; }
  /// Which rows these are: a slice where the tensor is whole by its description and ranks divide such rows.
  [[nodiscard]] row_slice rows_of(axis a, spread described) const { return size.rows_of(a, described, ranks.number()); }
  /// Elements at which the slices of tensors of that width begin, and the end of the last one.
  [[nodiscard]] auto slices(axis a, std::size_t width) const {
    std::array<std::size_t, tensor_ranks + 1> bounds{};
    for (std::size_t r = 0; r < bounds.size(); ++r) bounds[r] = size.slice_begin(a, r) * width;
    return bounds;
  }
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
