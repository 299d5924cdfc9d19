/// @file
/// The CUDA device that executes a model's operations: each one starts kernels in its thread's queue and returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <mpx/backend/operations.hpp>
#include <mpx/backend/pass_name.hpp>
#include <mpx/core/device.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/cuda/check.hpp>
#include <mpx/cuda/gemm.hpp>
#include <mpx/cuda/graph.hpp>
#include <mpx/cuda/launch.hpp>
#include <mpx/cuda/memory.hpp>
#include <mpx/cuda/operations.hpp>
#include <mpx/cuda/results.hpp>
#include <mpx/cuda/sort.hpp>
#include <mpx/cuda/staging.hpp>
#include <mpx/cuda/sums.hpp>
#include <mpx/cuda/tape.hpp>

namespace mpx::on_cuda {

namespace queued {

// What the queue is asked for.
template <class Body>
struct start {
  Body body;
  void operator()() const { launch(body); }
};
struct clear_bytes {
  void* to;
  std::size_t bytes;
  void operator()() const { check(cudaMemsetAsync(to, 0, bytes, queue()), "clear memory"); }
  friend bool operator==(clear_bytes const&, clear_bytes const&) = default;
};
struct copy_bytes {
  void* to;
  void const* from;
  std::size_t bytes;
  void operator()() const { check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, queue()), "copy"); }
  friend bool operator==(copy_bytes const&, copy_bytes const&) = default;
};
struct sort_ids {
  std::int32_t const* ids;
  std::size_t rows;
  float* memory;
  void operator()() const { sort_rows(ids, rows, memory); }
  friend bool operator==(sort_ids const&, sort_ids const&) = default;
};
template <class T, class U>
struct product {
  gemm* by;
  gemm_shape shape;
  T const* a;
  T const* b;
  U* c;
  T const* bias;
  void operator()() const { (*by)(shape, a, b, c, bias); }
  friend bool operator==(product const&, product const&) = default;
};
template <class T>
struct product_and_gelu {
  gemm* by;
  gemm_shape shape;
  T const* a;
  T const* b;
  T* c;
  T* y;
  T const* bias;
  void operator()() const { by->with_gelu(shape, a, b, c, y, bias); }
  friend bool operator==(product_and_gelu const&, product_and_gelu const&) = default;
};
template <class T>
struct product_and_gelu_gradient {
  gemm* by;
  gemm_shape shape;
  T const* a;
  T const* b;
  T* c;
  T const* x;
  void operator()() const { by->with_gelu_gradient(shape, a, b, c, x); }
  friend bool operator==(product_and_gelu_gradient const&, product_and_gelu_gradient const&) = default;
};

}  // namespace queued

/// Memory of the host that the GPU reaches.
struct pinned_floats {
  static float* take(std::size_t n) {
    void* begin = nullptr;
    check(cudaHostAlloc(&begin, n * sizeof(float), cudaHostAllocPortable), "take memory for results");
    return static_cast<float*>(begin);
  }
  static void release(float* one) { cudaFreeHost(one); }
};

/// One GPU. Tensors are in its memory; numbers that the host reads (losses, sums of squares, logits) are where they belong
/// when finish() returns.
/// Errors  throws mpx::error when CUDA fails, which may be noticed by a later call
class gpu {
 public:
  explicit gpu(int ordinal = 0) : ordinal_(ordinal) { use(); }

  /// The calling thread works on this GPU from now on.
  void use() { use_device(ordinal_); }

  /// A pass whose operations come again: from the third of its name on, the GPU is asked for all of them in one call.
  template <class Pass>
  void repeat(pass_name const& name, Pass&& pass) {
    tape_.repeat(name, pass);
  }

  /// Losses and squares, which the host reads, have a place on the GPU too: it decides on updates itself from now on.
  /// Shapes  losses: [microbatches]; squares: [portions, 2], of slices and of copies; first_portion: [layers + 1]
  void prepare_to_decide(std::span<float> losses, std::span<float> squares, std::span<std::size_t const> first_portion) {
    decision_memory_ = memory(decision_operands::bytes(losses.size(), squares.size(), first_portion.size()), ordinal_);
    decision_ = {decision_memory_.data(), losses.size(), squares.size(), first_portion.size()};
    upload(decision_.first_portion, first_portion.data(), first_portion.size_bytes());
    results_.keep(losses.data(), losses.size(), decision_.losses);
    results_.keep(squares.data(), squares.size(), decision_.squares);
    results_.keep(as_floats(&decided_), sizeof decided_ / sizeof(float), as_floats(decision_.decision));
    wait_for_queue();  // the thread that decides has another one
  }

  /// What it has decided, when finish() returns.
  [[nodiscard]] update_decision const& decided() const noexcept { return decided_; }
  /// Passes that one call has started.
  [[nodiscard]] std::size_t pass_starts() const noexcept { return tape_.starts(); }

