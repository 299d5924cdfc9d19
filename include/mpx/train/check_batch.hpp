/// @file
/// A batch is looked at before anything is done with it.
#pragma once

#include <cstddef>
#include <string>

#include <mpx/core/error.hpp>
#include <mpx/plan/plan.hpp>
#include <mpx/tensor/batch.hpp>

namespace mpx {

/// Errors  throws mpx::error, naming sample, feed and position, when a column is missing or of another size, an id or
///         length is out of range, or the batch is empty or larger than the plan's capacity
template <class Plan>
void check_batch(Plan const& plan, batch const& given, bool targets_needed) {
  // Texts are made only for errors: a good batch costs no allocation.
  auto const origin = [&] { return given.origin.empty() ? std::string("batch") : given.origin; };
  auto const number = [](auto n) { return std::to_string(n); };

  if (given.size.sequences <= 0) throw error({"empty batch", origin(), "at least 1 sequence", number(given.size.sequences)});
  std::size_t const parts = plan.mesh.data * plan.microbatches;
  int const most = plan.capacity.sequences * static_cast<int>(parts);
  if (given.size.sequences > most)
    throw error({"batch is larger than the capacity", origin(),
                 "at most " + number(most) + " sequences (" + number(parts) + " microbatches of " +
                     number(plan.capacity.sequences) + ")",
                 number(given.size.sequences)});

  for (auto const& stage : plan.stages) {
    for (std::size_t k = 0; k < stage.feed_count; ++k) {
      feed_info const& f = stage.feeds[k].feed;
      auto const where = [&] { return origin() + ", feed " + std::string(f.label); };
      int const tokens = given.size.tokens_on(f.on);
      if (tokens <= 0 || tokens > plan.capacity.tokens_on(f.on))
        throw error({"sequence does not fit the capacity", where(), "1 to " + number(plan.capacity.tokens_on(f.on)) + " tokens",
                     number(tokens)});
      auto const* column = given.find(f.label);
      if (!column) {
        if (f.padded && !targets_needed) continue;
        throw error({"feed is missing", where(), "a column of this name", "none"});
      }
      std::size_t const row = f.per_sequence ? 1 : static_cast<std::size_t>(tokens);
      std::size_t const count = static_cast<std::size_t>(given.size.sequences) * row;
      if (column->values.size() != count)
        throw error({"feed has another size", where(), number(count) + " values", number(column->values.size())});
      long const first = f.per_sequence ? 1 : f.padded ? -0x80000000L : 0;
      long const last = f.per_sequence ? tokens : f.limit > 0 ? static_cast<long>(f.limit) - 1 : 0x7fffffffL;
      for (std::size_t i = 0; i < count; ++i) {
        long const value = column->values[i];
        if (value >= first && value <= last) continue;
        throw error({f.per_sequence ? "length out of range" : "token id out of range",
                     origin() + ", sample " + number(i / row) + ", feed " + std::string(f.label) +
                         (f.per_sequence ? "" : ", position " + number(i % row)),
                     f.padded ? "0 to " + number(last) + ", or less for padding" : number(first) + " to " + number(last), number(value)});
      }
    }
  }
}

}  // namespace mpx
