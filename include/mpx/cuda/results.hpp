/// @file
/// Numbers that kernels write and the host reads.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

namespace mpx::on_cuda {

/// Where a kernel writes numbers, `stride` apart, or adds to those that stand there.
struct number_places {
  float* at = nullptr;
  std::size_t stride = 1;
  bool adds = false;
};

/// Kernels write into memory of the host that does not move; when they are done, the numbers are handed out to where they
/// were asked for, in the order of asking. So a step waits for the GPU once, not once for each number. Numbers that kernels
/// read too are kept: they have a place on the GPU, and are fetched from there.
/// `Shared` offers  take(n), floats that the host and kernels reach, and release(floats)
template <class Shared>
class results {
 public:
  results() = default;
  results(results&& other) noexcept
      : blocks_(std::exchange(other.blocks_, {})),
        kept_(std::exchange(other.kept_, {})),
        asked_(std::exchange(other.asked_, {})),
        at_(std::exchange(other.at_, 0)),
        used_(std::exchange(other.used_, 0)) {}
  results& operator=(results&&) = delete;
  ~results() {
    for (auto const& one : blocks_) Shared::release(one.begin);
    for (auto const& one : kept_) Shared::release(one.on_host);
  }

  /// The n numbers from *of on have a place on the GPU from now on.
  void keep(float* of, std::size_t n, float* on_gpu) { kept_.push_back({of, n, on_gpu, Shared::take(n), false}); }
  /// A kernel has been asked to write kept numbers from *of on.
  void is_written(float const* of) { holder_of(of)->written = true; }

  /// Where a kernel writes what *to becomes.
  [[nodiscard]] float* written_to(float* to) {
    if (kept* const one = holder_of(to)) return one->place_of(to);
    return rows_written_to(to, 1, 1, 1);
  }
  /// Where a kernel writes [rows, width], which become rows of `stride` elements.
  [[nodiscard]] float* rows_written_to(float* to, std::size_t stride, std::size_t rows, std::size_t width) {
    float* const from = taken(rows * width);
    asked_.push_back({from, to, stride, rows, width, false});
    return from;
  }
  /// Where a kernel writes what every `stride`-th number grows by.
  [[nodiscard]] number_places added_to(float* to, std::size_t stride, std::size_t count) {
    if (kept* const one = holder_of(to)) return {one->place_of(to), stride, true};
    float* const from = rows_written_to(to, stride, count, 1);
    asked_.back().added = true;
    return {from, 1, false};
  }

  /// Calls fetch(on_host, on_gpu, n) for kept numbers that kernels have been asked to write.
  template <class Fetch>
  void each_kept(Fetch fetch) const {
    for (auto const& one : kept_)
      if (one.written) fetch(one.on_host, static_cast<float const*>(one.on_gpu), one.n);
  }
  /// Only when the kernels are done, and what is kept has been fetched.
  void hand_out() {
    for (auto& one : kept_)
      if (std::exchange(one.written, false))
        std::memcpy(one.of, one.on_host, one.n * sizeof(float));
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
  struct kept {
    float* of;
    std::size_t n;
    float* on_gpu;
    float* on_host;
    bool written;

    [[nodiscard]] float* place_of(float const* one) {
      written = true;
      return on_gpu + (one - of);
    }
  };
  struct asked {
    float const* from;
    float* to;
    std::size_t stride, rows, width;
    bool added;
  };

  [[nodiscard]] kept* holder_of(float const* one) {
    for (auto& k : kept_)
      if (one >= k.of && one < k.of + k.n) return &k;
    return nullptr;
  }
  float* taken(std::size_t n) {
    while (at_ < blocks_.size() && used_ + n > blocks_[at_].size) {
      ++at_;
      used_ = 0;
    }
    if (at_ == blocks_.size()) {
      std::size_t const size = n > 4096 ? n : 4096;
      blocks_.push_back({Shared::take(size), size});
    }
    used_ += n;
    return blocks_[at_].begin + used_ - n;
  }

  std::vector<block> blocks_;
  std::vector<kept> kept_;
  std::vector<asked> asked_;
  std::size_t at_ = 0;    ///< the block that numbers are taken from
  std::size_t used_ = 0;  ///< of it
};

}  // namespace mpx::on_cuda
