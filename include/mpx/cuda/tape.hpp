/// @file
/// What a device was asked for in a pass, kept so that it can be asked for all of it again in one call.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <list>
#include <type_traits>
#include <utility>
#include <vector>

#include <mpx/backend/pass_name.hpp>
#include <mpx/config/config.hpp>
#include <mpx/core/error.hpp>
#include <mpx/cuda/block.hpp>
#include <mpx/cuda/open_pass.hpp>

namespace mpx::on_cuda {

/// An operation that is one body on the GPU, and nothing else: it can be asked for again with other operands.
template <class Operation>
concept starts_a_body = requires(Operation const one) {
  { one.body.size() } -> std::same_as<launch_size>;
  requires sizeof(one) == sizeof(one.body);
};

/// The first pass of a name is done operation by operation, the second is recorded as a graph and started, and each later one
/// is compared with the record: nothing is started while it asks for the same, bodies with other operands are changed in the
/// graph, and at its end one call starts all of it. A pass that asks for something else is done as it asks: what it had in
/// common with the record so far is started one by one, and so is what follows. So nothing has to be known about a layer.
///
/// Who uses the queue by another way ends the open pass so (open_pass.hpp).
///
/// An operation is a trivially copyable struct that a call starts. A `Recorder` offers
///   begin()            operations that this thread starts from now on are recorded, and not done
///   last(launch_size)  the place of the last one in the record, a body of that size
///   end_of_record()    what the next one will stand behind: something else, where anything was recorded meanwhile
///   end(graph&)        the record is a graph; false when it cannot be one
///   drop()             there is no record
/// and its `graph`, which is empty when made so,
///   change(place, body)  a body with other operands there, from the next start on; false when that cannot be
///   start()              all of it, in order
/// Errors  what operations throw; a pass that threw is not kept
template <class Recorder>
class tape {
 public:
  /// Graphs that are kept at once: the least recently used one makes room. They take memory of the GPU.
  static constexpr std::size_t most_graphs = 64;
  /// How often in a row passes of a name may turn out to be different before they are done one by one for good.
  static constexpr int most_misses = 3;

  template <class Pass>
  void repeat(pass_name const& name, Pass&& pass) {
    if (doing_ != doing::plainly) return pass();  // part of another one
    record& of = found(name);
    of.used = ++passes_;
    if (of.misses >= most_misses || !std::exchange(of.seen, true)) return pass();
    open_ = &of;
    next_ = 0;
    changed_.clear();
    if (!of.recorded) {
      recorder_.begin();
      end_ = recorder_.end_of_record();
    }
    doing_ = of.recorded ? doing::comparing : doing::recording;
    show();
    try {
      pass();
      close();
    } catch (...) {
      open_pass::hide();
      if (std::exchange(doing_, doing::plainly) == doing::recording) recorder_.drop();
      forget(of);
      throw;
    }
  }

  /// Starts an operation, now or with the pass that is open.
  template <class Operation>
  void call(Operation one) {
    static_assert(std::is_trivially_copyable_v<Operation> && alignof(Operation) <= alignment);
    if (doing_ == doing::plainly) return one();
    MPX_CLEAR_PADDING(one);  // bytes are compared
    if (doing_ == doing::recording) return note(one);
    if (is_next(one)) return;
    interrupt();
    one();
  }

  /// The pass that is open, if one is, is done one by one: as far as it has come, and what follows.
  void interrupt() {
    if (doing_ == doing::plainly) return;
    open_pass::hide();
    if (std::exchange(doing_, doing::plainly) == doing::recording) start_record(*open_);
    else play(*open_, next_);
    forget(*open_);
  }

  /// Passes that one call has started.
  [[nodiscard]] std::size_t starts() const noexcept { return starts_; }

 private:
  enum class doing : unsigned char { plainly, recording, comparing };
  static constexpr std::size_t alignment = alignof(std::max_align_t);
  using graph = typename Recorder::graph;
  using place = typename Recorder::place;

  struct noted {
    void (*play)(std::byte const*);  ///< starts it; tells operations of different types apart too
    std::size_t at, size;            ///< its bytes among those of the record
    place where;                     ///< of a body
  };
  struct record {
    pass_name name;
    std::size_t used = 0;
    bool seen = false;
    bool recorded = false;
    int misses = 0;
    std::vector<noted> calls;
    std::vector<std::byte> bytes;
    graph all;
  };

