/// @file
/// What a layer description says, and what it may leave out.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>

#include <boost/hana/tuple.hpp>

#include <mpx/core/diagnostic.hpp>
#include <mpx/core/extent.hpp>
#include <mpx/model/parameter.hpp>
#include <mpx/model/stream.hpp>

namespace mpx {

namespace detail {

// One line each: compilers quote it in errors about what is inside a layer.
template <class T> concept described = requires { typename T::takes; typename T::gives; typename T::parameters; };
// What mpx::layer_defaults gives; a composition derives all of it but what it reads.
template <class T> concept composed =
    requires { typename T::layers; } || requires { typename T::body; } || requires { typename T::branch; } ||
    requires { T::copies; };
template <class T> concept sized =
    requires { T::saves; T::defers; T::forward_scratch; T::backward_scratch; T::constants; T::most_tokens; T::keeps_input;
               T::in_place; T::reads_output; T::gradient_replaces_input; };
template <class T> concept complete =
    requires { typename T::reads; typename T::feeds; } && (composed<T> || sized<T>);

}  // namespace detail

/// A layer description: an empty type that owns no memory and runs nothing.
///   takes        message with the stream that the layer transforms, or with none
///   gives        message with the stream that it writes, or with none
///   parameters   boost::hana::tuple of parameters
template <class T>
concept layer =
    detail::described<T> ||
    unsatisfied<"a layer says what it takes and gives (mpx::message) and its parameters (boost::hana::tuple)", T>();

/// What a primitive layer leaves out has these values. Descriptions inherit from it and name what differs.
struct layer_defaults {
  using parameters = boost::hana::tuple<>;
  using reads = message<>;  ///< other streams that it reads; they stay alive
  using feeds = message<>;  ///< inputs from the data loader

  /// What backward needs. When `keeps_input`, the first of them is the input itself.
  static constexpr std::array<tensor_extent, 0> saves{};
  /// What the gradients of its weights are computed from, besides `saves` and the gradient of the output: scratch of
  /// backward; or kept, where those gradients come later than its input's.
  static constexpr std::array<tensor_extent, 0> defers{};
  static constexpr std::array<tensor_extent, 0> forward_scratch{};
  static constexpr std::array<tensor_extent, 0> backward_scratch{};
  /// What is summed over the tensor ranks, where there are several.
  static constexpr std::array<tensor_extent, 0> forward_sums{};
  static constexpr std::array<tensor_extent, 0> backward_sums{};
  static constexpr bool keeps_input = false;
  /// Input and output may be the same memory. A layer either keeps its input or works in place.
  static constexpr bool in_place = false;
  /// Backward reads the output, which the layer behind it keeps as its input: that one stands in the same block.
  static constexpr bool reads_output = false;
  /// The gradient of the input is written over the kept input, which is not needed any more.
  static constexpr bool gradient_replaces_input = false;
  /// Elements of a table that is computed once and never trained.
  static constexpr std::size_t constants = 0;
  /// The longest sequence that its tables hold.
  static constexpr std::size_t most_tokens = static_cast<std::size_t>(-1);
  /// Multiplications and additions of the forward pass, on one tensor rank.
  static constexpr double flops(extents const&) { return 0; }
};

/// Layers that run one after the other have these names (sequential, section, or a block's body).
template <class T>
concept chain = requires { typename T::layers; };

/// A layer with parameters.
template <class T>
concept trains = !std::same_as<typename T::parameters, boost::hana::tuple<>>;

/// A block is a layer composed of others that is placed as one.
template <class T>
concept block = requires { typename T::body; };

}  // namespace mpx
