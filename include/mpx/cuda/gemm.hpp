/// @file
/// Matrix multiplication of a CUDA device, through cublasLt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include <cublasLt.h>

#include <mpx/backend/operations.hpp>
#include <mpx/core/dtype.hpp>
#include <mpx/core/error.hpp>
#include <mpx/cuda/check.hpp>
#include <mpx/cuda/elements.hpp>
#include <mpx/cuda/launch.hpp>
#include <mpx/cuda/memory.hpp>
#include <mpx/cuda/row_sums.hpp>

namespace mpx::on_cuda {

namespace detail {

inline void check(cublasStatus_t status, char const* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw error({.what = std::string("cublasLt could not ") + what, .where = "cuda device", .expected = {},
               .got = cublasLtGetStatusString(status)});
}

/// Owns one object of cublasLt.
template <class Handle, cublasStatus_t (*Destroy)(Handle)>
class lt_object {
 public:
  lt_object() = default;
  lt_object(lt_object&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  lt_object& operator=(lt_object&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~lt_object() {
    if (handle_ != nullptr) Destroy(handle_);
  }

  [[nodiscard]] Handle get() const noexcept { return handle_; }
  [[nodiscard]] Handle* put() noexcept { return &handle_; }

 private:
  Handle handle_ = nullptr;
};

template <class T>
inline constexpr cudaDataType_t lt_type = CUDA_R_32F;
template <>
inline constexpr cudaDataType_t lt_type<bf16> = CUDA_R_16BF;
template <>
inline constexpr cudaDataType_t lt_type<f16> = CUDA_R_16F;

}  // namespace detail

/// Multiplies matrices; the algorithm of a shape is chosen at its first use and kept. Algorithms that split k and add the
/// parts in another order from run to run are not asked for.
/// Types   f32 to f32 in true f32 arithmetic; bf16 or f16 to itself or f32, summed in f32
/// Errors  throws mpx::error when cublasLt fails
/// One object is used by one thread.
class gemm {
 public:
  explicit gemm(int ordinal = 0) : ordinal_(ordinal), workspace_(workspace_size, ordinal) {
    detail::check(cublasLtCreate(handle_.put()), "start");
    check(cudaDeviceGetAttribute(&capability_, cudaDevAttrComputeCapabilityMajor, ordinal), "say what a GPU is");
  }

  /// c[m,n] = (accumulate ? c : 0) + op(a)[m,k] op(b)[k,n] + (bias ? bias[n] : 0), rounded once.
  /// Shapes  a: [m,k], or [k,m] when transposed; b: [k,n], or [n,k] when transposed; a bias only without accumulate
  template <class T, class U>
  void operator()(gemm_shape s, T const* a, T const* b, U* c, T const* bias) {
    static_assert(std::is_same_v<U, T> || std::is_same_v<U, accumulator_t<T>>,
                  "mpx::gemm requires its result to be of its operands' type or of their accumulator's");
    if (s.m == 0 || s.n == 0) return;
    if (s.k == 0) {
      if (s.accumulate) return;
      check(cudaMemsetAsync(c, 0, s.m * s.n * sizeof(U), queue()), "clear a matrix");
      if (bias == nullptr) return;
      if constexpr (std::is_same_v<U, T>) return launch(positions_forward<T>{c, c, bias, s.m, s.n});
    }
    if constexpr (std::is_same_v<U, T> && !std::is_same_v<T, float>) {
      if (s.accumulate) return accumulate_narrow(s, a, b, c);
    }
    if constexpr (!std::is_same_v<U, T>) {
      if (bias != nullptr) {  // cublasLt wants such a bias in f32: the sum begins with it instead
        launch(repeat_row<T>{c, bias, s.m, s.n});
        s.accumulate = true;
        bias = nullptr;
        if (s.k == 0) return;
      }
    }
    multiply(s, a, b, c, bias != nullptr ? epilogue{CUBLASLT_EPILOGUE_BIAS, bias} : epilogue{});
  }

