/// @file
/// Numbers that kernels write and the host reads.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <mpx/cuda/check.hpp>

namespace mpx::on_cuda {

/// Kernels write into memory of the host that does not move; when they are done, the numbers are handed out to where they
/// were asked for, in the order of asking. So a step waits for the GPU once, not once for each number.
class results {
 public:
  results() = default;
  results(results&& other) noexcept
      : blocks_(std::exchange(other.blocks_, {})),
        asked_(std::exchange(other.asked_, {})),
        at_(std::exchange(other.at_, 0)),
        used_(std::exchange(other.used_, 0)) {}
  results& operator=(results&&) = delete;
  ~results() {
    for (auto const& one : blocks_) cudaFreeHost(one.begin);
  }

  /// Where a kernel writes what *to becomes.
  [[nodiscard]] float* written_to(float* to) { return rows_written_to(to, 1, 1, 1); }
  /// Where a kernel writes [rows, width], which become rows of `stride` elements.
  [[nodiscard]] float* rows_written_to(float* to, std::size_t stride, std::size_t rows, std::size_t width) {
    float* const from = taken(rows * width);
    asked_.push_back({from, to, stride, rows, width, false});
    return from;
  }
  /// Where a kernel writes [rows, width], which are added to rows of `stride` elements.
  [[nodiscard]] float* rows_added_to(float* to, std::size_t stride, std::size_t rows, std::size_t width) {
    float* const from = rows_written_to(to, stride, rows, width);
    asked_.back().added = true;
    return from;
  }

  /// Only when the kernels are done.
  void hand_out() {
    for (auto const& one : asked_)
      for (std::size_t r = 0; r < one.rows; ++r)
        for (std::size_t c = 0; c < one.width; ++c) {
          float& to = one.to[r * one.stride + c];
          float const from = one.from[r * one.width + c];
          to = one.added ? to + from : from;
        }
    asked_.clear();
    at_ = used_ = 0;
  }

 private:
  struct block {
    float* begin;
    std::size_t size;
  };
  struct asked {
    float const* from;
    float* to;
    std::size_t stride, rows, width;
    bool added;
  };

  float* taken(std::size_t n) {
    while (at_ < blocks_.size() && used_ + n > blocks_[at_].size) {
      ++at_;
      used_ = 0;
    }
    if (at_ == blocks_.size()) grow(n > 4096 ? n : 4096);
    used_ += n;
    return blocks_[at_].begin + used_ - n;
  }
  void grow(std::size_t n) {
    void* begin = nullptr;
    check(cudaHostAlloc(&begin, n * sizeof(float), cudaHostAllocPortable), "take memory for results");
    blocks_.push_back({static_cast<float*>(begin), n});
  }

  std::vector<block> blocks_;
  std::vector<asked> asked_;
  std::size_t at_ = 0;    ///< the block that numbers are taken from
  std::size_t used_ = 0;  ///< of it
};

}  // namespace mpx::on_cuda
