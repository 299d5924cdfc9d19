/// @file
/// Matrix multiplication of a host device, through oneDNN's C API (its C++ header costs a second per file).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <dnnl.h>
#include <dnnl_debug.h>

#include <mpx/backend/operations.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/core/error.hpp>
#include <mpx/host/memory.hpp>

// A host device is one thread, so a matrix multiplication uses one thread too. oneDNN's OpenMP runtime is asked through
// weak symbols: mpx itself needs no OpenMP, and neither does a oneDNN that was built without it.
extern "C" {
__attribute__((weak)) void omp_set_num_threads(int);
__attribute__((weak)) int omp_get_max_threads(void);
}

namespace mpx::on_host {

namespace detail {

inline void check(dnnl_status_t status, char const* what) {
  if (status == dnnl_success) return;
  throw error({.what = std::string("oneDNN could not ") + what, .where = "host device", .expected = {},
               .got = dnnl_status2str(status)});
}

/// Owns one object of oneDNN.
template <class Handle, dnnl_status_t (*Destroy)(Handle)>
class dnnl_object {
 public:
  dnnl_object() = default;
  dnnl_object(dnnl_object&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  dnnl_object& operator=(dnnl_object&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~dnnl_object() {
    if (handle_ != nullptr) Destroy(handle_);
  }

  [[nodiscard]] Handle get() const noexcept { return handle_; }
  [[nodiscard]] Handle* put() noexcept { return &handle_; }

 private:
  Handle handle_ = nullptr;
};

/// [rows, columns], a part of a matrix whose rows, or columns when transposed, lie `line` elements apart. Version 2 of oneDNN
/// has a struct for it, version 3 an object.
class dnnl_layout {
 public:
  dnnl_layout(std::size_t rows, std::size_t columns, std::size_t line, bool transposed, dnnl_data_type_t type) {
    auto const l = static_cast<dnnl_dim_t>(line);
    dnnl_dims_t const extents = {static_cast<dnnl_dim_t>(rows), static_cast<dnnl_dim_t>(columns)};
    dnnl_dims_t const strides = {transposed ? 1 : l, transposed ? l : 1};
#if DNNL_VERSION_MAJOR >= 3
    check(dnnl_memory_desc_create_with_strides(object_.put(), 2, extents, type, strides), "describe a matrix");
#else
    check(dnnl_memory_desc_init_by_strides(&object_, 2, extents, type, strides), "describe a matrix");
#endif
  }

#if DNNL_VERSION_MAJOR >= 3
  [[nodiscard]] const_dnnl_memory_desc_t get() const { return object_.get(); }

 private:
  dnnl_object<dnnl_memory_desc_t, dnnl_memory_desc_destroy> object_;
#else
  [[nodiscard]] dnnl_memory_desc_t const* get() const { return &object_; }

 private:
  dnnl_memory_desc_t object_;
#endif
};

/// While it lives, this thread starts no others.
class one_thread {
 public:
  one_thread() {
    if (omp_set_num_threads == nullptr || omp_get_max_threads == nullptr) return;
    threads_ = omp_get_max_threads();
    omp_set_num_threads(1);
  }
  ~one_thread() {
    if (threads_ > 0) omp_set_num_threads(threads_);
  }
  one_thread(one_thread const&) = delete;
  one_thread& operator=(one_thread const&) = delete;

 private:
  int threads_ = 0;
};

}  // namespace detail

/// to[i] = T(from[i])
/// Shapes  to, from: [n]
template <class To, class From>
MPX_KERNEL void convert(To* to, From const* from, std::size_t n) {
  MPX_SIMD
  for (std::size_t i = 0; i < n; ++i) to[i] = To(static_cast<float>(from[i]));
}

/// Multiplies matrices, large ones in parts; keeps one oneDNN primitive per shape, made at its first use. Later uses allocate
/// nothing here; oneDNN itself makes 6 or 7 small allocations in each call.
/// Types   f32 to f32, bf16 to bf16 or f32; f16 is widened to f32 first, and so is bf16 where the machine lacks it;
///         f64 in plain loops, for gradient checks
/// Errors  throws mpx::error when oneDNN fails
/// One object is used by one thread.
class gemm {
 public:
  gemm() {
    detail::check(dnnl_engine_create(engine_.put(), dnnl_cpu, 0), "create an engine");
    detail::check(dnnl_stream_create(stream_.put(), engine_.get(), dnnl_stream_default_flags), "create a stream");
    table_.resize(64);
  }