  /// Whether cublasLt offers with_row_sum for this shape and these operands.
  template <class T>
  [[nodiscard]] bool offers_row_sum(gemm_shape const& s, T const* a, T const* b, float* c, float* sum) {
    return s.m > 0 && s.n > 0 && s.k > 0 && offered(s, a, b, c, {CUBLASLT_EPILOGUE_BGRADB, sum}) != nullptr;
  }
  /// c as above, without a bias, and sum[m] = the sum over k of op(a)[m,k]. cublasLt's documentation says that the sums are
  /// written, not added, and of c's type. Where it offers them and then does not give them, they are taken behind the product.
  /// Shapes  a transposed
  template <class T>
  void with_row_sum(gemm_shape const& s, T const* a, T const* b, float* c, float* sum) {
    // cublasLt's b is a, and the columns of its d are the rows of c.
    if (multiply(s, a, b, c, epilogue{CUBLASLT_EPILOGUE_BGRADB, sum})) return;
    (*this)(s, a, b, c, static_cast<T const*>(nullptr));
    check(cudaMemsetAsync(sum, 0, s.m * sizeof(float), queue()), "clear sums");
    launch(add_rows<T>{sum, a, s.k, s.m});
  }

  /// Whether cublasLt offers gelu beside a product for this shape and these operands. What its tanh loses is not documented: it
  /// is asked for in bf16 alone, whose rounding is coarser than that of a GPU's fastest tanh (2^-11).
  template <class T>
  [[nodiscard]] bool offers_gelu(gemm_shape const& s, T const* a, T const* b, T* c, T* y, T const* bias) {
    return std::is_same_v<T, bf16> && fits_gelu(s) && offered(s, a, b, y, gelu_beside(c, bias)) != nullptr;
  }
  template <class T>
  [[nodiscard]] bool offers_gelu_gradient(gemm_shape const& s, T const* a, T const* b, T* c, T const* x) {
    return std::is_same_v<T, bf16> && fits_gelu(s) && offered(s, a, b, c, {CUBLASLT_EPILOGUE_DGELU, nullptr, x}) != nullptr;
  }
  /// c as above, and y = gelu_tanh(c): of the sums before they are rounded, where cublasLt offers that.
  template <class T>
  void with_gelu(gemm_shape const& s, T const* a, T const* b, T* c, T* y, T const* bias) {
    if (offers_gelu(s, a, b, c, y, bias) && multiply(s, a, b, y, gelu_beside(c, bias))) return;
    (*this)(s, a, b, c, bias);
    launch(activation_forward<gelu_tanh, T>{y, c, s.m * s.n});
  }
  /// c = (op(a) op(b)) gelu_tanh'(x), rounded once where cublasLt offers that.
  /// Shapes  x: [m,n]
  template <class T>
  void with_gelu_gradient(gemm_shape const& s, T const* a, T const* b, T* c, T const* x) {
    if (offers_gelu_gradient(s, a, b, c, x) && multiply(s, a, b, c, {CUBLASLT_EPILOGUE_DGELU, nullptr, x})) return;
    (*this)(s, a, b, c, static_cast<T const*>(nullptr));
    launch(activation_backward<gelu_tanh, T>{c, c, x, s.m * s.n});
  }

  /// Units   bytes
  [[nodiscard]] std::size_t workspace_bytes() const noexcept { return workspace_.size() + wide_.size(); }

  /// Shapes seen so far.
  [[nodiscard]] std::size_t shapes() const noexcept { return table_.size(); }

 private:
  static constexpr std::size_t workspace_size = std::size_t{32} << 20;
  /// GPUs before Hopper are known to take longer for gelu beside a product than for both apart (llm.c: its choice too).
  static constexpr int least_for_gelu = 9;
  static constexpr std::uint32_t most_alignment = 16;  ///< of operands, in bytes: what the fastest loads need

  /// What cublasLt does beside the product, and what it reads or writes for that: a vector, and a matrix as large as d.
  struct epilogue {
    cublasLtEpilogue_t kind = CUBLASLT_EPILOGUE_DEFAULT;
    void const* vector = nullptr;
    void const* matrix = nullptr;

