/// @file
/// The operations of a CUDA device, as bodies that it runs one after the other.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <mpx/backend/operations.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/core/error.hpp>
#include <mpx/core/extent.hpp>
#include <mpx/cuda/attention.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/elements.hpp>
#include <mpx/cuda/matrix_attention.hpp>
#include <mpx/cuda/row_sums.hpp>
#include <mpx/cuda/rows.hpp>
#include <mpx/cuda/side_by_side.hpp>
#include <mpx/cuda/sums.hpp>

namespace mpx::on_cuda {

/// All operations of a layer but products. `Device` runs bodies: a GPU, or threads of the processor in tests. It offers
///   run(body), zero(to, bytes), copy(to, from, bytes), and ask(operation) for what else stands in its queue (tape.hpp)
///   scratch(floats)                                 memory for what blocks hand to each other within one operation
///   sorted(ids, rows)                               rows_by_id, which the next operation may write over
///   written_to(to)                                  where a body writes what the host's number *to becomes
///   rows_written_to(to, stride, rows, width)        the same for rows of numbers
///   added_to(to, stride, count)                     number_places of what every `stride`-th of them grows by
///   decision(), decision_is_asked_for()             decision_operands, where the device has prepared to decide
/// Types   T in {float, bf16, f16}; A = accumulator_t<T>
/// Errors  throws mpx::error when a head is wider than most_head_width
template <class Device>
class operations : public Device {
 public:
  using Device::Device;
  template <class T> using A = accumulator_t<T>;

  // --- attention -------------------------------------------------------------------------------------------------------
  template <class T>
  void attention_forward(attention_shape const& s, T* o, A<T>* lse, T const* q, T const* k, T const* v,
                         std::int32_t const* lengths, score_bias<std::type_identity_t<T>> const& bias = {}) {
    check_head_width(s);
    if constexpr (sizeof(T) == 2) {
      if (s.head_width <= most_matrix_head_width) return with_padded_width(s.head_width, [&](auto width) {
          this->run(matrix_attention_forward<T, width()>{s, o, lse, q, k, v, lengths, bias});
        });
    }
    this->run(on_cuda::attention_forward<T>{s, o, lse, q, k, v, lengths, bias});
  }
  /// The scratch that the host adds dq up in is not needed.
  template <class T>
  void attention_backward(attention_shape const& s, T* dq, T* dk, T* dv, A<T>*, A<T>* delta, T const* d_o, T const* o,
                          A<T> const* lse, T const* q, T const* k, T const* v, std::int32_t const* lengths,
                          score_bias<std::type_identity_t<T>> const& bias = {}, A<T>* d_bias = nullptr) {
    check_head_width(s);
    this->run(attention_delta<T>{delta, d_o, o, s.sequences * s.query_tokens * s.heads, s.head_width});
    attention_gradient_operands<T> const of{s, d_o, q, k, v, lse, delta, lengths, bias};
    if constexpr (sizeof(T) == 2) {
      if (s.head_width <= most_matrix_head_width) return with_padded_width(s.head_width, [&](auto width) {
          run_backward<matrix_attention_key_gradients<T, width()>, matrix_attention_query_gradients<T, width()>>(of, dq, dk, dv,
                                                                                                                d_bias);
        });
    }
    run_backward<attention_key_gradients<T>, attention_query_gradients<T>>(of, dq, dk, dv, d_bias);
  }

  // --- norms -----------------------------------------------------------------------------------------------------------
  template <class T>
  void layer_norm_forward(T* y, A<T>* mean, A<T>* rstd, T const* x, T const* weight, T const* bias, std::size_t rows,
                          std::size_t width) {
    this->run(on_cuda::layer_norm_forward<T>{y, mean, rstd, x, weight, bias, rows, width});
  }
  template <class T>
  void layer_norm_backward(T* dx, A<T>* dweight, A<T>* dbias, T const* dy, T const* x, A<T> const* mean,
                           A<T> const* rstd, T const* weight, std::size_t rows, std::size_t width) {
    if (dweight) {
      row_chunks const chunks{rows, width};
      float *const weights = this->scratch(2 * chunks.elements()), *const biases = weights + chunks.elements();
      this->run(layer_norm_parameter_gradients<T>{weights, biases, dy, x, mean, rstd, chunks});
      this->run(add_rows<float>{dweight, weights, chunks.count(), width});
      this->run(add_rows<float>{dbias, biases, chunks.count(), width});
    }
    if (dx) this->run(layer_norm_input_gradient<T>{dx, dy, x, mean, rstd, weight, rows, width});
  }
  template <class T>
  void rms_norm_forward(T* y, A<T>* rstd, T const* x, T const* weight, std::size_t rows, std::size_t width) {
    this->run(on_cuda::rms_norm_forward<T>{y, rstd, x, weight, rows, width});
  }
  template <class T>
  void rms_norm_backward(T* dx, A<T>* dweight, T const* dy, T const* x, A<T> const* rstd, T const* weight,
                         std::size_t rows, std::size_t width) {
    if (dweight) {
      row_chunks const chunks{rows, width};
      float* const weights = this->scratch(chunks.elements());
      this->run(rms_norm_parameter_gradients<T>{weights, dy, x, rstd, chunks});
      this->run(add_rows<float>{dweight, weights, chunks.count(), width});
    }
    if (dx) this->run(rms_norm_input_gradient<T>{dx, dy, x, rstd, weight, rows, width});
  }

