/// @file
/// Attention as cuDNN computes it: what it is asked for, and who asks. No header of cuDNN is needed to read this one; the target
/// mpx::cudnn brings <mpx/cudnn.cpp>, where the rest is.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include <mpx/backend/operations.hpp>

namespace mpx::on_cuda {

/// What a plan of cuDNN's is made for.
struct cudnn_attention_key {
  attention_shape shape;
  bool in_f16 = false;  ///< else in bf16
  bool backward = false;

  friend bool operator==(cudnn_attention_key const&, cudnn_attention_key const&) = default;
};

/// Operands in the GPU's memory, each at 16 bytes. A forward reads q, k, v and writes o and stats; a backward reads all of
/// them and d_o, and writes dq, dk, dv and delta.
/// Shapes  as attention_shape has them; stats, log of the sum of exponentials, and delta: [sequences, heads, query_tokens]
struct cudnn_attention_operands {
  void const *q = nullptr, *k = nullptr, *v = nullptr, *d_o = nullptr;
  void *o = nullptr, *dq = nullptr, *dk = nullptr, *dv = nullptr;
  float *stats = nullptr, *delta = nullptr;

  friend bool operator==(cudnn_attention_operands const&, cudnn_attention_operands const&) = default;
};

/// Makes a plan for each key at its first use, and keeps it. The plan is the first of those that cuDNN recommends which is
/// not said to differ from run to run and needs at most most_workspace; where there is none, the answer is kept as well.
/// Errors  throws mpx::error when cuDNN fails otherwise than by having no such plan
/// One object is used by one thread.
class cudnn_attention {
 public:
  static constexpr std::size_t most_workspace = std::size_t{1} << 30;  ///< of a plan, in bytes

  explicit cudnn_attention(int ordinal = 0);
  /// Plans for a GPU that is described, and need not be there; they cannot be run.
  /// Errors  throws mpx::error when cuDNN does not understand the description
  explicit cudnn_attention(std::string const& device_in_json);
  cudnn_attention(cudnn_attention&&) noexcept;
  cudnn_attention& operator=(cudnn_attention&&) noexcept;
  ~cudnn_attention();

  /// Bytes that the key's plan works in; nothing where there is no plan.
  [[nodiscard]] std::optional<std::size_t> workspace(cudnn_attention_key const& key);
  /// Starts the key's plan, which there is, in this thread's queue.
  void run(cudnn_attention_key const& key, cudnn_attention_operands const& of, void* workspace);

 private:
  struct plans;
  std::unique_ptr<plans> plans_;
};

}  // namespace mpx::on_cuda
