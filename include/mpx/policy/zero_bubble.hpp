/// @file
/// Schedules that split each backward, and fill the pipeline's pauses with the halves that nobody waits for.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/policy/schedule.hpp>

namespace mpx {

namespace detail {

/// Gradients of weights, put off: a microbatch's activations are kept until they are there, so each is computed, in the
/// order of the input halves, when a forward needs its memory or when the pipeline drains.
template <std::size_t Tasks>
class put_off {
 public:
  /// Most forwards of the device without their weights' gradients.
  constexpr explicit put_off(int most) : most_(most) {}

  constexpr void forward(task t) {
    if (in_flight_ == most_) one_weights();
    add(t);
    ++in_flight_;
  }
  constexpr void backward_input(task t) {
    waiting_[put_++] = t;
    add(t);
  }
  constexpr void one_weights() {
    task t = waiting_[taken_++];
    t.kind = work::backward_weights;
    add(t);
    --in_flight_;
  }
  [[nodiscard]] constexpr std::array<task, Tasks> end() {
    while (taken_ < put_) one_weights();
    return list_;
  }

 private:
  constexpr void add(task t) { list_[n_++] = t; }

  std::array<task, Tasks> list_{}, waiting_{};
  std::size_t n_ = 0, put_ = 0, taken_ = 0;
  int in_flight_ = 0, most_ = 0;
};

}  // namespace detail

/// 1F1B with split backwards, in 1F1B's memory: p stages keep at most min(M, p) microbatches' activations each. With
/// forward and halves of equal cost a step of M >= p microbatches takes 3 M + p - 1, the least that stages in a row can:
/// the idle share is (p - 1) / (3 M + p - 1), a third of 1F1B's idle time.
/// Source  Qi et al. 2023, arXiv:2401.10241, section 2.1
template <class Microbatches>
struct zb_h1 {
  static constexpr std::size_t microbatches = Microbatches::value;
  static constexpr bool splits_backward = true;
  static constexpr std::size_t fewest_microbatches(int stages) { return static_cast<std::size_t>(stages); }

  static constexpr std::array<task, 3 * microbatches> tasks(int stage, int stages) {
    constexpr int all = static_cast<int>(microbatches);
    detail::put_off<3 * microbatches> list(stages);
    int forward = 0;
    while (forward < all && forward < stages - stage) list.forward({work::forward, forward++});
    for (int backward = 0; backward < all; ++backward) {
      list.backward_input({work::backward_input, backward});
      if (forward < all) list.forward({work::forward, forward++});
      else list.one_weights();
    }
    return list.end();
  }
};

/// Two stages on each device, laid out as a V: device d of p has the stages d and 2 p - 1 - d, so the last device turns
/// forwards around and the first one has both the embedding and the loss. A device keeps at most 2 p forwards of one of
/// its stages, as much as p of 1F1B's. With forward and halves of equal cost, 1 for each stage, a step of M >= p
/// microbatches takes 6 M + p - 1: no device waits once it has begun. Each microbatch crosses each link twice.
/// Source  Qi et al. 2023, arXiv:2401.10241, section 6
template <class Microbatches>
struct zb_v {
  static constexpr std::size_t microbatches = Microbatches::value;
  static constexpr std::size_t chunks = 2;
  static constexpr bool splits_backward = true;
  static constexpr std::size_t fewest_microbatches(int stages) { return static_cast<std::size_t>(stages) / chunks; }
  static constexpr int device_of(int stage, int devices) { return stage < devices ? stage : 2 * devices - 1 - stage; }

  static constexpr std::array<task, 6 * microbatches> tasks(int device, int devices) {
    // Where each stage takes 3 times longer to pass a microbatch on than to work on it, all four passes of a microbatch
    // meet a free device every 6: these are their times, in whose order the device works.
    int const last = devices - 1, turned = last - device;
    struct pass {
      task next;
      int time;
    };
    std::array<pass, 4> passes{{{{work::forward, 0, 0}, 3 * device},
                                {{work::forward, 0, 1}, 3 * last + 1 + 3 * turned},
                                {{work::backward_input, 0, 1}, 6 * last + 2 + 3 * device},
                                {{work::backward_input, 0, 0}, 9 * last + 3 + 3 * turned}}};
    detail::put_off<6 * microbatches> list(2 * devices);
    for (std::size_t n = 0; n < 4 * microbatches; ++n) {
      pass* first = nullptr;
      for (pass& p : passes)
        if (p.next.microbatch < static_cast<int>(microbatches) && (!first || p.time < first->time)) first = &p;
      task const t = first->next;
      first->next.microbatch++;
      first->time += 6;
      if (t.kind == work::forward) {
        list.forward(t);
      } else {
        list.backward_input(t);
        bool const turns_end = passes[2].next.microbatch == static_cast<int>(microbatches);
        if (t.chunk == 0 && turns_end) list.one_weights();
      }
    }
    return list.end();
  }
};

}  // namespace mpx
