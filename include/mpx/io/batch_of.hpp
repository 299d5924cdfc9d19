/// @file
/// A batch that says in its type which feeds it has, so that a model which reads others does not compile.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <mpx/core/fixed_string.hpp>
#include <mpx/model/stream.hpp>
#include <mpx/plan/names.hpp>
#include <mpx/plan/segments.hpp>
#include <mpx/tensor/batch.hpp>

namespace mpx {

/// A batch of a data set that offers these feeds, mpx::message<mpx::feed<...>...>: its columns are made from that list.
template <class Offers>
struct batch_of;

template <class... Feeds>
struct batch_of<message<Feeds...>> : batch {
  using offers = message<Feeds...>;

  /// One column for each feed, in the order of `offers`.
  batch_of(extents measured, std::array<std::vector<std::int32_t>, sizeof...(Feeds)> values, std::string from)
      : batch{measured, {}, std::move(from)} {
    [[maybe_unused]] std::size_t k = 0;
    (columns.push_back({std::string(Feeds::label::view()), Feeds::on, Feeds::per_sequence, std::move(values[k++])}),
     ...);
  }
};

// Facts that errors print.
template <class Name> struct feed_read {};
template <class... Names> struct feeds_offered {};

namespace detail {

/// Can a layer read what a data set offers under the same name?
[[nodiscard]] constexpr bool can_read(feed_info const& layer, feed_info const& offered) {
  return layer.label == offered.label && layer.on == offered.on && layer.per_sequence == offered.per_sequence &&
         (layer.padded || !offered.padded);
}

/// The first feed that a model reads and that is not among those offered; none where all are. Targets, which are
/// padded, may be left out where nothing is learned.
template <class Model, class Offers, bool TargetsNeeded>
struct missing_feed;
template <class Model, class... Feeds, bool TargetsNeeded>
struct missing_feed<Model, message<Feeds...>, TargetsNeeded> {
  static constexpr std::string_view text() {
    auto const offered = streams_of<message<Feeds...>>::template as<feed_info, sizeof...(Feeds)>();
    std::string_view missing;
    [&]<class... S>(segments<S...>) {
      (
          [&] {
            for (feed_info const& read : streams_of<typename S::layer::feeds>::template as<feed_info, 4>()) {
              bool found = read.label.empty() || (read.padded && !TargetsNeeded);
              for (auto const& one : offered) found = found || can_read(read, one);
              if (!found && missing.empty()) missing = read.label;
            }
          }(),
          ...);
    }(segments_of<Model>{});
    return missing;
  }
};

template <class Feed, class Offered>
struct offered_feeds {
  static_assert(!sizeof(Feed), "mpx::trainer requires the data set to offer each feed that the model reads");
};
template <class Model, class Offers, bool TargetsNeeded, bool Missing>
struct feeds_are_offered {};
template <class Model, class... Feeds, bool TargetsNeeded>
struct feeds_are_offered<Model, message<Feeds...>, TargetsNeeded, true>
    : offered_feeds<feed_read<typename named<missing_feed<Model, message<Feeds...>, TargetsNeeded>>::type>,
                    feeds_offered<typename Feeds::label...>> {};

/// Is an error where a model reads a feed that is not offered.
template <class Model, class Offers, bool TargetsNeeded>
constexpr void check_feeds() {
  static_cast<void>(sizeof(
      feeds_are_offered<Model, Offers, TargetsNeeded, !missing_feed<Model, Offers, TargetsNeeded>::text().empty()>));
}

}  // namespace detail

/// Does a data set, or a batch_of, offer every feed that the model reads, on the same axis and in the same form?
template <class Model, class Source>
inline constexpr bool reads_from = detail::missing_feed<Model, typename Source::offers, true>::text().empty();

}  // namespace mpx
