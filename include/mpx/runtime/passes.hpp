/// @file
/// Work that a machine may know better than operation by operation.
#pragma once

#include <mpx/backend/pass_name.hpp>

namespace mpx {

/// A pass. Where no device meets another in it, a machine that repeats passes may know this one from earlier steps.
template <bool MeetsNobody, class Machine, class Work>
void run_pass(Machine& machine, pass_name const& name, Work const& work) {
  if constexpr (MeetsNobody && requires { machine.repeat(name, work); }) machine.repeat(name, work);
  else work();
}

/// Squares of many gradients, or updates of many parameters.
template <class Machine, class Work>
void run_together(Machine& machine, Work const& work) {
  if constexpr (requires { machine.together(work); }) machine.together(work);
  else work();
}

}  // namespace mpx
