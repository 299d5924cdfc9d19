/// @file
/// Does each device hold what the plan places on it?
#pragma once

#include <array>
#include <cstddef>

#include <mpx/core/device.hpp>
#include <mpx/core/units.hpp>

namespace mpx {

/// What memory is used for.
enum class memory_kind : unsigned char { weights, master, gradients, optimizer, constants, activations, scratch, channels };

// Facts that errors print.
template <device_kind Kind, int Ordinal> struct on_device {};
template <std::size_t Bytes> struct needed {};
template <std::size_t Bytes> struct available {};
template <memory_kind Kind, std::size_t Bytes> struct largest {};

namespace detail {

/// The first device whose arena exceeds its budget, with its three largest kinds of memory.
struct budget_excess {
  device where{};
  std::size_t needed = 0;
  std::size_t available = 0;
  std::array<memory_kind, 3> kinds{};
  std::array<std::size_t, 3> sizes{};

  [[nodiscard]] constexpr bool exists() const { return where.placed(); }
};

template <class Plan, class Budgets>
constexpr budget_excess find_excess(Plan const& plan, Budgets const& budgets) {
  for (auto const& one : budgets) {
    if (plan.bytes_on(one.where) <= one.budget) continue;
    budget_excess out{one.where, plan.bytes_on(one.where).count, one.budget.count, {}, {}};
    auto const use = plan.memory_on(one.where);
    std::array<bytes, 8> const sizes{use.weights,   use.master,      use.gradients, use.optimizer,
                                     use.constants, use.activations, use.scratch,   use.channels};
    std::array<bool, 8> taken{};
    for (std::size_t place = 0; place < 3; ++place) {
      std::size_t most = 8;
      for (std::size_t k = 0; k < 8; ++k)
        if (!taken[k] && (most == 8 || sizes[k] > sizes[most])) most = k;
      taken[most] = true;
      out.kinds[place] = static_cast<memory_kind>(most);
      out.sizes[place] = sizes[most].count;
    }
    return out;
  }
  return {};
}

template <bool Exceeds, class Where, class Needed, class Available, class First, class Second, class Third>
struct device_holds {
  static_assert(!Exceeds, "mpx::fits requires the device to have the memory that the plan needs on it");
};

}  // namespace detail

}  // namespace mpx
