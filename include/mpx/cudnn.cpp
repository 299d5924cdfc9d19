/// @file
/// All that mpx asks of cuDNN: attention, described node by node through its graph API in C. The target mpx::cudnn brings this
/// file as a source of the user's own target; no other includes a header of cuDNN.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>
#include <cudnn_graph.h>

#include <mpx/core/error.hpp>
#include <mpx/cuda/check.hpp>
#include <mpx/cuda/cudnn_attention.hpp>

namespace mpx::on_cuda {

namespace {

/// What cuDNN cannot do is an answer, not an error.
bool unsupported(cudnnStatus_t status) { return CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED; }

void check(cudnnStatus_t status, char const* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 512> said{};
  cudnnGetLastErrorString(said.data(), said.size());
  throw error({.what = std::string("cuDNN could not ") + what, .where = "cuda device", .expected = {},
               .got = std::string(cudnnGetErrorString(status)) + ": " + said.data()});
}

template <class T>
struct attribute;  // how cuDNN names the type of an attribute
template <> struct attribute<std::int64_t> { static constexpr auto type = CUDNN_TYPE_INT64; };
template <> struct attribute<bool> { static constexpr auto type = CUDNN_TYPE_BOOLEAN; };
template <> struct attribute<cudnnHandle_t> { static constexpr auto type = CUDNN_TYPE_HANDLE; };
template <> struct attribute<cudnnDataType_t> { static constexpr auto type = CUDNN_TYPE_DATA_TYPE; };
template <> struct attribute<cudnnPointwiseMode_t> { static constexpr auto type = CUDNN_TYPE_POINTWISE_MODE; };
template <> struct attribute<cudnnReduceTensorOp_t> { static constexpr auto type = CUDNN_TYPE_REDUCTION_OPERATOR_TYPE; };
template <> struct attribute<cudnnBackendHeurMode_t> { static constexpr auto type = CUDNN_TYPE_HEUR_MODE; };
template <> struct attribute<cudnnBackendDescriptor_t> { static constexpr auto type = CUDNN_TYPE_BACKEND_DESCRIPTOR; };
template <> struct attribute<cudnnBackendNumericalNote_t> { static constexpr auto type = CUDNN_TYPE_NUMERICAL_NOTE; };
template <> struct attribute<char> { static constexpr auto type = CUDNN_TYPE_CHAR; };

/// Owns one descriptor of cuDNN.
class descriptor {
 public:
  explicit descriptor(cudnnBackendDescriptorType_t kind) {
    check(cudnnBackendCreateDescriptor(kind, &handle_), "begin a description");
  }
  descriptor(descriptor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  descriptor& operator=(descriptor&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~descriptor() {
    if (handle_ != nullptr) cudnnBackendDestroyDescriptor(handle_);
  }

  [[nodiscard]] cudnnBackendDescriptor_t get() const noexcept { return handle_; }

  template <class T>
  descriptor& set(cudnnBackendAttributeName_t as, T const* values, std::size_t n,
                  cudnnBackendAttributeType_t type = attribute<T>::type) {
    check(cudnnBackendSetAttribute(handle_, as, type, static_cast<std::int64_t>(n), values), "describe attention");
    return *this;
  }
  template <class T>
  descriptor& set(cudnnBackendAttributeName_t as, T const& value) { return set(as, &value, 1); }
  descriptor& set(cudnnBackendAttributeName_t as, descriptor const& value) { return set(as, value.get()); }

  /// The first of the attribute's values, at most `most` of them.
  template <class T>
  [[nodiscard]] std::vector<T> values(cudnnBackendAttributeName_t as, std::size_t most) const {
    std::vector<T> found(most);
    std::int64_t count = 0;
    check(cudnnBackendGetAttribute(handle_, as, attribute<T>::type, static_cast<std::int64_t>(most), &count, found.data()),
          "say what it recommends");
    found.resize(std::min(most, static_cast<std::size_t>(count)));
    return found;
  }
  /// Asks for a descriptor, which is copied into `to`.
  void copy_to(descriptor& to, cudnnBackendAttributeName_t as) const {
    std::int64_t count = 0;
    auto at = to.get();
    check(cudnnBackendGetAttribute(handle_, as, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &at), "say what it recommends");
  }

  [[nodiscard]] cudnnStatus_t finalize() { return cudnnBackendFinalize(handle_); }
  descriptor&& finished() && {
    check(finalize(), "understand a description");
    return std::move(*this);
  }

 private:
  cudnnBackendDescriptor_t handle_ = nullptr;
};

using four = std::array<std::int64_t, 4>;  ///< sequence, head, then rows and columns

/// What cuDNN calls a tensor: one in memory, under a name; a number that is given with each call; or, without a name, one that
/// only stands between two nodes.
enum name : std::int64_t { q_name = 1, k_name, v_name, o_name, stats_name, d_o_name, dq_name, dk_name, dv_name,
                           delta_name, scale_name, masked_name, one_name, first_unnamed };

/// Nodes, and what passes between them. Everything that no matrix is multiplied by is f32.
class graph {
 public:
  using tensor = cudnnBackendDescriptor_t;

  tensor in_memory(name as, cudnnDataType_t type, four const& extents, four const& strides) {
    return made(as, type, extents, strides, false, false);
  }
  tensor number(name as) { return made(as, CUDNN_DATA_FLOAT, {1, 1, 1, 1}, {1, 1, 1, 1}, false, true); }
  tensor between(four const& extents, cudnnDataType_t type = CUDNN_DATA_FLOAT) {
    auto const [b, h, r, c] = extents;
    return between(extents, {h * r * c, r * c, c, 1}, type);
  }
  tensor between(four const& extents, four const& strides, cudnnDataType_t type) {
    return made(next_++, type, extents, strides, true, false);
  }

  tensor matmul(tensor a, tensor b, tensor c) {
    descriptor const& how = keep(descriptor(CUDNN_BACKEND_MATMUL_DESCRIPTOR).set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT));
    node(descriptor(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR).set(CUDNN_ATTR_OPERATION_MATMUL_DESC, how)
             .set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, a).set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, b)
             .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, c));
    return c;
  }
  tensor reduce(cudnnReduceTensorOp_t by, tensor x, tensor y) {
    descriptor const& how = keep(descriptor(CUDNN_BACKEND_REDUCTION_DESCRIPTOR).set(CUDNN_ATTR_REDUCTION_OPERATOR, by)
                                     .set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT));
    node(descriptor(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR).set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, how)
             .set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x).set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y));
    return y;
  }
  /// y = mode(x) or mode(x, b); where something is chosen: chosen ? x : b
  tensor pointwise(cudnnPointwiseMode_t mode, tensor x, tensor y, tensor b = nullptr, tensor chosen = nullptr) {
    return pointwise_in(CUDNN_DATA_FLOAT, mode, x, y, b, chosen, {});
  }
  /// chosen(r, c) = r >= c, as large as x
  tensor not_later(tensor x, four const& extents) {
    auto const index = [&](std::int64_t axis) {
      return pointwise_in(CUDNN_DATA_INT32, CUDNN_POINTWISE_GEN_INDEX, x, between(extents, CUDNN_DATA_INT32), {}, {}, axis);
    };
    tensor const row = index(2), column = index(3);
    return pointwise_in(CUDNN_DATA_BOOLEAN, CUDNN_POINTWISE_CMP_GE, row, between(extents, CUDNN_DATA_BOOLEAN), column, {}, {});
  }
  /// y holds what x holds, under other extents or strides.
  tensor reshape(tensor x, tensor y) {
    node(descriptor(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR).set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x)
             .set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y));
    return y;
  }

  [[nodiscard]] descriptor described() const {
    descriptor all(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    all.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, nodes_.data(), nodes_.size());
    return all;
  }

 private:
  tensor made(std::int64_t as, cudnnDataType_t type, four const& extents, four const& strides, bool is_virtual, bool by_value) {
    return keep(descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR).set(CUDNN_ATTR_TENSOR_UNIQUE_ID, as)
                    .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
                    .set(CUDNN_ATTR_TENSOR_DIMENSIONS, extents.data(), extents.size())
                    .set(CUDNN_ATTR_TENSOR_STRIDES, strides.data(), strides.size())
                    .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t{16})
                    .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual)
                    .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, by_value)).get();
  }
  tensor pointwise_in(cudnnDataType_t precision, cudnnPointwiseMode_t mode, tensor x, tensor y, tensor b, tensor chosen,
                      std::optional<std::int64_t> axis) {
    descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    how.set(CUDNN_ATTR_POINTWISE_MODE, mode).set(CUDNN_ATTR_POINTWISE_MATH_PREC, precision);
    if (axis) how.set(CUDNN_ATTR_POINTWISE_AXIS, *axis);
    descriptor each(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    each.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(how))).set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b != nullptr) each.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    if (chosen != nullptr) each.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, chosen);
    node(std::move(each.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y)));
    return y;
  }
  descriptor const& keep(descriptor&& of) { return kept_.emplace_back(std::move(of).finished()); }
  descriptor const& keep(descriptor& of) { return keep(std::move(of)); }
  void node(descriptor&& of) { nodes_.push_back(keep(std::move(of)).get()); }
  void node(descriptor& of) { node(std::move(of)); }

  std::deque<descriptor> kept_;
  std::vector<cudnnBackendDescriptor_t> nodes_;
  std::int64_t next_ = first_unnamed;
};

