/// @file
/// What the host gives to a GPU, on its way.
#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

namespace mpx::on_cuda {

/// Memory of the host that the GPU copies from by itself. From other memory of the host CUDA copies only when all that stands
/// before in the queue is done, while the host waits and starts nothing.
/// `Shared` offers  take(n), floats that the host and the GPU reach, and release(floats)
/// Units   bytes
template <class Shared>
class staging {
 public:
  static constexpr std::size_t capacity = std::size_t{4} << 20;

  staging() = default;
  staging(staging&& other) noexcept : begin_(std::exchange(other.begin_, nullptr)), used_(std::exchange(other.used_, 0)) {}
  staging& operator=(staging&&) = delete;
  ~staging() {
    if (begin_ != nullptr) Shared::release(begin_);
  }

  /// Where the GPU finds a copy until reset(); where there is no room left, the original.
  [[nodiscard]] void const* copied(void const* from, std::size_t bytes) {
    std::size_t const size = (bytes + alignment - 1) / alignment * alignment;
    if (bytes == 0 || size > capacity - used_) return from;
    if (begin_ == nullptr) begin_ = Shared::take(capacity / sizeof(float));
    std::byte* const to = reinterpret_cast<std::byte*>(begin_) + used_;
    used_ += size;
    return std::memcpy(to, from, bytes);
  }
  /// Only when the GPU has copied all of it.
  void reset() { used_ = 0; }

 private:
  static constexpr std::size_t alignment = 64;

  float* begin_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace mpx::on_cuda
