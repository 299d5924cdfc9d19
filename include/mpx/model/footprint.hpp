/// @file
/// What a layer needs, derived from the primitives that it is composed of.
///
/// Composed layers (sequential, section, residual, blocks) write no count of their own: parameters, saved tensors and
/// scratch of any depth of composition follow from the primitives, here and nowhere else.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>

#include <mpx/model/layer.hpp>
#include <mpx/model/sequential.hpp>

namespace mpx {

namespace detail {

template <class T>
struct is_residual : std::false_type {};
template <class... L>
struct is_residual<residual<L...>> : std::true_type {};

template <class Tuple>
struct footprint_chain;

}  // namespace detail

template <class T>
concept residual_layer = detail::is_residual<T>::value;

/// Elements between two parameters are rounded up, so that each begins on a cache line in every element type.
inline constexpr std::size_t parameter_alignment = 32;

[[nodiscard]] constexpr std::size_t padded_elements(std::size_t count) {
  return (count + parameter_alignment - 1) / parameter_alignment * parameter_alignment;
}

/// Bytes and elements of one layer at a given capacity.
template <class L>
struct footprint {
  using parameter_pack = typename L::parameters;

  static constexpr bool keeps_input = L::keeps_input;
  static constexpr bool in_place = L::in_place;
  static constexpr bool reads_output = L::reads_output;
  static constexpr bool gradient_replaces_input = L::gradient_replaces_input;
  static constexpr std::size_t constants = padded_elements(L::constants);
  static constexpr std::size_t most_tokens = L::most_tokens;
  /// Are gradients of its weights computed from its output's?
  static constexpr bool defers_gradient = trains<L> && L::gives::size > 0;

  /// What one of so many tensor ranks holds.
  static constexpr std::size_t parameters_on(std::size_t ranks) {
    return []<class... P>(boost::hana::tuple<P...>*, [[maybe_unused]] std::size_t on) {
      return (padded_elements(elements_on_rank<P>(on)) + ... + 0);
    }(static_cast<parameter_pack*>(nullptr), ranks);
  }

  static constexpr std::size_t saved(extents const& e, element_sizes s) { return total_bytes(L::saves, e, s); }
  static constexpr std::size_t forward_scratch(extents const& e, element_sizes s) {
    return total_bytes(L::forward_scratch, e, s) + all_rows(e, s);
  }
  static constexpr std::size_t backward_scratch(extents const& e, element_sizes s) {
    return total_bytes(L::backward_scratch, e, s) + (e.splits_backward ? 0 : total_bytes(L::defers, e, s)) + all_rows(e, s);
  }
  /// What the later half of a backward that comes in two reads, besides what is saved and the gradient of the output.
  static constexpr std::size_t deferred(extents const& e, element_sizes s) {
    return e.splits_backward ? total_bytes(L::defers, e, s) : 0;
  }
  static constexpr double flops(extents const& e) { return L::flops(e); }
  static constexpr std::size_t forward_sums(extents const& e, element_sizes s) {
    return exact_bytes(L::forward_sums, e, s) + gathered(L::backward_sums, e, s);
  }
  static constexpr std::size_t backward_sums(extents const& e, element_sizes s) {
    bool const twice = e.splits_backward && L::takes::size > 0;  // each half needs all rows of the output's gradient
    return exact_bytes(L::backward_sums, e, s) + (twice ? 2 : 1) * gathered(L::forward_sums, e, s) +
           gathered(L::backward_sums, e, s);
  }

 private:
  // Where ranks hold slices of the rows, a sum of a stream leaves each rank its slice. Its dual is a gather: of what
  // forward reads, if backward sums its gradient, and again in backward, for the weights; of the gradient of what forward
  // sums. One at a time stands in scratch with all its rows. A loss gives no stream: its sums stay whole.
  static constexpr bool divided(extents const& e) {
    return e.ranks > 1 && e.rows_over_tensor == spread::sharded_0 && L::gives::size > 0;
  }
  template <std::size_t N>
  static constexpr std::size_t gathered(std::array<tensor_extent, N> const& sums, extents const& e, element_sizes s) {
    std::size_t bytes = 0;
    for (auto const& one : sums) bytes += divided(e) ? as_stream(one).exact_bytes(e, s) : 0;
    return bytes;
  }
  static constexpr std::size_t all_rows(extents const& e, element_sizes s) {
    std::size_t most = 0;
    for (auto const& one : L::forward_sums) most = std::max(most, divided(e) ? one.bytes(e, s) : 0);
    for (auto const& one : L::backward_sums) most = std::max(most, divided(e) ? one.bytes(e, s) : 0);
    return most;
  }
};

template <block L>
struct footprint<L> : footprint<typename L::body> {};

template <chain L>
struct footprint<L> : detail::footprint_chain<typename L::layers> {};

template <residual_layer L>
struct footprint<L> : footprint<typename L::branch> {
  static constexpr bool keeps_input = true;  // mpx::residual has seen to it
  static constexpr bool in_place = false;
  static constexpr bool gradient_replaces_input = false;
};

/// Bytes of the stream that a message carries, at a given capacity; 0 when it carries none.
template <class Message>
[[nodiscard]] constexpr std::size_t message_bytes(extents const& e, element_sizes s) {
  using stream = only_stream_t<Message>;
  if constexpr (std::is_void_v<stream>) {
    return 0;
  } else {
    return tensor_extent{stream::on, stream::width, element::compute, per::token, stream::over_tensor}.bytes(e, s);
  }
}

namespace detail {

template <class First, class... Rest>
struct footprint_chain<boost::hana::tuple<First, Rest...>> {
  static constexpr bool keeps_input = footprint<First>::keeps_input;
  static constexpr bool in_place = (footprint<First>::in_place && ... && footprint<Rest>::in_place);
  static constexpr bool gradient_replaces_input = footprint<First>::gradient_replaces_input;
  /// Does one of its parts read its output without a part behind it that keeps it?
  static constexpr bool reads_output = [] {
    constexpr std::size_t count = 1 + sizeof...(Rest);
    bool const reads[count]{footprint<First>::reads_output, footprint<Rest>::reads_output...},
        passes[count]{footprint<First>::in_place, footprint<Rest>::in_place...},
        keeps[count]{footprint<First>::keeps_input && !footprint<First>::gradient_replaces_input,
                     (footprint<Rest>::keeps_input && !footprint<Rest>::gradient_replaces_input)...};
    bool kept = false;  // the output of part i, by one behind it
    for (std::size_t i = count; i-- > 0;) {
      if (reads[i] && !kept) return true;
      if (!passes[i]) kept = keeps[i];
    }
    return false;
  }();
  static constexpr std::size_t parameters_on(std::size_t ranks) {
    return (footprint<First>::parameters_on(ranks) + ... + footprint<Rest>::parameters_on(ranks));
  }
  static constexpr std::size_t constants = (footprint<First>::constants + ... + footprint<Rest>::constants);
  static constexpr std::size_t most_tokens = std::min({footprint<First>::most_tokens, footprint<Rest>::most_tokens...});