  // --- tables ----------------------------------------------------------------------------------------------------------
  template <class T>
  void embedding_forward(T* y, T const* table, std::int32_t const* ids, std::size_t rows, std::size_t width,
                         A<T> factor, id_slice mine) {
    this->run(on_cuda::embedding_forward<T>{y, table, ids, rows, width, factor, mine});
  }
  template <class T>
  void embedding_backward(A<T>* dtable, T const* dy, std::int32_t const* ids, std::size_t rows, std::size_t width,
                          A<T> factor, id_slice mine) {
    if (rows > 0) this->run(on_cuda::embedding_backward<T>{dtable, dy, this->sorted(ids, rows), rows, width, factor, mine});
  }
  template <class T>
  void positions_forward(T* y, T const* x, T const* table, std::size_t sequences, std::size_t tokens, std::size_t width) {
    this->run(on_cuda::positions_forward<T>{y, x, table, sequences, tokens * width});
  }
  template <class T>
  void positions_backward(A<T>* dtable, T const* dy, std::size_t sequences, std::size_t tokens, std::size_t width) {
    this->run(add_rows<T>{dtable, dy, sequences, tokens * width});
  }
  template <class T>
  void sinusoidal_table(T* table, std::size_t context, std::size_t width) {
    this->run(on_cuda::sinusoidal_table<T>{table, context, width});
  }

  // --- element by element ----------------------------------------------------------------------------------------------
  template <class T> void cast(T* to, A<T> const* from, std::size_t n) { this->run(on_cuda::cast<T>{to, from, n}); }
  template <class T> void widen(float* to, T const* from, std::size_t n) { this->run(on_cuda::widen<T>{to, from, n}); }
  void fill_ids(std::int32_t* to, std::int32_t id, std::size_t n) { this->run(on_cuda::fill_ids{to, id, n}); }
  template <class T> void add(T* y, T const* x, std::size_t n) { this->run(on_cuda::add<T>{y, x, n}); }
  template <class T> void add_bias(T* x, T const* bias, std::size_t rows, std::size_t width) {
    positions_forward(x, x, bias, rows, 1, width);
  }
  template <class T> void scale(T* y, T const* x, A<T> factor, std::size_t n) {
    this->run(on_cuda::scale<T>{y, x, factor, n});
  }
  template <class Function, class T> void activation_forward(T* y, T const* x, std::size_t n) {
    this->run(on_cuda::activation_forward<Function, T>{y, x, n});
  }
  template <class Function, class T> void activation_backward(T* dx, T const* dy, T const* x, std::size_t n) {
    this->run(on_cuda::activation_backward<Function, T>{dx, dy, x, n});
  }
  template <class Function, class T> void gated_forward(T* y, T const* x, std::size_t rows, std::size_t width) {
    this->run(on_cuda::gated_forward<Function, T>{y, x, rows, width});
  }
  template <class Function, class T>
  void gated_backward(T* dx, T const* dy, T const* x, std::size_t rows, std::size_t width) {
    this->run(on_cuda::gated_backward<Function, T>{dx, dy, x, rows, width});
  }
  template <class T> void rotary(rotary_shape const& s, T* x) { this->run(on_cuda::rotary<T>{s, x}); }
  template <class T>
  void dropout(T* y, T const* x, dropout_draw draw, std::size_t sequences, std::size_t tokens, std::size_t width) {
    if (draw.rate != 0.0f) this->run(on_cuda::dropout<T>{y, x, draw, sequences, tokens, width});
    else if (y != x) this->copy(y, x, sequences * tokens * width * sizeof(T));
  }
  template <class T>
  void relu_dropout(T* y, T const* x, dropout_draw draw, std::size_t sequences, std::size_t tokens, std::size_t width) {
    if (draw.rate != 0.0f) this->run(on_cuda::relu_dropout<T>{y, x, draw, sequences, tokens, width});
    else activation_forward<relu>(y, x, sequences * tokens * width);
  }
  template <class T> void relu_dropout_backward(T* dx, T const* dy, T const* y, A<T> factor, std::size_t n) {
    this->run(on_cuda::relu_dropout_backward<T>{dx, dy, y, factor, n});
  }

