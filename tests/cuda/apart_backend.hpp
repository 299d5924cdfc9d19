// A GPU whose memory the host cannot read, and which cannot read the host's: an emulated one with addresses of its own. What
// follows such an address without being the GPU faults, and an operation of the GPU that is given an address of a host's
// arena throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <type_traits>
#include <utility>

#include <mpx/backend/mixed.hpp>
#include <mpx/core/error.hpp>
#include <mpx/cuda/reduce.hpp>
#include <mpx/host/backend.hpp>

#include "emulation_backend.hpp"

namespace test {

/// Address ranges of arenas, of both kinds of device.
class address_book {
 public:
  void add(std::uintptr_t begin, std::size_t size) {
    std::scoped_lock const lock(mutex_);
    ends_[begin] = begin + size;
  }
  void remove(std::uintptr_t begin) {
    std::scoped_lock const lock(mutex_);
    ends_.erase(begin);
  }
  [[nodiscard]] bool has(std::uintptr_t address) const {
    std::scoped_lock const lock(mutex_);
    auto const after = ends_.upper_bound(address);
    return after != ends_.begin() && address <= std::prev(after)->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::uintptr_t, std::uintptr_t> ends_;
};
inline address_book gpu_arenas, host_arenas;

/// No processor follows an address with this bit.
inline constexpr std::uintptr_t gpu_bit = std::uintptr_t{1} << 61;

inline std::uintptr_t number(void const* p) { return reinterpret_cast<std::uintptr_t>(p); }
[[noreturn]] inline void refuse(char const* what) {
  throw mpx::error({what, "apart_gpu", "an address of its own memory", "another"});
}

/// Where the GPU finds what stands at this address.
template <class T>
T* on_the_gpu(T* p) {
  if (p == nullptr) return p;
  if (!gpu_arenas.has(number(p))) refuse("memory of another device");
  return reinterpret_cast<T*>(number(p) ^ gpu_bit);
}
/// Copies between the GPU and the host's memory take addresses of both.
template <class T>
T* anywhere(T* p) {
  return gpu_arenas.has(number(p)) ? on_the_gpu(p) : p;
}
template <class T>
T* on_the_host(T* p) {
  if ((number(p) & gpu_bit) != 0) refuse("memory of a GPU, at work on the host");
  return p;
}

/// Runs a body with the addresses that the GPU knows. Those of the host's numbers and of scratch stay as they are; a
/// host's arena is refused. Blocks are one warp: a step has hundreds of bodies, and threads take time to start.
template <class Body>
void run_apart(Body body) {
  static_assert(std::is_trivially_copyable_v<Body>);
  MPX_CLEAR_PADDING(body);  // what is left there of other values may look like an address
  for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= sizeof(Body); at += alignof(std::uintptr_t)) {
    std::uintptr_t word = 0;
    auto* const place = reinterpret_cast<std::byte*>(&body) + at;
    std::memcpy(&word, place, sizeof word);
    if (host_arenas.has(word)) refuse("an arena of the host");
    if (!gpu_arenas.has(word)) continue;
    word ^= gpu_bit;
    std::memcpy(place, &word, sizeof word);
  }
  emulate(body, mpx::on_cuda::warp_width);
}

class apart_gpu : public emulated_gpu {
 public:
  void upload(void* to, void const* from, std::size_t bytes) {
    if (bytes != 0) emulated_gpu::copy(on_the_gpu(to), on_the_host(from), bytes);
  }
  void download(void* to, void const* from, std::size_t bytes) {
    if (bytes != 0) emulated_gpu::copy(on_the_host(to), on_the_gpu(from), bytes);
  }
  void zero(void* to, std::size_t bytes) {
    if (bytes != 0) emulated_gpu::zero(on_the_gpu(to), bytes);
  }
  void copy(void* to, void const* from, std::size_t bytes) {
    if (bytes != 0) emulated_gpu::copy(on_the_gpu(to), on_the_gpu(from), bytes);
  }

 protected:
  template <class Body>
  void run(Body const& body) {
    run_apart(body);
  }
  mpx::on_cuda::rows_by_id sorted(std::int32_t const* ids, std::size_t rows) {
    return emulated_gpu::sorted(on_the_gpu(ids), rows);
  }
};

/// The host's products, over the GPU's memory; what a GPU does beside a product, in plain loops.
class apart_machine : public mpx::on_cuda::operations<apart_gpu> {
 public:
  static constexpr mpx::device_kind kind = mpx::device_kind::cuda;

