/// @file
/// A record of operations that the GPU does in one call: CUDA's graphs, as tape.hpp asks for them.
#pragma once

#include <cstddef>
#include <utility>

#include <cuda_runtime_api.h>

#include <mpx/cuda/block.hpp>
#include <mpx/cuda/check.hpp>

namespace mpx::on_cuda {

/// Owns a recorded graph and what CUDA made of it. Empty when made without one.
class graph {
 public:
  graph() = default;
  /// What CUDA cannot make of it, or has no memory for, it says here, and not when the graph is started.
  explicit graph(cudaGraph_t recorded) : recorded_(recorded) {
    can_start_ = cudaGraphInstantiate(&all_, recorded_, 0) == cudaSuccess && cudaGraphUpload(all_, queue()) == cudaSuccess;
    if (!can_start_) cudaGetLastError();
  }
  graph(graph&& other) noexcept { swap(other); }
  graph& operator=(graph&& other) noexcept {
    swap(other);
    return *this;
  }
  ~graph() {
    if (all_ != nullptr) cudaGraphExecDestroy(all_);  // one that is under way is freed when it comes to its end
    if (recorded_ != nullptr) cudaGraphDestroy(recorded_);
  }

  [[nodiscard]] bool can_start() const noexcept { return can_start_; }

  /// A kernel of the graph.
  struct place {
    cudaGraphNode_t node = nullptr;
    cudaKernelNodeParams of{};
  };
  /// It has another operand from the next start on: its body.
  /// Returns  false when CUDA does not let it
  [[nodiscard]] bool change(place const& where, void const* body) {
    void* operands[] = {const_cast<void*>(body)};  // is copied from
    cudaKernelNodeParams of = where.of;
    of.kernelParams = operands;
    of.extra = nullptr;
    bool const changed = cudaGraphExecKernelNodeSetParams(all_, where.node, &of) == cudaSuccess;
    if (!changed) cudaGetLastError();
    return changed;
  }

  /// Errors  throws mpx::error when CUDA cannot start it
  void start() const { check(cudaGraphLaunch(all_, queue()), "start a graph"); }

 private:
  void swap(graph& other) noexcept {
    std::swap(recorded_, other.recorded_);
    std::swap(all_, other.all_);
    std::swap(can_start_, other.can_start_);
  }

  cudaGraph_t recorded_ = nullptr;
  cudaGraphExec_t all_ = nullptr;
  bool can_start_ = false;
};

/// Records what this thread asks of its queue. Other threads, and calls that ask for nothing of the queue, go on as ever.
class graph_recorder {
 public:
  using graph = on_cuda::graph;
  using place = graph::place;

  void begin() { check(cudaStreamBeginCapture(queue(), cudaStreamCaptureModeRelaxed), "record its work"); }

  /// Errors  throws mpx::error when the last operation was not one kernel of this size
  [[nodiscard]] place last(launch_size const& size) const {
    place where{end_of_record(), {}};
    auto const& of = where.of;
    bool const is_it = where.node != nullptr && cudaGraphKernelNodeGetParams(where.node, &where.of) == cudaSuccess &&
                       of.gridDim.x == size.blocks && of.blockDim.x == size.threads && of.sharedMemBytes == size.shared;
    if (!is_it) check(cudaErrorStreamCaptureInvalidated, "record a kernel");
    return where;
  }

  /// What the next operation will stand behind: another one, where something was recorded meanwhile.
  [[nodiscard]] cudaGraphNode_t end_of_record() const {
    cudaStreamCaptureStatus status{};
    cudaGraphNode_t const* nodes = nullptr;
    std::size_t count = 0;
#if CUDART_VERSION >= 13000
    cudaGraphEdgeData const* edges = nullptr;
    check(cudaStreamGetCaptureInfo(queue(), &status, nullptr, nullptr, &nodes, &edges, &count), "say what it has recorded");
#else
    check(cudaStreamGetCaptureInfo_v2(queue(), &status, nullptr, nullptr, &nodes, &count), "say what it has recorded");
#endif
    return status == cudaStreamCaptureStatusActive && count == 1 ? nodes[0] : nullptr;
  }

  /// Returns  false when CUDA makes no graph of it
  [[nodiscard]] bool end(graph& to) {
    cudaGraph_t recorded = taken();
    if (recorded == nullptr) return false;
    to = graph(recorded);
    return to.can_start();
  }
  void drop() {
    if (cudaGraph_t const recorded = taken(); recorded != nullptr) cudaGraphDestroy(recorded);
  }

 private:
  static cudaGraph_t taken() {
    cudaGraph_t recorded = nullptr;
    if (cudaStreamEndCapture(queue(), &recorded) == cudaSuccess) return recorded;
    cudaGetLastError();
    return nullptr;
  }
};

}  // namespace mpx::on_cuda
