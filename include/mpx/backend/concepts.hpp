/// @file
/// What the hall asks of a machine room: memory, channels, groups, and a machine that executes operations.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include <mpx/backend/operations.hpp>
#include <mpx/core/device.hpp>
#include <mpx/core/diagnostic.hpp>
#include <mpx/core/dtype.hpp>

namespace mpx {

struct gelu;

/// One zeroed block of bytes on a device, aligned to a cache line; its constructor throws mpx::error.
template <class M>
concept memory_resource =
    (std::movable<M> && !std::copyable<M> && std::constructible_from<M, std::size_t> &&
     requires(M const& memory) {
       { memory.data() } -> std::same_as<std::byte*>;
       { memory.size() } -> std::same_as<std::size_t>;
     }) ||
    unsatisfied<"a memory resource is made from a number of bytes, moves but does not copy, and offers data() and "
                "size()",
                M>();

/// Messages from one thread to another, in order. Waiting ends at a deadline, or when `abort()` is called.
template <class C>
concept channel =
    (std::constructible_from<C, std::string, std::span<std::byte>, std::size_t, std::chrono::milliseconds> &&
     requires(C& one, void const* from, void* to, std::size_t bytes) {
       one.send(from, bytes);
       one.receive(to, bytes);
       one.open();
       one.abort();
       { one.messages() } -> std::same_as<std::uint64_t>;
       { one.bytes_sent() } -> std::same_as<std::uint64_t>;
     }) ||
    unsatisfied<"a channel is made from (name, storage, slots, deadline) and offers send(from, bytes), "
                "receive(to, bytes), open(), abort(), messages() and bytes_sent()",
                C>();

/// Ranks that meet, and sum their buffers in the order of their places, whoever brings them; or each its slice, by the
/// same table of bounds on all of them.
template <class G>
concept group =
    (std::constructible_from<G, std::string, int, std::chrono::milliseconds> &&
     std::constructible_from<G, std::string, int, std::chrono::milliseconds, std::size_t> &&
     requires(G& one, int rank, std::span<summand<float> const> parts, std::span<summand<double> const> exact_parts,
              float* data, double* exact, bf16* halves, f16* other_halves, std::size_t n,
              std::span<std::size_t const> slices) {
       one.barrier(rank);
       one.all_reduce(rank, parts, n);
       one.all_reduce(rank, exact_parts, n);
       one.all_reduce(rank, data, n);
       one.all_reduce(rank, exact, n);
       one.all_reduce(rank, halves, n);
       one.all_reduce(rank, other_halves, n);
       one.all_reduce_in_pairs(rank, data, n);
       one.all_reduce_in_pairs(rank, exact, n);
       one.all_reduce_max(rank, data, n);
       one.all_reduce_max(rank, exact, n);
       one.reduce_scatter(rank, data, data, slices);
       one.reduce_scatter(rank, exact, exact, slices);
       one.reduce_scatter(rank, halves, halves, slices);
       one.reduce_scatter(rank, other_halves, other_halves, slices);
       one.reduce_scatter_in_pairs(rank, data, data, slices);
       one.reduce_scatter_in_pairs(rank, exact, exact, slices);
       one.all_gather(rank, data, data, slices);
       one.all_gather(rank, exact, exact, slices);
       one.all_gather(rank, halves, halves, slices);
       one.all_gather(rank, other_halves, other_halves, slices);
       one.begin_sum(rank, n, data, n, slices, sum_order::in_pairs);
       one.begin_sum(rank, n, exact, n, slices, sum_order::in_pairs);
       one.template take_sum<float>(rank, n);
       one.template take_sum<double>(rank, n);
       one.end_sum(rank, n);
       one.broadcast(rank, rank, data, n);
       one.broadcast(rank, rank, exact, n);
       one.broadcast(rank, rank, halves, n);
       one.broadcast(rank, rank, other_halves, n);
       { one.bytes_brought(rank) } -> std::same_as<std::uint64_t>;
       one.open();
       one.abort();
     }) ||
    unsatisfied<"a group is made from (name, ranks, deadline) or (name, ranks, deadline, summands) and offers "
                "barrier(rank), all_reduce(rank, span<summand<T> const>, n), all_reduce(rank, T*, n), "
                "all_reduce_in_pairs(rank, T*, n), all_reduce_max(rank, T*, n), reduce_scatter(rank, T* parts, T* slice, "
                "slices), reduce_scatter_in_pairs, all_gather(rank, T* slice, T* whole, slices), broadcast(rank, root, T*, "
                "n), begin_sum(rank, number, T*, n, slices, order), take_sum<T>(rank, number), end_sum(rank, number), "
                "bytes_brought(rank), open() and abort()",
                G>();

/// Matrix products into T and into its accumulator.
template <class M, class T>
concept multiplies =
    requires(M& m, gemm_shape s, T const* in, T* out, accumulator_t<T>* sum) {
      m.gemm(s, in, in, out, in);
      m.gemm(s, in, in, sum, in);
    } ||
    unsatisfied<"a machine offers gemm(gemm_shape, T const* a, T const* b, U* c, T const* bias), U = T or its "
                "accumulator",
                M, T>();

/// A machine may also offer gemm_with_row_sum(gemm_shape, T const* a, T const* b, A* c, A* sum): gemm without a bias, and
/// sum[m] += the sum over k of op(a)[m,k]. With a = dy^T these are the gradients of a weight and of its bias, and dy is read
/// once. A is T's accumulator, and a is transposed.
template <class M, class T>
concept sums_within_products = requires(M& m, gemm_shape s, T const* in, accumulator_t<T>* sum) {
  m.template gemm_with_row_sum<T>(s, in, in, sum, sum);
};

/// A machine may also offer, gelu being gelu_tanh and gelu' its slope:
///   gemm_with_gelu(gemm_shape, T const* a, T const* b, T* c, T* y, T const* bias)         gemm, and y = gelu(c)
///   gemm_with_gelu_gradient(gemm_shape, T const* a, T const* b, T* c, T const* x)         c = (op(a) op(b)) gelu'(x)
/// Products need not be rounded before gelu; x is [m,n] as c, and nothing is accumulated.
template <class M, class T>
concept gelu_within_products = requires(M& m, gemm_shape s, T const* in, T* out) {
  m.template gemm_with_gelu<T>(s, in, in, out, out, in);
  m.template gemm_with_gelu_gradient<T>(s, in, in, out, in);
};

/// Attention, forward and backward.
template <class M, class T>
concept attends =
    requires(M& m, attention_shape s, T const* in, T* out, accumulator_t<T> const* kept, accumulator_t<T>* sum,
             std::int32_t const* lengths, score_bias<T> bias) {
      m.attention_forward(s, out, sum, in, in, in, lengths, bias);
      m.attention_backward(s, out, out, out, sum, sum, in, in, kept, in, in, in, lengths, bias, sum);
    } ||
    unsatisfied<"a machine offers attention_forward and attention_backward over an attention_shape", M, T>();

/// Normalisation over rows, forward and backward.
template <class M, class T>
concept normalises =
    requires(M& m, T const* in, T* out, accumulator_t<T> const* kept, accumulator_t<T>* sum, std::size_t n) {
      m.layer_norm_forward(out, sum, sum, in, in, in, n, n);
      m.layer_norm_backward(out, sum, sum, in, in, kept, kept, in, n, n);
      m.rms_norm_forward(out, sum, in, in, n, n);
      m.rms_norm_backward(out, sum, in, in, kept, in, n, n);
    } ||
    unsatisfied<"a machine offers layer_norm_forward, layer_norm_backward, rms_norm_forward and rms_norm_backward", M,
                T>();

/// Token and position tables, forward and backward.
template <class M, class T>
concept embeds =
    requires(M& m, T const* in, T* out, accumulator_t<T>* sum, accumulator_t<T> factor, std::int32_t const* ids,
             std::size_t n) {
      m.embedding_forward(out, in, ids, n, n, factor, id_slice{});
      m.embedding_backward(sum, in, ids, n, n, factor, id_slice{});
      m.positions_forward(out, in, in, n, n, n);
      m.positions_backward(sum, in, n, n, n);
      m.sinusoidal_table(out, n, n);
    } ||
    unsatisfied<"a machine offers embedding_forward, embedding_backward, positions_forward, positions_backward and "
                "sinusoidal_table",
                M, T>();

/// What is done to one element at a time.
template <class M, class T>
concept transforms =
    requires(M& m, T const* in, T* out, accumulator_t<T> const* wide, accumulator_t<T> factor, dropout_draw draw,
             rotary_shape turn, std::size_t n, float* as_float, std::int32_t* ids) {
      m.zero(out, n);
      m.copy(out, in, n);
      m.cast(out, wide, n);
      m.widen(as_float, in, n);
      m.fill_ids(ids, -1, n);
      m.add(out, in, n);
      m.add_bias(out, in, n, n);
      m.scale(out, in, factor, n);
      m.template activation_forward<gelu>(out, in, n);
      m.template activation_backward<gelu>(out, in, in, n);
      m.template gated_forward<gelu>(out, in, n, n);
      m.template gated_backward<gelu>(out, in, in, n, n);
      m.rotary(turn, out);
      m.dropout(out, in, draw, n, n, n);
      m.relu_dropout(out, in, draw, n, n, n);
      m.relu_dropout_backward(out, in, in, factor, n);
    } ||
    unsatisfied<"a machine offers zero, copy, cast, widen, fill_ids, add, add_bias, scale, activation_forward<F>, "
                "activation_backward<F>, gated_forward<F>, gated_backward<F>, rotary, dropout, relu_dropout and "
                "relu_dropout_backward",
                M, T>();

/// A machine may also offer together(f): squares, or updates by one optimizer, that f asks for, and it asks for nothing else,
/// are started together.
///
/// A machine need not, but may decide on updates by itself, so that nobody waits for it between gradients and update:
///   prepare_to_decide(losses, squares, first_portion)  once: where the host reads them; the layers' bounds among squares
///   begin_to_decide()                                  before add_squares of a step
///   decide(by)                                         by(sum of squares, sum of losses) is the decision
///   update<Optimizer>(..., decided_by_machine{}, ...)  by that decision
///   decided()                                          the same, when the machine has finished
template <class M>
concept decides_updates = requires(M& m, std::span<float> numbers, std::span<std::size_t const> bounds) {
  m.prepare_to_decide(numbers, numbers, bounds);
  m.begin_to_decide();
  { m.decided() } -> std::convertible_to<update_decision>;
};

/// Memory that the host may not be able to read, and results that it waits for.
template <class M, class T>
concept serves_the_host =
    requires(M& m, T const* in, float* as_float, std::int32_t const* lengths, std::size_t n, void* to, void const* from) {
      m.use();
      m.upload(to, from, n);
      m.download(to, from, n);
      m.last_rows(as_float, n, in, lengths, n, n, n);
      m.finish();
    } ||
    unsatisfied<"a machine offers use() to the thread that works with it, upload(to, from, bytes), download(to, from, bytes), "
                "last_rows, and finish(), after which the host's numbers are written", M, T>();

/// Sums over rows and elements, in a fixed order.
template <class M, class T>
concept reduces =
    requires(M& m, T const* in, T* out, accumulator_t<T> const* wide, accumulator_t<T>* sum, accumulator_t<T> factor,
             std::int32_t const* ids, std::size_t n) {
      m.column_sum(sum, in, n, n);
      m.cross_entropy(sum, out, ids, n, n, factor, factor, true);
      m.row_maxima(sum, in, n, n);
      m.cross_entropy_sums(sum, in, wide, ids, n, id_slice{}, true);
      m.cross_entropy_slice(sum, out, wide, wide, ids, n, n, id_slice{}, factor, factor, true);
      m.add_squares(sum, n, wide, n, n);
      { m.workspace_bytes() } -> std::same_as<std::size_t>;
    } ||
    unsatisfied<"a machine offers column_sum, cross_entropy, row_maxima, cross_entropy_sums, cross_entropy_slice, "
                "add_squares and workspace_bytes", M, T>();

namespace detail {

template <class M>
concept names_its_kind = requires {
  { M::kind } -> std::convertible_to<device_kind>;
} || unsatisfied<"a machine names the kind of its device: `static constexpr device_kind kind`", M>();

}  // namespace detail

/// Executes all operations of a model whose tensors are of type T. One thread uses it.
template <class M, class T>
concept machine = std::default_initializable<M> && detail::names_its_kind<M> && multiplies<M, T> && attends<M, T> && normalises<M, T> &&
                  embeds<M, T> && transforms<M, T> && reduces<M, T> && serves_the_host<M, T>;

/// A machine room: what a trainer is built on.
template <class B>
concept backend =
    (requires {
      typename B::machine;
      typename B::memory;
      typename B::channel;
      typename B::group;
      { B::kind } -> std::convertible_to<device_kind>;
    } ||
     unsatisfied<"a backend names its machine, memory, channel and group, and the kind of its devices", B>()) &&
    memory_resource<typename B::memory> && channel<typename B::channel> && group<typename B::group> &&
    machine<typename B::machine, float> && machine<typename B::machine, bf16> && machine<typename B::machine, f16>;

}  // namespace mpx