  // --- sums ------------------------------------------------------------------------------------------------------------
  template <class T> void column_sum(A<T>* sum, T const* x, std::size_t rows, std::size_t width) {
    row_chunks const chunks{rows, width};
    float* const sums = this->scratch(chunks.elements());
    this->run(chunk_column_sums<T>{sums, x, chunks});
    this->run(add_rows<float>{sum, sums, chunks.count(), width});
  }
  /// *loss, a number of the host's, is the sum of the rows' when finish() returns.
  template <class T>
  void cross_entropy(A<T>* loss, T* logits, std::int32_t const* targets, std::size_t rows, std::size_t vocabulary,
                     A<T> smoothing, A<T> gradient_scale, bool with_gradient) {
    float* const losses = this->scratch(rows);
    this->run(on_cuda::cross_entropy<T>{losses, logits, targets, rows, vocabulary, smoothing, gradient_scale, with_gradient});
    this->run(totals_of{{this->written_to(loss)}, 1, losses, rows, rows});
  }
  template <class T> void row_maxima(A<T>* high, T const* x, std::size_t rows, std::size_t width) {
    this->run(on_cuda::row_maxima<T>{high, x, rows, width});
  }
  template <class T>
  void cross_entropy_sums(A<T>* sums, T const* logits, A<T> const* high, std::int32_t const* targets, std::size_t rows,
                          id_slice mine, bool with_all) {
    this->run(on_cuda::cross_entropy_sums<T>{sums, logits, high, targets, rows, mine, with_all});
  }
  /// *loss as in cross_entropy.
  template <class T>
  void cross_entropy_slice(A<T>* loss, T* logits, A<T> const* high, A<T> const* sums, std::int32_t const* targets,
                           std::size_t rows, std::size_t vocabulary, id_slice mine, A<T> smoothing, A<T> gradient_scale,
                           bool with_gradient) {
    float* const losses = this->scratch(rows);
    this->run(on_cuda::cross_entropy_slice<T>{losses, logits, high, sums, targets, rows, vocabulary, mine, smoothing,
                                           gradient_scale, with_gradient});
    this->run(totals_of{{this->written_to(loss)}, 1, losses, rows, rows});
  }
  /// Every `stride`-th of the host's numbers grows by the squares of a portion of x when finish() returns.
  /// Shapes  sums: [ceil(n / portion)] numbers, `stride` apart; x: [n]
  void add_squares(float* sums, std::size_t stride, float const* x, std::size_t n, std::size_t portion) {
    gathered_squares_.push_back({this->added_to(sums, stride, portion_chunks{n, portion}.portions()), x, {n, portion}});
    if (!gathers_) start_gathered();
  }
  /// Squares, or updates of one kind, that f asks for - and it asks for nothing else - are started together.
  template <class F>
  void together(F&& f) {
    gathers_ = true;
    try {
      f();
    } catch (...) {
      gathers_ = false;
      gathered_squares_.clear();
      gathered_updates_.start = nullptr;
      throw;
    }
    gathers_ = false;
    start_gathered();
  }
  /// The last row of each sequence, in the host's memory when finish() returns.
  /// Shapes  to: [sequences] rows of `stride` elements, x: [sequences, tokens, width], lengths: [sequences]
  template <class T>
  void last_rows(float* to, std::size_t stride, T const* x, std::int32_t const* lengths, std::size_t sequences,
                 std::size_t tokens, std::size_t width) {
    if (sequences == 0) return;
    float* const from = this->rows_written_to(to, stride, sequences, width);
    this->run(on_cuda::last_rows<T>{from, x, lengths, sequences, tokens, width});
  }

