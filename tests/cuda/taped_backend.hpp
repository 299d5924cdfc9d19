// An emulated GPU whose queue can be recorded, as CUDA records it: what is asked for meanwhile is not done, and can be started
// again later, with other operands where a body stands.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <limits>
#include <utility>
#include <vector>

#include <mpx/backend/concepts.hpp>
#include <mpx/cuda/tape.hpp>
#include <mpx/host/backend.hpp>

#include "emulation_backend.hpp"

namespace test {

/// What CUDA would refuse to record, and what it would refuse to change: tests ask for it.
inline bool no_graph_can_be_made = false, no_body_can_be_changed = false;

/// Operands of all that was recorded, and how each of them is started.
class emulated_graph {
 public:
  using place = std::size_t;  ///< from 1 on

  bool change(place where, void const* body) {
    if (no_body_can_be_changed) return false;
    ++changes;
    auto& operands = calls_[where - 1].operands;
    std::memcpy(operands.data(), body, operands.size());
    return true;
  }
  void start() const {
    for (auto const& one : calls_) one.start(one.operands.data());
  }
  template <class Operation>
  void add(Operation const& one) {
    auto const* const bytes = reinterpret_cast<std::byte const*>(&one);
    calls_.push_back({[](std::byte const* at) { reinterpret_cast<Operation const*>(at)->now(); }, {bytes, bytes + sizeof one}});
  }
  [[nodiscard]] place last() const { return calls_.size(); }

  inline static std::size_t changes = 0;  ///< of all graphs

 private:
  struct call {
    void (*start)(std::byte const*);
    std::vector<std::byte> operands;
  };
  std::vector<call> calls_;
};

class emulated_recorder {
 public:
  using graph = emulated_graph;
  using place = graph::place;

  void begin() {
    open_ = true;
    recorded_ = {};
  }
  [[nodiscard]] place last(mpx::on_cuda::launch_size const&) const { return recorded_.last(); }
  [[nodiscard]] place end_of_record() const { return recorded_.last(); }
  bool end(graph& to) {
    open_ = false;
    if (no_graph_can_be_made) return false;
    to = std::exchange(recorded_, {});
    return true;
  }
  void drop() { open_ = false; }
  [[nodiscard]] static bool is_open() { return open_; }

  /// In the queue: done now, or recorded.
  template <class Operation>
  static void ask(Operation const& one) {
    if (open_) recorded_.add(one);
    else one.now();
  }

 private:
  inline static thread_local bool open_ = false;
  inline static thread_local graph recorded_;
};

/// An operation says with now() what it does; a call puts it into the queue.
class taped_gpu : public emulated_gpu {
 public:
  template <class Pass>
  void repeat(mpx::pass_name const& name, Pass&& pass) {
    tape_.repeat(name, pass);
  }
  [[nodiscard]] std::size_t pass_starts() const { return tape_.starts(); }

  void upload(void* to, void const* from, std::size_t bytes) {
    tape_.interrupt();
    emulated_gpu::upload(to, from, bytes);
  }
  void download(void* to, void const* from, std::size_t bytes) {
    tape_.interrupt();
    emulated_gpu::download(to, from, bytes);
  }
  void zero(void* to, std::size_t bytes) { if (bytes != 0) ask(clear_bytes{to, bytes}); }
  void copy(void* to, void const* from, std::size_t bytes) { if (bytes != 0) ask(copy_bytes{to, from, bytes}); }
  void finish() {
    tape_.interrupt();
    emulated_gpu::finish();
  }

 protected:
  template <class Operation>
  void ask(Operation const& one) {
    tape_.call(one);
  }
  /// Blocks are one warp: a step has hundreds of bodies, and threads take time to start.
  template <class Body>
  void run(Body const& body) {
    ask(start<Body>{body});
  }
  /// What was too small is kept, as on a GPU: a graph may use it.
  float* scratch(std::size_t floats) {
    if (blocks_.empty() || blocks_.back().size() < floats)
      blocks_.emplace_back(floats, std::numeric_limits<float>::quiet_NaN());
    return blocks_.back().data();
  }
  mpx::on_cuda::rows_by_id sorted(std::int32_t const* ids, std::size_t rows) {
    auto* const sorted_ids = reinterpret_cast<std::int32_t*>(scratch(2 * rows));
    ask(sort_ids{ids, sorted_ids, sorted_ids + rows, rows});
    return {sorted_ids, sorted_ids + rows};
  }

 private:
  template <class Body>
  struct start {
    Body body;
    void operator()() const { emulated_recorder::ask(*this); }
    void now() const { emulate(body, mpx::on_cuda::warp_width); }
  };
  struct clear_bytes {
    void* to;
    std::size_t bytes;
    void operator()() const { emulated_recorder::ask(*this); }
    void now() const { std::memset(to, 0, bytes); }
    friend bool operator==(clear_bytes const&, clear_bytes const&) = default;
  };
  struct copy_bytes {
    void* to;
    void const* from;
    std::size_t bytes;
    void operator()() const { emulated_recorder::ask(*this); }
    void now() const { std::memcpy(to, from, bytes); }
    friend bool operator==(copy_bytes const&, copy_bytes const&) = default;
  };
  struct sort_ids {
    std::int32_t const* ids;
    std::int32_t* sorted_ids;
    std::int32_t* sorted_rows;
    std::size_t rows;
    void operator()() const { emulated_recorder::ask(*this); }
    void now() const {
      for (std::size_t i = 0; i < rows; ++i) sorted_rows[i] = static_cast<std::int32_t>(i);
      std::stable_sort(sorted_rows, sorted_rows + rows, [&](std::int32_t a, std::int32_t b) { return ids[a] < ids[b]; });
      for (std::size_t i = 0; i < rows; ++i) sorted_ids[i] = ids[sorted_rows[i]];
    }
    friend bool operator==(sort_ids const&, sort_ids const&) = default;
  };

  mpx::on_cuda::tape<emulated_recorder> tape_;
  std::deque<std::vector<float>> blocks_;
};

/// Its products are the host's.
class taped_machine : public mpx::on_cuda::operations<taped_gpu> {
 public:
  static constexpr mpx::device_kind kind = mpx::device_kind::cuda;

  template <class T, class U>
  void gemm(mpx::gemm_shape const& s, T const* a, T const* b, U* c, T const* bias) {
    ask(product<T, U>{&multiply_, s, a, b, c, bias});
  }
  [[nodiscard]] std::size_t workspace_bytes() const { return multiply_.workspace_bytes(); }

 private:
  template <class T, class U>
  struct product {
    mpx::on_host::gemm* by;
    mpx::gemm_shape shape;
    T const* a;
    T const* b;
    U* c;
    T const* bias;
    void operator()() const { emulated_recorder::ask(*this); }
    void now() const { (*by)(shape, a, b, c, bias); }
    friend bool operator==(product const&, product const&) = default;
  };
  mpx::on_host::gemm multiply_;
};

struct taped_backend : mpx::on_host::backend {
  using machine = taped_machine;
  static constexpr mpx::device_kind kind = mpx::device_kind::cuda;
};
static_assert(mpx::backend<taped_backend>);

}  // namespace test