    /// Every shape has the others.
    [[nodiscard]] bool may_be_missing() const { return kind != CUBLASLT_EPILOGUE_DEFAULT && kind != CUBLASLT_EPILOGUE_BIAS; }
  };
  struct key {
    gemm_shape shape;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    bool wide = false;  ///< operands are aligned for the fastest loads
    cudaDataType_t in = CUDA_R_32F;
    cudaDataType_t out = CUDA_R_32F;

    friend bool operator==(key const&, key const&) = default;
  };
  struct hash {
    std::size_t operator()(key const& of) const noexcept {
      gemm_shape const& s = of.shape;
      std::uint64_t const bits = static_cast<std::uint64_t>(of.epilogue) << 24 | static_cast<std::uint64_t>(of.in) << 16 |
                                 static_cast<std::uint64_t>(of.out) << 8 | std::uint64_t{s.transpose_a} << 3 |
                                 std::uint64_t{s.transpose_b} << 2 | std::uint64_t{s.accumulate} << 1 | std::uint64_t{of.wide};
      std::uint64_t h = 0;
      for (std::uint64_t const word : {std::uint64_t{s.m}, std::uint64_t{s.n}, std::uint64_t{s.k}, bits}) {
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 32;
      }
      return static_cast<std::size_t>(h);
    }
  };

  using layout_object = detail::lt_object<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
  struct entry {
    detail::lt_object<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy> operation;
    layout_object a, b, c;
    cublasLtMatmulAlgo_t algorithm{};
    bool offered = true;  ///< by cublasLt, for this shape
  };

  static epilogue gelu_beside(void const* c, void const* bias) {
    return {bias != nullptr ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX, bias, c};
  }
  /// cublasLt wants the rows of the matrix beside d to be a multiple of 8 elements.
  bool fits_gelu(gemm_shape const& s) const {
    return capability_ >= least_for_gelu && s.m > 0 && s.n > 0 && s.k > 0 && s.n % 8 == 0 && !s.accumulate;
  }
  static bool aligned(void const* p) { return reinterpret_cast<std::uintptr_t>(p) % most_alignment == 0; }

  /// False, and nothing is done, where cublasLt does not offer the epilogue for the shape; it is asked once.
  template <class T, class U>
  bool multiply(gemm_shape const& s, T const* a, T const* b, U* c, epilogue const& beside) {
    entry* const there = offered(s, a, b, c, beside);
    if (there == nullptr) return false;
    entry& known = *there;
    if (beside.vector != nullptr) set(known, CUBLASLT_MATMUL_DESC_BIAS_POINTER, beside.vector);
    if (beside.matrix != nullptr) set(known, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, beside.matrix);
    float const one = 1.0f, kept = s.accumulate ? 1.0f : 0.0f;
    // Row-major c = a b is column-major c^T = b^T a^T, over the same memory.
    cublasStatus_t const status =
        cublasLtMatmul(handle_.get(), known.operation.get(), &one, b, known.b.get(), a, known.a.get(), &kept, c, known.c.get(),
                       c, known.c.get(), &known.algorithm, workspace_.data(), workspace_size, queue());
    bool const refused = status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE;
    if (beside.may_be_missing() && refused) return known.offered = false;
    detail::check(status, "multiply");
    return true;
  }

  template <class T, class U>
  entry* offered(gemm_shape const& s, T const* a, T const* b, U* c, epilogue const& beside) {
    bool const wide = aligned(a) && aligned(b) && aligned(c);
    if (beside.may_be_missing() && !(wide && aligned(beside.vector) && aligned(beside.matrix))) return nullptr;
    entry& known = found({s, beside.kind, wide, detail::lt_type<T>, detail::lt_type<U>});
    return known.offered ? &known : nullptr;
  }

  template <class Value>
  static void set(entry& e, cublasLtMatmulDescAttributes_t what, Value const& value) {
    detail::check(cublasLtMatmulDescSetAttribute(e.operation.get(), what, &value, sizeof value), "describe a gemm");
  }

  entry& found(key const& of) {
    auto const known = table_.find(of);
    return known != table_.end() ? known->second : table_.emplace(of, made(of)).first->second;
  }