/// Attention as nodes. Heads of k and v stand before groups of heads of q, which cuDNN matches by itself.
struct attention_graph : graph {
  explicit attention_graph(cudnn_attention_key const& key)
      : type(key.in_f16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16), causal(key.shape.causal) {
    auto const& s = key.shape;
    auto const whole = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    B = whole(s.sequences), H = whole(s.heads), N = whole(s.heads / s.group()), T = whole(s.query_tokens);
    K = whole(s.key_tokens), D = whole(s.head_width), q_stride = whole(s.query_stride), k_stride = whole(s.key_stride);
    q = queries(q_name, q_stride);
    k_turned = in_memory(k_name, type, {B, N, D, K}, {K * k_stride, D, 1, k_stride});
    scale = number(scale_name);
    stats = in_memory(stats_name, CUDNN_DATA_FLOAT, {B, H, T, 1}, {H * T, T, 1, 1});
    if (key.backward) backward();
    else forward();
  }

 private:
  tensor queries(name as, std::int64_t stride) { return in_memory(as, type, {B, H, T, D}, {T * stride, D, stride, 1}); }
  tensor keys(name as) { return in_memory(as, type, {B, N, K, D}, {K * k_stride, D, k_stride, 1}); }
  tensor scores() { return between({B, H, T, K}); }
  tensor each_query() { return between({B, H, T, 1}); }
  /// A matrix of scores as the left operand of a product over queries.
  tensor turned(tensor of) { return reshape(of, between({B, H, K, T}, {H * T * K, T * K, 1, K}, type)); }
  tensor masked(tensor of) {
    if (!causal) return of;
    return pointwise(CUDNN_POINTWISE_BINARY_SELECT, of, scores(), number(masked_name), not_later(of, {B, H, T, K}));
  }
  tensor scaled_scores() { return pointwise(CUDNN_POINTWISE_MUL, matmul(q, k_turned, scores()), scores(), scale); }