  // Who takes the queue ends the pass that is open: so do the next two, and finish().
  /// `from`, the host's, may be used again when it returns.
  void upload(void* to, void const* from, std::size_t bytes) {
    if (bytes == 0) return;
    check(cudaMemcpyAsync(to, staging_.copied(from, bytes), bytes, cudaMemcpyHostToDevice, queue()), "take what the host has");
  }
  /// `to`, the host's, is written when it returns.
  void download(void* to, void const* from, std::size_t bytes) {
    if (bytes != 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, queue()), "give what the host asks for");
    wait_for_queue();
  }
  void zero(void* to, std::size_t bytes) {
    if (bytes != 0) ask(queued::clear_bytes{to, bytes});
  }
  void copy(void* to, void const* from, std::size_t bytes) {
    if (bytes != 0) ask(queued::copy_bytes{to, from, bytes});
  }
  /// Everything that this thread has asked for is done.
  void finish() {
    results_.each_kept([](float* on_host, float const* on_gpu, std::size_t n) {
      check(cudaMemcpyAsync(on_host, on_gpu, n * sizeof(float), cudaMemcpyDeviceToHost, queue()), "give the host its numbers");
    });
    wait_for_queue();
    staging_.reset();
    results_.hand_out();
  }

 protected:
  /// Now, or with the pass that it is part of.
  template <class Operation>
  void ask(Operation const& one) {
    tape_.call(one);
  }
  template <class Body>
  void run(Body const& body) {
    ask(queued::start<Body>{body});
  }
  float* scratch(std::size_t floats) {
    return reinterpret_cast<float*>(scratch_.of(floats * sizeof(float), ordinal_));
  }
  rows_by_id sorted(std::int32_t const* ids, std::size_t rows) {
    float* const memory = scratch(sort_memory<std::int32_t>(rows));
    ask(queued::sort_ids{ids, rows, memory});
    return sorted_in(memory, rows);
  }
  float* written_to(float* to) { return results_.written_to(to); }
  float* rows_written_to(float* to, std::size_t stride, std::size_t rows, std::size_t width) {
    return results_.rows_written_to(to, stride, rows, width);
  }
  number_places added_to(float* to, std::size_t stride, std::size_t count) { return results_.added_to(to, stride, count); }
  [[nodiscard]] decision_operands const& decision() const noexcept { return decision_; }
  void decision_is_asked_for() { results_.is_written(as_floats(&decided_)); }
  [[nodiscard]] std::size_t own_bytes() const noexcept { return scratch_.size() + decision_memory_.size(); }
  [[nodiscard]] int ordinal() const noexcept { return ordinal_; }

 private:
  int ordinal_;
  growing_memory scratch_;
  staging<pinned_floats> staging_;
  results<pinned_floats> results_;
  memory decision_memory_;
  decision_operands decision_;
  update_decision decided_;
  tape<graph_recorder> tape_;
};

/// All operations of a layer, on one GPU.
/// Types   T in {float, bf16, f16}
class machine : public operations<gpu> {
 public:
  static constexpr device_kind kind = device_kind::cuda;

  explicit machine(int ordinal = 0) : operations(ordinal), multiply_(ordinal) {}

  /// c[m,n] = (accumulate ? c : 0) + op(a)[m,k] op(b)[k,n] + (bias ? bias[n] : 0), summed in f32, rounded once.
  /// Shapes  a: [m,k], or [k,m] when transposed; b: [k,n], or [n,k] when transposed; a bias only without accumulate
  template <class T, class U>
  void gemm(gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    this->ask(queued::product<T, U>{&multiply_, s, a, b, c, bias});
  }
  /// gemm, and y = gelu_tanh(c); in bf16 of c before it is rounded, where cublasLt has that.
  template <class T>
  void gemm_with_gelu(gemm_shape const& s, T const* a, T const* b, T* c, T* y, T const* bias) {
    this->ask(queued::product_and_gelu<T>{&multiply_, s, a, b, c, y, bias});
  }
  /// c = (op(a) op(b)) gelu_tanh'(x), rounded once in bf16 where cublasLt has that
  /// Shapes  x: [m,n]
  template <class T>
  void gemm_with_gelu_gradient(gemm_shape const& s, T const* a, T const* b, T* c, T const* x) {
    this->ask(queued::product_and_gelu_gradient<T>{&multiply_, s, a, b, c, x});
  }

  /// What cublasLt, sums over blocks and decisions take beside the plan's memory. It grows at the first use of a shape.
  /// Units   bytes
  [[nodiscard]] std::size_t workspace_bytes() const noexcept { return multiply_.workspace_bytes() + this->own_bytes(); }

 protected:
  on_cuda::gemm multiply_;
};

}  // namespace mpx::on_cuda