  template <class Operation>
  static void play_one(std::byte const* at) {
    (*reinterpret_cast<Operation const*>(at))();
  }
  static void play(record const& of, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) of.calls[i].play(of.bytes.data() + of.calls[i].at);
  }

  record& found(pass_name const& name) {
    auto const known = std::find_if(records_.begin(), records_.end(), [&](record const& r) { return r.name == name; });
    if (known != records_.end()) return *known;
    if (records_.size() == most_graphs)
      records_.erase(std::min_element(records_.begin(), records_.end(), [](auto& a, auto& b) { return a.used < b.used; }));
    records_.emplace_back().name = name;
    return records_.back();
  }
  static void forget(record& of) {
    of.all = graph{};
    of.recorded = false;
    of.calls.clear();
    of.bytes.clear();
    ++of.misses;
  }

  template <class Operation>
  void note(Operation const& one) {
    place where{};
    bool can_be_noted = false;
    open_pass::hide();  // this is how work comes into the queue
    try {
      can_be_noted = recorder_.end_of_record() == end_;
      if (can_be_noted) {
        one();
        if constexpr (starts_a_body<Operation>)
          if (one.body.size().blocks > 0) where = recorder_.last(one.body.size());
        end_ = recorder_.end_of_record();
      }
    } catch (error const&) {  // it may be something that cannot be recorded
      can_be_noted = false;
    }
    if (!can_be_noted) {
      interrupt();
      return one();
    }
    show();
    auto& bytes = open_->bytes;
    std::size_t const at = (bytes.size() + alignment - 1) / alignment * alignment;
    bytes.resize(at + sizeof one);
    std::memcpy(bytes.data() + at, &one, sizeof one);
    open_->calls.push_back({&play_one<Operation>, at, sizeof one, where});
  }

  template <class Operation>
  bool is_next(Operation const& one) {
    if (next_ == open_->calls.size() || open_->calls[next_].play != &play_one<Operation>) return false;
    auto* const bytes = open_->bytes.data() + open_->calls[next_].at;
    auto const& before = *reinterpret_cast<Operation const*>(bytes);
    if constexpr (starts_a_body<Operation>) {
      if (std::memcmp(bytes, &one, sizeof one) != 0) {
        if (one.body.size() != before.body.size()) return false;
        std::memcpy(bytes, &one, sizeof one);
        if (one.body.size().blocks > 0) changed_.push_back(next_);
      }
    } else if (!(one == before)) {
      return false;
    }
    ++next_;
    return true;
  }

  /// The pass has asked for all that it asks for.
  void close() {
    if (doing_ == doing::plainly) return;
    open_pass::hide();
    if (doing_ == doing::recording) {
      bool const all_noted = recorder_.end_of_record() == end_;
      doing_ = doing::plainly;
      open_->recorded = start_record(*open_) && all_noted;
      if (!open_->recorded) return forget(*open_);
    } else {
      if (next_ != open_->calls.size() || !change()) return interrupt();
      doing_ = doing::plainly;
      open_->misses = 0;
      open_->all.start();
    }
    ++starts_;
  }
  /// What was recorded is started, noted or not; where no graph can be made of it, what was noted is started one by one.
  bool start_record(record& of) {
    if (!recorder_.end(of.all)) {
      play(of, of.calls.size());
      return false;
    }
    of.all.start();
    return true;
  }
  void show() {
    open_pass::show(this, [](void* self) { static_cast<tape*>(self)->interrupt(); });
  }
  bool change() {
    return std::all_of(changed_.begin(), changed_.end(), [&](std::size_t i) {
      return open_->all.change(open_->calls[i].where, open_->bytes.data() + open_->calls[i].at);
    });
  }

  Recorder recorder_;
  std::list<record> records_;
  record* open_ = nullptr;  ///< the pass under way, unless it is done plainly
  doing doing_ = doing::plainly;
  decltype(std::declval<Recorder const&>().end_of_record()) end_{};  ///< of the record, as far as it is noted
  std::size_t next_ = 0;              ///< which call of the record is compared next
  std::vector<std::size_t> changed_;  ///< calls whose operands are others than in the graph
  std::size_t passes_ = 0, starts_ = 0;
};

}  // namespace mpx::on_cuda