  void forward() {
    tensor const seen = masked(scaled_scores());
    tensor const high = reduce(CUDNN_REDUCE_TENSOR_MAX, seen, each_query());
    tensor const e = pointwise(CUDNN_POINTWISE_EXP, pointwise(CUDNN_POINTWISE_SUB, seen, scores(), high), scores());
    tensor const total = reduce(CUDNN_REDUCE_TENSOR_ADD, e, each_query());
    pointwise(CUDNN_POINTWISE_ADD, high, stats, pointwise(CUDNN_POINTWISE_LOG, total, each_query()));
    tensor const p = pointwise(CUDNN_POINTWISE_DIV, e, between({B, H, T, K}, type), total);
    matmul(p, keys(v_name), queries(o_name, H * D));
  }
  /// dq is a product of its own over whole rows of ds, which are written to the workspace. Where blocks of keys add up dq
  /// instead, no order of theirs is promised.
  void backward() {
    tensor const d_o = queries(d_o_name, H * D);
    tensor const product = pointwise(CUDNN_POINTWISE_MUL, d_o, between({B, H, T, D}), queries(o_name, H * D));
    tensor const delta = pointwise(CUDNN_POINTWISE_MUL, reduce(CUDNN_REDUCE_TENSOR_ADD, product, each_query()),
                                   in_memory(delta_name, CUDNN_DATA_FLOAT, {B, H, T, 1}, {H * T, T, 1, 1}), number(one_name));
    tensor const apart = masked(pointwise(CUDNN_POINTWISE_SUB, scaled_scores(), scores(), stats));
    tensor const p = pointwise(CUDNN_POINTWISE_EXP, apart, scores());
    matmul(turned(p), d_o, keys(dv_name));
    tensor const v_turned = in_memory(v_name, type, {B, N, D, K}, {K * k_stride, D, 1, k_stride});
    tensor const dp = pointwise(CUDNN_POINTWISE_SUB, matmul(d_o, v_turned, scores()), scores(), delta);
    tensor const ds = pointwise(CUDNN_POINTWISE_MUL, pointwise(CUDNN_POINTWISE_MUL, dp, scores(), p), scores(), scale);
    matmul(turned(ds), q, keys(dk_name));
    tensor const k = reshape(k_turned, between({B, N, K, D}, {K * k_stride, D, k_stride, 1}, type));
    matmul(ds, k, queries(dq_name, q_stride));
  }

