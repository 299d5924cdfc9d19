// The operations of a CUDA device over the host's memory, run by emulated blocks. It needs neither a GPU nor CUDA.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <vector>

#include <mpx/cuda/operations.hpp>
#include <mpx/host/memory.hpp>

#include "emulation.hpp"

namespace test {

class emulated_gpu {
 public:
  void use() {}
  void upload(void* to, void const* from, std::size_t bytes) { copy(to, from, bytes); }
  void download(void* to, void const* from, std::size_t bytes) { copy(to, from, bytes); }
  void zero(void* to, std::size_t bytes) {
    if (bytes != 0) std::memset(to, 0, bytes);
  }
  void copy(void* to, void const* from, std::size_t bytes) {
    if (bytes != 0) std::memcpy(to, from, bytes);
  }
  void finish() {
    for (auto const& one : asked_)
      for (std::size_t i = 0; i < one.values.size(); ++i) {
        float& to = one.to[i / one.width * one.stride + i % one.width];
        to = one.added ? to + one.values[i] : one.values[i];
      }
    asked_.clear();
  }

 protected:
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
  float* written_to(float* to) { return rows_written_to(to, 1, 1, 1); }
  float* rows_written_to(float* to, std::size_t stride, std::size_t rows, std::size_t width) {
    asked_.push_back({to, stride, width, false, std::vector<float>(rows * width, std::numeric_limits<float>::quiet_NaN())});
    return asked_.back().values.data();
  }
  float* rows_added_to(float* to, std::size_t stride, std::size_t rows, std::size_t width) {
    float* const from = rows_written_to(to, stride, rows, width);
    asked_.back().added = true;
    return from;
  }

 private:
  struct asked {
    float* to;
    std::size_t stride, width;
    bool added;
    std::vector<float> values;
  };
  std::vector<float> scratch_;
  std::vector<std::int32_t> ids_, rows_;  ///< sorted
  std::deque<asked> asked_;
};

struct emulated_backend {
  using machine = mpx::on_cuda::operations<emulated_gpu>;
  using memory = mpx::on_host::memory;
};

}  // namespace test