  /// c[m,n] = (accumulate ? c : 0) + op(a)[m,k] op(b)[k,n] + (bias ? bias[n] : 0), rounded once.
  /// Shapes  a: [m,k], or [k,m] when transposed; b: [k,n], or [n,k] when transposed; a bias only without accumulate
  template <class T, class U>
  void operator()(gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    static_assert(std::is_same_v<U, T> || std::is_same_v<U, accumulator_t<T>>,
                  "mpx::gemm requires its result to be of its operands' type or of their accumulator's");
    if (s.m == 0 || s.n == 0) return;
    if (s.k == 0) {
      if (s.accumulate) return;
      for (std::size_t i = 0; i < s.m * s.n; ++i) c[i] = bias != nullptr ? U(bias[i % s.n]) : U(0.0f);
    } else if constexpr (std::is_same_v<T, double>) {
      plain(s, a, b, c, bias);
    } else if constexpr (std::is_same_v<T, float>) {
      in_parts(s, a, b, c, bias);
    } else if constexpr (std::is_same_v<T, bf16>) {
      if (!in_parts(s, a, b, c, bias)) widened(s, a, b, c, bias);
    } else {
      widened(s, a, b, c, bias);
    }
  }

  /// What is held beside the plan's own memory: oneDNN's scratch and widened operands.
  /// Units   bytes
  [[nodiscard]] std::size_t workspace_bytes() const noexcept { return scratch_.size() + wide_.size(); }

  /// Shapes seen so far.
  [[nodiscard]] std::size_t shapes() const noexcept { return used_; }

 private:
  /// Of rows, columns, and terms of a sum: oneDNN is slower with more (docs/performance.md).
  static constexpr std::size_t most = 2048;

  template <class T>
  static constexpr dnnl_data_type_t type = std::is_same_v<T, float> ? dnnl_f32 : dnnl_bf16;

  /// The length of the parts of a dimension: equal, but for the last one.
  static std::size_t part_of(std::size_t size) {
    std::size_t const parts = (size + most - 1) / most;
    return parts <= 1 ? size : ((size + parts - 1) / parts + 63) / 64 * 64;
  }

  struct key {
    gemm_shape shape;
    std::size_t a_line = 0, b_line = 0, c_line = 0;  ///< elements between neighbouring rows, or columns when transposed
    bool bias = false;
    dnnl_data_type_t in = dnnl_data_type_undef;  ///< undef: no entry here
    dnnl_data_type_t out = dnnl_data_type_undef;

    friend bool operator==(key const&, key const&) = default;

    [[nodiscard]] std::size_t hash() const {
      std::uint64_t h = 0;
      std::uint64_t const bits = static_cast<std::uint64_t>(in) << 12 | static_cast<std::uint64_t>(out) << 4 |
                                 std::uint64_t{shape.transpose_a} << 3 | std::uint64_t{shape.transpose_b} << 2 |
                                 std::uint64_t{shape.accumulate} << 1 | std::uint64_t{bias};
      for (std::uint64_t const word : {std::uint64_t{shape.m}, std::uint64_t{shape.n}, std::uint64_t{shape.k}, std::uint64_t{a_line},
                                       std::uint64_t{b_line}, std::uint64_t{c_line}, bits}) {
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 32;
      }
      return static_cast<std::size_t>(h);
    }
  };

  using memory_object = detail::dnnl_object<dnnl_memory_t, dnnl_memory_destroy>;

  struct entry {
    key of;
    detail::dnnl_object<dnnl_primitive_t, dnnl_primitive_destroy> primitive{};  ///< none: oneDNN lacks this type here
    memory_object a{}, b{}, c{}, bias{}, scratch{};
  };

  /// The entry of this shape, made now if it is the first time. The table is open-addressed and at most half full.
  entry* found(key const& wanted) {
    entry* at = slot(wanted);
    if (at->of.in != dnnl_data_type_undef) return at;
    if (2 * (used_ + 1) > table_.size()) {
      std::vector<entry> old(2 * table_.size());
      old.swap(table_);
      for (entry& one : old)
        if (one.of.in != dnnl_data_type_undef) *slot(one.of) = std::move(one);
      at = slot(wanted);
    }
    *at = made(wanted);
    ++used_;
    return at;
  }

  entry* slot(key const& wanted) {
    std::size_t const mask = table_.size() - 1;
    std::size_t i = wanted.hash() & mask;
    while (table_[i].of.in != dnnl_data_type_undef && !(table_[i].of == wanted)) i = (i + 1) & mask;
    return &table_[i];
  }