  cudnnDataType_t type;
  bool causal;
  std::int64_t B, H, N, T, K, D, q_stride, k_stride;
  tensor q, k_turned, scale, stats;
};

struct hash {
  std::size_t operator()(cudnn_attention_key const& of) const noexcept {
    auto const& s = of.shape;
    std::uint64_t const bits = std::uint64_t{s.causal} << 3 | std::uint64_t{s.scaled} << 2 | std::uint64_t{of.in_f16} << 1 |
                               std::uint64_t{of.backward};
    std::uint64_t h = 0;
    for (std::uint64_t const word : {std::uint64_t{s.sequences}, std::uint64_t{s.heads}, std::uint64_t{s.query_tokens},
                                     std::uint64_t{s.key_tokens}, std::uint64_t{s.head_width}, std::uint64_t{s.query_stride},
                                     std::uint64_t{s.key_stride}, std::uint64_t{s.key_value_heads}, bits}) {
      h = (h ^ word) * 0x9e3779b97f4a7c15ull;
      h ^= h >> 32;
    }
    return static_cast<std::size_t>(h);
  }
};

}  // namespace

struct cudnn_attention::plans {
  struct plan {
    descriptor of;
    std::size_t workspace;
  };

  explicit plans(int ordinal) {
    use_device(ordinal);
    check(cudnnCreate(&handle), "start");
    on_cuda::check(cudaDeviceGetAttribute(&capability, cudaDevAttrComputeCapabilityMajor, ordinal), "say what a GPU is");
  }
  explicit plans(std::string const& device_in_json) : device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
    device->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, device_in_json.c_str(), device_in_json.size() + 1);
    check(device->finalize(), "understand a device");
  }
  plans(plans const&) = delete;
  ~plans() {
    known.clear();
    if (handle != nullptr) cudnnDestroy(handle);
  }

  std::optional<plan>& found(cudnn_attention_key const& key) {
    auto const at = known.find(key);
    return at != known.end() ? at->second : known.emplace(key, made(key)).first->second;
  }

  std::optional<plan> made(cudnn_attention_key const& key) const {
    if (key.backward && capability > most_repeating) return {};
    attention_graph const nodes(key);
    descriptor all = nodes.described();
    if (handle != nullptr) all.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle);
    if (!understood(all, "understand attention")) return {};
    for (auto const mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      descriptor advice(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
      advice.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, all).set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
      if (device) advice.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device);
      if (!understood(advice, "recommend a plan")) continue;
      for (auto const& config : recommended(advice)) {
        if (!repeats(config)) continue;
        descriptor of(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        of.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
        if (device) of.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *device);
        else of.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle);
        if (!understood(of, "make a plan")) continue;
        auto const bytes = static_cast<std::size_t>(of.values<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 1).at(0));
        if (bytes <= most_workspace) return plan{std::move(of), bytes};
      }
    }
    return {};
  }

  static bool understood(descriptor& of, char const* what) {
    cudnnStatus_t const status = of.finalize();
    if (unsupported(status)) return false;
    check(status, what);
    return true;
  }
  static std::vector<descriptor> recommended(descriptor const& advice) {
    std::int64_t count = 0;
    auto const ask = [&](std::int64_t most, void* at) {
      check(cudnnBackendGetAttribute(advice.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count,
                                     at), "recommend a plan");
    };
    ask(0, nullptr);  // how many there are
    std::vector<descriptor> configs;
    std::vector<cudnnBackendDescriptor_t> at;
    for (std::int64_t i = 0; i < count; ++i) at.push_back(configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).get());
    if (count > 0) ask(count, at.data());
    configs.erase(configs.begin() + count, configs.end());
    return configs;
  }
  /// The configuration's engine does not say that its results differ from run to run. cuDNN 9.19 says so of no engine for
  /// attention, not even where blocks add to one place: backward() is described so that they never do.
  static bool repeats(descriptor const& config) {
    descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    config.copy_to(engine, CUDNN_ATTR_ENGINECFG_ENGINE);
    auto const notes =
        engine.values<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
    return std::find(notes.begin(), notes.end(), CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) == notes.end();
  }

  /// On later GPUs this graph may be given to an engine whose results do not repeat.
  static constexpr int most_repeating = 9;

  cudnnHandle_t handle = nullptr;
  int capability = 0;                ///< its major number; 0 where the GPU is described
  std::optional<descriptor> device;  ///< where the GPU is described
  std::unordered_map<cudnn_attention_key, std::optional<plan>, hash> known;
};