  static constexpr std::size_t size = 1 + sizeof...(Rest);
  static constexpr bool defers_gradient = footprint<std::tuple_element_t<size - 1, std::tuple<First, Rest...>>>::defers_gradient;

  /// Where the gradient of what part I takes is written. `kept`: the part before it, whose output that is, reads it later.
  enum class place : unsigned char { given, over_input, kept, buffer };
  static constexpr std::array<place, size> gradient_places(bool splits_backward) {
    std::array<bool, size> const replaces{footprint<First>::gradient_replaces_input, footprint<Rest>::gradient_replaces_input...},
        reads_later{footprint<First>::defers_gradient, footprint<Rest>::defers_gradient...};
    std::array<place, size> at{};
    for (std::size_t i = 1; i < size; ++i)
      at[i] = replaces[i] ? place::over_input : splits_backward && reads_later[i - 1] ? place::kept : place::buffer;
    return at;
  }
  /// Of what each part takes.
  static constexpr std::array<std::size_t, size> gradient_bytes(extents const& e, element_sizes s) {
    return {message_bytes<typename First::takes>(e, s), message_bytes<typename Rest::takes>(e, s)...};
  }

  /// Gradients between two layers stand in at most two buffers, which take turns.
  static constexpr std::size_t gradient_buffers(bool splits_backward) {
    auto const at = gradient_places(splits_backward);
    return std::min<std::size_t>(2, static_cast<std::size_t>(std::count(at.begin(), at.end(), place::buffer)));
  }
  static constexpr std::size_t gradient_buffer(extents const& e, element_sizes s) {
    auto const at = gradient_places(e.splits_backward);
    auto const bytes = gradient_bytes(e, s);
    std::size_t largest = 0;
    for (std::size_t i = 1; i < size; ++i) largest = std::max(largest, at[i] == place::buffer ? bytes[i] : 0);
    return largest;
  }
  /// What each part defers, and behind it the gradient of what it gives, where it is kept.
  static constexpr std::array<std::size_t, size> deferred_by_part(extents const& e, element_sizes s) {
    std::array<std::size_t, size> sizes{footprint<First>::deferred(e, s), footprint<Rest>::deferred(e, s)...};
    auto const at = gradient_places(e.splits_backward);
    auto const bytes = gradient_bytes(e, s);
    for (std::size_t i = 1; i < size; ++i) sizes[i - 1] += at[i] == place::kept ? bytes[i] : 0;
    return sizes;
  }
  static constexpr std::size_t deferred(extents const& e, element_sizes s) {
    std::size_t sum = 0;
    for (std::size_t const bytes : deferred_by_part(e, s)) sum += bytes;
    return sum;
  }

  static constexpr std::size_t saved(extents const& e, element_sizes s) {
    return (footprint<First>::saved(e, s) + ... + footprint<Rest>::saved(e, s));
  }
  static constexpr std::size_t forward_scratch(extents const& e, element_sizes s) {
    return std::max({footprint<First>::forward_scratch(e, s), footprint<Rest>::forward_scratch(e, s)...});
  }
  static constexpr std::size_t backward_scratch(extents const& e, element_sizes s) {
    return gradient_buffers(e.splits_backward) * gradient_buffer(e, s) +
           std::max({footprint<First>::backward_scratch(e, s), footprint<Rest>::backward_scratch(e, s)...});
  }
  static constexpr double flops(extents const& e) {
    return (footprint<First>::flops(e) + ... + footprint<Rest>::flops(e));
  }
  static constexpr std::size_t forward_sums(extents const& e, element_sizes s) {
    return (footprint<First>::forward_sums(e, s) + ... + footprint<Rest>::forward_sums(e, s));
  }
  static constexpr std::size_t backward_sums(extents const& e, element_sizes s) {
    return (footprint<First>::backward_sums(e, s) + ... + footprint<Rest>::backward_sums(e, s));
  }
};

}  // namespace detail

}  // namespace mpx