  entry made(key const& of) {
    detail::one_thread const alone;
    gemm_shape const& s = of.shape;
    detail::dnnl_layout const a(s.m, s.k, of.a_line, s.transpose_a, of.in);
    detail::dnnl_layout const b(s.k, s.n, of.b_line, s.transpose_b, of.in);
    detail::dnnl_layout const c(s.m, s.n, of.c_line, false, of.out);
    detail::dnnl_layout const bias(1, s.n, s.n, false, of.in);

    detail::dnnl_object<dnnl_primitive_attr_t, dnnl_primitive_attr_destroy> attributes;
    detail::check(dnnl_primitive_attr_create(attributes.put()), "create attributes");
    detail::check(dnnl_primitive_attr_set_scratchpad_mode(attributes.get(), dnnl_scratchpad_mode_user),
                  "take scratch memory from its caller");
    if (s.accumulate) {
      detail::dnnl_object<dnnl_post_ops_t, dnnl_post_ops_destroy> after;
      detail::check(dnnl_post_ops_create(after.put()), "create post-operations");
#if DNNL_VERSION_MAJOR >= 3
      detail::check(dnnl_post_ops_append_sum(after.get(), 1.0f, 0, dnnl_data_type_undef), "append a sum");
#else
      detail::check(dnnl_post_ops_append_sum(after.get(), 1.0f), "append a sum");
#endif
      detail::check(dnnl_primitive_attr_set_post_ops(attributes.get(), after.get()), "set post-operations");
    }

    detail::dnnl_object<dnnl_primitive_desc_t, dnnl_primitive_desc_destroy> description;
    auto const* const bias_or_none = of.bias ? bias.get() : nullptr;
#if DNNL_VERSION_MAJOR >= 3
    dnnl_status_t const described = dnnl_matmul_primitive_desc_create(
        description.put(), engine_.get(), a.get(), b.get(), bias_or_none, c.get(), attributes.get());
#else
    dnnl_matmul_desc_t operation;
    detail::check(dnnl_matmul_desc_init(&operation, a.get(), b.get(), bias_or_none, c.get()), "describe a gemm");
    dnnl_status_t const described =
        dnnl_primitive_desc_create(description.put(), &operation, attributes.get(), engine_.get(), nullptr);
#endif
    entry result{.of = of};
    if (described == dnnl_unimplemented && of.in != dnnl_f32) return result;
    detail::check(described, "find a gemm");
    detail::check(dnnl_primitive_create(result.primitive.put(), description.get()), "create a gemm");

    auto const* const scratch = dnnl_primitive_desc_query_md(description.get(), dnnl_query_scratchpad_md, 0);
    std::size_t const scratch_bytes = dnnl_memory_desc_get_size(scratch);
    if (scratch_bytes > scratch_.size()) scratch_ = memory(scratch_bytes);
    auto const object = [&](memory_object& to, auto const* layout) {
      detail::check(dnnl_memory_create(to.put(), layout, engine_.get(), DNNL_MEMORY_NONE), "create a memory object");
    };
    object(result.a, a.get());
    object(result.b, b.get());
    object(result.c, c.get());
    if (of.bias) object(result.bias, bias.get());
    object(result.scratch, scratch);
    return result;
  }

  /// Sums of several parts are added up in f32, and rounded once. False where oneDNN lacks the type: nothing has happened.
  template <class T, class U>
  bool in_parts(gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    if constexpr (!std::is_same_v<U, float>) {
      if (s.k > most) {
        auto* const sum = wide_floats(s.m * s.n);
        if (s.accumulate) convert(sum, c, s.m * s.n);
        if (!in_parts(s, a, b, sum, bias)) return false;
        convert(c, sum, s.m * s.n);
        return true;
      }
    }
    std::size_t const rows = part_of(s.m), columns = part_of(s.n), depth = part_of(s.k);
    std::size_t const a_line = s.transpose_a ? s.m : s.k, b_line = s.transpose_b ? s.k : s.n;
    for (std::size_t m = 0; m < s.m; m += rows)
      for (std::size_t n = 0; n < s.n; n += columns)
        for (std::size_t k = 0; k < s.k; k += depth) {
          gemm_shape part = s;
          part.m = std::min(rows, s.m - m);
          part.n = std::min(columns, s.n - n);
          part.k = std::min(depth, s.k - k);
          part.accumulate = s.accumulate || k > 0;
          T const* const first_bias = bias != nullptr && k == 0 ? bias + n : nullptr;
          entry const& known = *found({part, a_line, b_line, s.n, first_bias != nullptr, type<T>, type<U>});
          if (known.primitive.get() == nullptr) return false;
          run(known, a + (s.transpose_a ? k * a_line + m : m * a_line + k), b + (s.transpose_b ? n * b_line + k : k * b_line + n),
              c + m * s.n + n, first_bias);
        }
    return true;
  }