cudnn_attention::cudnn_attention(int ordinal) : plans_(std::make_unique<plans>(ordinal)) {}
cudnn_attention::cudnn_attention(std::string const& device_in_json) : plans_(std::make_unique<plans>(device_in_json)) {}
cudnn_attention::cudnn_attention(cudnn_attention&&) noexcept = default;
cudnn_attention& cudnn_attention::operator=(cudnn_attention&&) noexcept = default;
cudnn_attention::~cudnn_attention() = default;

std::optional<std::size_t> cudnn_attention::workspace(cudnn_attention_key const& key) {
  auto const& known = plans_->found(key);
  return known ? std::optional(known->workspace) : std::nullopt;
}

void cudnn_attention::run(cudnn_attention_key const& key, cudnn_attention_operands const& of, void* workspace) {
  auto const& s = key.shape;
  float scale = s.scaled ? 1.0f / std::sqrt(static_cast<float>(s.head_width)) : 1.0f;
  float masked = -std::numeric_limits<float>::infinity(), one = 1.0f;
  std::vector<std::int64_t> names;
  std::vector<void*> at;
  auto const give = [&](name as, void const* where) {
    names.push_back(as);
    at.push_back(const_cast<void*>(where));
  };
  for (auto const& [as, where] : {std::pair{q_name, of.q}, {k_name, of.k}, {v_name, of.v}, {o_name, of.o}}) give(as, where);
  give(stats_name, of.stats);
  give(scale_name, &scale);
  if (s.causal) give(masked_name, &masked);
  if (key.backward) {
    for (auto const& [as, where] : {std::pair{d_o_name, of.d_o}, {dq_name, of.dq}, {dk_name, of.dk}, {dv_name, of.dv}})
      give(as, where);
    give(delta_name, of.delta);
    give(one_name, &one);
  }
  descriptor call(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  call.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, names.data(), names.size())
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, at.data(), at.size(), CUDNN_TYPE_VOID_PTR)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, &workspace, 1, CUDNN_TYPE_VOID_PTR);
  check(call.finalize(), "take its operands");
  check(cudnnSetStream(plans_->handle, queue()), "stand in a queue");
  check(cudnnBackendExecute(plans_->handle, plans_->found(key)->of.get(), call.get()), "run attention");
}

}  // namespace mpx::on_cuda