  template <class T, class U>
  void gemm(mpx::gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    multiply_(s, on_the_gpu(a), on_the_gpu(b), on_the_gpu(c), on_the_gpu(bias));
  }
  template <class T>
  void gemm_with_row_sum(mpx::gemm_shape const& s, T const* a, T const* b, float* c, float* sum) {
    gemm(s, a, b, c, static_cast<T const*>(nullptr));
    float* const row_sum = scratch(s.m);
    for (std::size_t i = 0; i < s.m; ++i) {
      row_sum[i] = 0;
      for (std::size_t k = 0; k < s.k; ++k) row_sum[i] += static_cast<float>(on_the_gpu(a)[k * s.m + i]);
    }
    add(sum, row_sum, s.m);
  }
  template <class T>
  void gemm_with_gelu(mpx::gemm_shape const& s, T const* a, T const* b, T* c, T* y, T const* bias) {
    float const* const product = unrounded(s, a, b, bias);
    for (std::size_t i = 0; i < s.m * s.n; ++i) {
      on_the_gpu(c)[i] = T(product[i]);
      on_the_gpu(y)[i] = T(gelu::value(product[i]));
    }
  }
  template <class T>
  void gemm_with_gelu_gradient(mpx::gemm_shape const& s, T const* a, T const* b, T* c, T const* x) {
    float const* const product = unrounded(s, a, b, static_cast<T const*>(nullptr));
    for (std::size_t i = 0; i < s.m * s.n; ++i)
      on_the_gpu(c)[i] = T(product[i] * gelu::slope(static_cast<float>(on_the_gpu(x)[i])));
  }
  [[nodiscard]] std::size_t workspace_bytes() const { return multiply_.workspace_bytes(); }

 private:
  using gelu = mpx::kernels::activation_formula<mpx::gelu_tanh>;

  /// In scratch.
  template <class T>
  float const* unrounded(mpx::gemm_shape const& s, T const* a, T const* b, T const* bias) {
    float* const product = scratch(s.m * s.n);
    multiply_(s, on_the_gpu(a), on_the_gpu(b), product, on_the_gpu(bias));
    return product;
  }

  mpx::on_host::gemm multiply_;
};

/// A block whose addresses are in a book for as long as it lives.
template <address_book& Book, std::uintptr_t Bit>
class noted_memory {
 public:
  noted_memory() = default;
  explicit noted_memory(std::size_t bytes) : block_(bytes) {
    if (bytes > 0) Book.add(number(data()), size());
  }
  noted_memory(noted_memory&&) noexcept = default;
  noted_memory& operator=(noted_memory&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~noted_memory() {
    if (block_.data() != nullptr) Book.remove(number(data()));
  }
  [[nodiscard]] std::byte* data() const noexcept {
    return block_.data() == nullptr ? nullptr : reinterpret_cast<std::byte*>(number(block_.data()) | Bit);
  }
  [[nodiscard]] std::size_t size() const noexcept { return block_.size(); }

 private:
  mpx::on_host::memory block_;
};

struct gpu_thread_memory {
  static constexpr std::size_t most_parts = mpx::on_cuda::combine_parts<float>::most_parts;
  static void finish() {}
  template <class T>
  static void copy(T* to, T const* from, std::size_t n) {
    std::memcpy(anywhere(to), anywhere(from), n * sizeof(T));
  }
  template <class T>
  static void combine(mpx::combining how, void* const* parts, std::size_t count, std::size_t begin, std::size_t end, T* slice) {
    mpx::on_cuda::combine_parts<T> body{{}, slice, count, begin, end - begin, how};
    for (std::size_t p = 0; p < count; ++p) body.parts[p] = static_cast<T*>(parts[p]);
    run_apart(body);
  }
};

/// What the host's threads do, as long as it is done in the host's memory.
struct host_thread_memory : mpx::on_host::group_memory {
  template <class T>
  static void copy(T* to, T const* from, std::size_t n) {
    mpx::on_host::group_memory::copy(on_the_host(to), on_the_host(from), n);
  }
  template <class T>
  static void combine(mpx::combining how, void* const* parts, std::size_t count, std::size_t begin, std::size_t end, T* slice) {
    for (std::size_t p = 0; p < count; ++p) on_the_host(parts[p]);
    mpx::on_host::group_memory::combine(how, parts, count, begin, end, on_the_host(slice));
  }
};

struct apart_backend {
  using machine = apart_machine;
  using memory = noted_memory<gpu_arenas, gpu_bit>;
  using channel = mpx::thread_channel<gpu_thread_memory>;
  using group = mpx::thread_group<gpu_thread_memory>;
  static constexpr mpx::device_kind kind = mpx::device_kind::cuda;
};
struct noted_host_backend : mpx::on_host::backend {
  using memory = noted_memory<host_arenas, 0>;
  using channel = mpx::thread_channel<host_thread_memory>;
  using group = mpx::thread_group<host_thread_memory>;
};
using mixed = mpx::mixed_backend<noted_host_backend, apart_backend>;

static_assert(mpx::gelu_within_products<apart_machine, float> && mpx::gelu_within_products<apart_machine, mpx::bf16>);
static_assert(mpx::sums_within_products<apart_machine, float> && mpx::sums_within_products<apart_machine, mpx::bf16>);
static_assert(mpx::backend<apart_backend> && mpx::backend<noted_host_backend> && mpx::backend<mixed>);

}  // namespace test