  /// Where cublasLt adds to a 16-bit c, its results are further off than one rounding: this one is added in f32.
  template <class T>
  void accumulate_narrow(gemm_shape const& s, T const* a, T const* b, T* c) {
    std::size_t const n = s.m * s.n;
    auto* const sum = reinterpret_cast<float*>(wide_.of(n * sizeof(float), ordinal_));
    launch(widen<T>{sum, c, n});
    (*this)(s, a, b, sum, static_cast<T const*>(nullptr));
    launch(cast<T>{c, sum, n});
  }

  /// A row-major [rows, columns], which cublasLt sees as a column-major [columns, rows].
  static void describe(layout_object& to, std::size_t rows, std::size_t columns, cudaDataType_t type) {
    detail::check(cublasLtMatrixLayoutCreate(to.put(), type, columns, rows, static_cast<std::int64_t>(columns)),
                  "describe a matrix");
  }

  entry made(key const& of) {
    gemm_shape const& s = of.shape;
    entry e;
    detail::check(cublasLtMatmulDescCreate(e.operation.put(), CUBLAS_COMPUTE_32F, CUDA_R_32F), "describe a gemm");
    set(e, CUBLASLT_MATMUL_DESC_TRANSA, s.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(e, CUBLASLT_MATMUL_DESC_TRANSB, s.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(e, CUBLASLT_MATMUL_DESC_EPILOGUE, of.epilogue);
    bool const may_be_missing = epilogue{of.epilogue}.may_be_missing();
    if (may_be_missing) {
      // The heuristic reads from the address how far what is there is aligned: as far as any that is given later.
      void const* const as_aligned = reinterpret_cast<void const*>(std::uintptr_t{most_alignment});
      if (of.epilogue != CUBLASLT_EPILOGUE_DGELU && of.epilogue != CUBLASLT_EPILOGUE_GELU_AUX)
        set(e, CUBLASLT_MATMUL_DESC_BIAS_POINTER, as_aligned);
      if (of.epilogue != CUBLASLT_EPILOGUE_BGRADB) {
        set(e, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, as_aligned);
        set(e, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, static_cast<std::int64_t>(s.n));
      }
    }
    describe(e.a, s.transpose_a ? s.k : s.m, s.transpose_a ? s.m : s.k, of.in);
    describe(e.b, s.transpose_b ? s.n : s.k, s.transpose_b ? s.k : s.n, of.in);
    describe(e.c, s.m, s.n, of.out);

    detail::lt_object<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy> preference;
    detail::check(cublasLtMatmulPreferenceCreate(preference.put()), "say what it prefers");
    auto const prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto const& value) {
      detail::check(cublasLtMatmulPreferenceSetAttribute(preference.get(), what, &value, sizeof value), "say what it prefers");
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_size);
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
    std::uint32_t const aligned_to = of.wide ? most_alignment : of.in == CUDA_R_32F ? 4 : 2;
    std::uint32_t const c_aligned_to = of.wide ? most_alignment : of.out == CUDA_R_32F ? 4 : 2;
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, aligned_to);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, aligned_to);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, c_aligned_to);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, c_aligned_to);

    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    cublasStatus_t const status =
        cublasLtMatmulAlgoGetHeuristic(handle_.get(), e.operation.get(), e.b.get(), e.a.get(), e.c.get(), e.c.get(),
                                       preference.get(), 1, &best, &count);
    e.offered = status == CUBLAS_STATUS_SUCCESS && count > 0 && best.state == CUBLAS_STATUS_SUCCESS;
    if (!e.offered && !may_be_missing) {
      detail::check(status, "find a gemm");
      detail::check(count > 0 ? best.state : CUBLAS_STATUS_NOT_SUPPORTED, "find a gemm");
    }
    e.algorithm = best.algo;
    return e;
  }

  detail::lt_object<cublasLtHandle_t, cublasLtDestroy> handle_;
  int ordinal_;
  int capability_ = 0;  ///< its major number
  memory workspace_;
  growing_memory wide_;  ///< sums in f32
  std::unordered_map<key, entry, hash> table_;
};

}  // namespace mpx::on_cuda