  // --- the optimizer ---------------------------------------------------------------------------------------------------
  template <class Optimizer, class Constants, class T, class Sum, std::size_t States, std::invocable<Sum> Bound>
  void update(Constants const& constants, Sum* master, T* weights, Sum const* gradient, std::array<Sum*, States> state,
              std::size_t n, std::type_identity_t<Sum> factor, Bound bound) {
    gather(on_cuda::update<Optimizer, T, Bound>{constants, master, weights, gradient, state, n, factor, nullptr, bound});
  }
  template <class Optimizer, class Constants, class T, class Sum, std::size_t States, std::invocable<Sum> Bound>
  void update(Constants const& constants, Sum* master, T* weights, Sum const* gradient, std::array<Sum*, States> state,
              std::size_t n, decided_by_machine, Bound bound) {
    gather(on_cuda::update<Optimizer, T, Bound>{constants, master, weights, gradient, state, n, Sum(0),
                                                this->decision().decision, bound});
  }
  /// Before the squares of a step that the device decides on, which are added up from 0.
  void begin_to_decide() {
    decision_operands const of = this->decision();
    this->zero(of.squares, 2 * of.portions * sizeof(float));
  }
  /// by(squares, loss) is what updates go by that are decided_by_machine.
  template <class Decides>
  void decide(Decides const& by) {
    this->run(on_cuda::decide<Decides>{this->decision(), by});
    this->decision_is_asked_for();
  }

 private:
  struct squares_of {
    number_places totals;
    float const* x;
    portion_chunks chunks;
  };
  /// Bodies that wait for others: a side_by_side of any kind, and how it is started.
  struct waiting {
    alignas(16) std::array<std::byte, 4096> bodies;
    void (*start)(operations&) = nullptr;
  };

  template <class Body>
  void gather(Body const& one) {
    using all = side_by_side<Body>;
    static_assert(sizeof(all) <= sizeof gathered_updates_.bodies && std::is_trivially_copyable_v<all>);
    constexpr auto run_them = +[](operations& self) {
      self.run(*reinterpret_cast<all const*>(self.gathered_updates_.bodies.data()));
    };
    if (gathered_updates_.start != run_them) {
      start_gathered();
      ::new (gathered_updates_.bodies.data()) all{};
      gathered_updates_.start = run_them;
    }
    add_to(*reinterpret_cast<all*>(gathered_updates_.bodies.data()), one);
    if (!gathers_) start_gathered();
  }
  /// Starts those that are there, where one more does not fit.
  template <class Body>
  void add_to(side_by_side<Body>& all, Body const& one) {
    if (all.add(one)) return;
    this->run(all);
    all = {};
    static_cast<void>(all.add(one));
  }
  void start_gathered() {
    if (auto* const run_them = std::exchange(gathered_updates_.start, nullptr)) run_them(*this);
    if (gathered_squares_.empty()) return;
    std::size_t count = 0;
    for (auto const& one : gathered_squares_) count += one.chunks.count();
    float* const squares = this->scratch(count);
    each_side_by_side<chunk_squares>(squares, [](squares_of const& of, float* sums) {
      return chunk_squares{sums, of.x, of.chunks};
    });
    each_side_by_side<totals_of>(squares, [](squares_of const& of, float* sums) {
      return totals_of{of.totals, of.chunks.portions(), sums, of.chunks.count(), of.chunks.of_each()};
    });
    gathered_squares_.clear();
  }
  /// Starts made(of, where its chunks' sums are) for all gathered squares.
  template <class Body, class Made>
  void each_side_by_side(float* sums, Made made) {
    side_by_side<Body> all{};
    for (auto const& of : gathered_squares_) {
      add_to(all, made(of, sums));
      sums += of.chunks.count();
    }
    this->run(all);
  }

  template <class KeyGradients, class QueryGradients, class T>
  void run_backward(attention_gradient_operands<T> const& of, T* dq, T* dk, T* dv, A<T>* d_bias) {
    this->run(KeyGradients{of, dk, dv});
    auto const& s = of.s;
    std::size_t const tiles = QueryGradients::tiles(s), buckets = of.bias.buckets.count();
    bool const with_bias = of.bias.weight != nullptr && d_bias != nullptr;
    float* const shares = with_bias ? this->scratch(s.sequences * s.heads * tiles * buckets) : nullptr;
    this->run(QueryGradients{of, dq, shares});
    if (with_bias) this->run(attention_bias_gradient{d_bias, shares, s.sequences, s.heads, tiles, buckets});
  }
  /// Bodies on the matrix units are compiled for these widths of a head; others are padded to the next.
  template <class F>
  static void with_padded_width(std::size_t head_width, F f) {
    if (head_width <= 32) f(std::integral_constant<unsigned, 32>{});
    else if (head_width <= 64) f(std::integral_constant<unsigned, 64>{});
    else f(std::integral_constant<unsigned, most_matrix_head_width>{});
  }
  static void check_head_width(attention_shape const& s) {
    if (s.head_width > most_head_width)
      throw error({.what = "head too wide", .where = "attention on a cuda device",
                   .expected = "at most " + std::to_string(most_head_width), .got = std::to_string(s.head_width)});
  }

  bool gathers_ = false;
  std::vector<squares_of> gathered_squares_;
  waiting gathered_updates_;
};

}  // namespace mpx::on_cuda
