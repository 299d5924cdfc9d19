// The operations of a CUDA device over the host's memory, run by emulated blocks. It needs neither a GPU nor CUDA.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include <mpx/cuda/operations.hpp>
#include <mpx/cuda/results.hpp>
#include <mpx/cuda/staging.hpp>
#include <mpx/host/memory.hpp>

#include "emulation.hpp"

namespace test {

class emulated_gpu {
 public:
  void use() {}
  void upload(void* to, void const* from, std::size_t bytes) { copy(to, staging_.copied(from, bytes), bytes); }
  void download(void* to, void const* from, std::size_t bytes) { copy(to, from, bytes); }
  void zero(void* to, std::size_t bytes) {
    if (bytes != 0) std::memset(to, 0, bytes);
  }
  void copy(void* to, void const* from, std::size_t bytes) {
    if (bytes != 0) std::memcpy(to, from, bytes);
  }
  void finish() {
    results_.each_kept([](float* on_host, float const* on_gpu, std::size_t n) { std::copy_n(on_gpu, n, on_host); });
    staging_.reset();
    results_.hand_out();
  }
  void prepare_to_decide(std::span<float> losses, std::span<float> squares, std::span<std::size_t const> first_portion) {
    using mpx::on_cuda::decision_operands;
    decision_memory_ = mpx::on_host::memory(decision_operands::bytes(losses.size(), squares.size(), first_portion.size()));
    decision_ = {decision_memory_.data(), losses.size(), squares.size(), first_portion.size()};
    std::copy(first_portion.begin(), first_portion.end(), decision_.first_portion);
    results_.keep(losses.data(), losses.size(), decision_.losses);
    results_.keep(squares.data(), squares.size(), decision_.squares);
    using mpx::on_cuda::as_floats;
    results_.keep(as_floats(&decided_), sizeof decided_ / sizeof(float), as_floats(decision_.decision));
  }

  [[nodiscard]] mpx::update_decision const& decided() const { return decided_; }

 protected:
  template <class Operation>
  void ask(Operation const& one) {
    one();
  }
  template <class Body>
  void run(Body const& body) {
    emulate(body);
  }
  float* scratch(std::size_t floats) {
    scratch_.assign(floats, std::numeric_limits<float>::quiet_NaN());
    return scratch_.data();
  }
  mpx::on_cuda::rows_by_id sorted(std::int32_t const* ids, std::size_t rows) {
    rows_.resize(rows);
    emulate(mpx::on_cuda::number_ids{rows_.data(), rows});
    std::stable_sort(rows_.begin(), rows_.end(), [&](std::int32_t a, std::int32_t b) { return ids[a] < ids[b]; });
    ids_.resize(rows);
    for (std::size_t i = 0; i < rows; ++i) ids_[i] = ids[rows_[i]];
    return {ids_.data(), rows_.data()};
  }
  float* written_to(float* to) { return results_.written_to(to); }
  float* rows_written_to(float* to, std::size_t stride, std::size_t rows, std::size_t width) {
    return results_.rows_written_to(to, stride, rows, width);
  }
  mpx::on_cuda::number_places added_to(float* to, std::size_t stride, std::size_t count) {
    return results_.added_to(to, stride, count);
  }
  [[nodiscard]] mpx::on_cuda::decision_operands const& decision() const { return decision_; }
  void decision_is_asked_for() { results_.is_written(mpx::on_cuda::as_floats(&decided_)); }

 private:
  struct shared_floats {
    static float* take(std::size_t n) {
      float* const all = new float[n];
      std::fill_n(all, n, std::numeric_limits<float>::quiet_NaN());
      return all;
    }
    static void release(float* one) { delete[] one; }
  };
  std::vector<float> scratch_;
  std::vector<std::int32_t> ids_, rows_;  ///< sorted
  mpx::on_cuda::staging<shared_floats> staging_;
  mpx::on_cuda::results<shared_floats> results_;
  mpx::on_host::memory decision_memory_;
  mpx::on_cuda::decision_operands decision_;
  mpx::update_decision decided_;
};

struct emulated_backend {
  using machine = mpx::on_cuda::operations<emulated_gpu>;
  using memory = mpx::on_host::memory;
};

}  // namespace test