  /// Memory for so many f32 numbers, until the next call.
  float* wide_floats(std::size_t n) {
    if (n * sizeof(float) > wide_.size()) wide_ = memory(n * sizeof(float));
    return reinterpret_cast<float*>(wide_.data());
  }

  void run(entry const& known, void const* a, void const* b, void* c, void const* bias) {
    detail::one_thread const alone;
    auto const set = [](memory_object const& object, void const* data) {
      detail::check(dnnl_memory_set_data_handle(object.get(), const_cast<void*>(data)), "set a handle");
    };
    set(known.a, a);
    set(known.b, b);
    set(known.c, c);
    set(known.scratch, scratch_.data());
    if (bias != nullptr) set(known.bias, bias);
    dnnl_exec_arg_t const arguments[] = {{DNNL_ARG_SRC, known.a.get()},
                                         {DNNL_ARG_WEIGHTS, known.b.get()},
                                         {DNNL_ARG_DST, known.c.get()},
                                         {DNNL_ARG_SCRATCHPAD, known.scratch.get()},
                                         {DNNL_ARG_BIAS, known.bias.get()}};
    detail::check(dnnl_primitive_execute(known.primitive.get(), stream_.get(), bias != nullptr ? 5 : 4, arguments),
                  "execute a gemm");
  }

  /// The same in f32: operands are copied into f32, the result is rounded (or accumulated in f32).
  template <class T, class U>
  void widened(gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    constexpr bool narrow = !std::is_same_v<U, float>;
    auto const floats = [](std::size_t n) { return aligned(n * sizeof(float)) / sizeof(float); };
    std::size_t const of_a = floats(s.m * s.k), of_b = floats(s.k * s.n), of_c = narrow ? floats(s.m * s.n) : 0;
    float* const wide_a = wide_floats(of_a + of_b + of_c + floats(s.n));
    float* const wide_b = wide_a + of_a;
    float* const wide_c = wide_b + of_b;
    float* const wide_bias = wide_c + of_c;

    convert(wide_a, a, s.m * s.k);
    convert(wide_b, b, s.k * s.n);
    if (bias != nullptr) convert(wide_bias, bias, s.n);
    float const* const bias_or_none = bias != nullptr ? wide_bias : nullptr;
    if constexpr (narrow) {
      if (s.accumulate) convert(wide_c, c, s.m * s.n);
      in_parts<float>(s, wide_a, wide_b, wide_c, bias_or_none);
      convert(c, wide_c, s.m * s.n);
    } else {
      in_parts<float>(s, wide_a, wide_b, c, bias_or_none);
    }
  }

  /// f64, 64 x 64 x 64 at a time so that the strided operand stays in cache; k ascends for every element.
  static void plain(gemm_shape const& s, double const* a, double const* b, double* c, double const* bias) {
    constexpr std::size_t block = 64;
    std::size_t const a_row = s.transpose_a ? 1 : s.k, a_column = s.transpose_a ? s.m : 1;
    std::size_t const b_row = s.transpose_b ? 1 : s.n, b_column = s.transpose_b ? s.k : 1;
    if (!s.accumulate)
      for (std::size_t i = 0; i < s.m * s.n; ++i) c[i] = bias != nullptr ? bias[i % s.n] : 0.0;
    for (std::size_t k0 = 0; k0 < s.k; k0 += block)
      for (std::size_t j0 = 0; j0 < s.n; j0 += block)
        for (std::size_t i = 0; i < s.m; ++i)
          for (std::size_t k = k0; k < std::min(k0 + block, s.k); ++k) {
            double const left = a[i * a_row + k * a_column];
            for (std::size_t j = j0; j < std::min(j0 + block, s.n); ++j)
              c[i * s.n + j] += left * b[k * b_row + j * b_column];
          }
  }

  detail::dnnl_object<dnnl_engine_t, dnnl_engine_destroy> engine_;
  detail::dnnl_object<dnnl_stream_t, dnnl_stream_destroy> stream_;
  std::vector<entry> table_;
  std::size_t used_ = 0;
  memory scratch_;  ///< of oneDNN, as large as the hungriest shape asks for
  memory wide_;     ///< operands in f32, or sums that are rounded later
};

}  // namespace mpx::on_host
