/// @file
/// Where each stream goes: straight into the next layer, or held until its last reader.
#pragma once

#include <array>
#include <cstddef>

#include <mpx/model/layer_info.hpp>

namespace mpx {

/// A stream that somebody other than the next layer reads. It lives on every stage between its writer and last reader.
struct held_stream {
  stream_info stream;
  std::size_t writer = 0;
  std::size_t last_reader = 0;
};

/// How one layer is connected; -1 where it is not held.
struct route {
  bool direct = false;    ///< takes what the layer before it writes, which nobody else reads
  int takes_held = -1;    ///< held stream that it takes
  int gives_held = -1;    ///< held stream that it writes
  std::array<int, 4> reads_held{-1, -1, -1, -1};
};

/// A stream read that nobody writes, or with another shape; a stream written that nobody reads.
struct broken_route {
  std::size_t layer = 0;  ///< number of layers: nothing is broken
  stream_info wanted{};
  stream_info produced{};
  bool unread = false;
};

inline constexpr std::size_t most_held_streams = 16;
inline constexpr std::size_t most_feeds = 12;  ///< of a model

template <std::size_t N>
struct routing {
  std::array<route, N> routes{};
  std::array<held_stream, most_held_streams> held{};
  std::size_t held_count = 0;
  std::size_t wanted_held = 0;  ///< streams that would have to be held; more than `most_held_streams` do not compile
  broken_route broken{N, {}, {}, false};

  /// Is this held stream on the edge between layer `edge - 1` and layer `edge`?
  [[nodiscard]] constexpr bool crosses(std::size_t h, std::size_t edge) const {
    return held[h].writer < edge && held[h].last_reader >= edge;
  }
};

/// Follows every stream from its writer to its readers.
template <std::size_t N>
[[nodiscard]] constexpr routing<N> make_routing(std::array<layer_info, N> const& layers) {
  routing<N> out;
  auto const writer_of = [&](std::size_t reader, stream_info const& s) {
    for (std::size_t w = reader; w-- > 0;)
      if (layers[w].gives.label == s.label) return w;
    return N;
  };
  auto const fail = [&](std::size_t layer, stream_info wanted, stream_info produced, bool unread) {
    if (out.broken.layer == N) out.broken = {layer, wanted, produced, unread};
  };

  std::array<std::size_t, N> readers{}, last{};
  std::array<bool, N> aside{};  // somebody reads it in another way than by taking it right after
  auto const follow = [&](std::size_t r, stream_info const& s, bool takes) {
    if (!s.exists()) return;
    std::size_t const w = writer_of(r, s);
    if (w == N) return fail(r, s, {}, false);
    if (layers[w].gives != s) return fail(r, s, layers[w].gives, false);
    ++readers[w];
    last[w] = r;
    if (!takes || r != w + 1) aside[w] = true;
  };
  for (std::size_t r = 0; r < N; ++r) {
    follow(r, layers[r].takes, true);
    for (auto const& s : layers[r].reads) follow(r, s, false);
  }
  std::array<int, N> held_of{};
  for (std::size_t w = 0; w < N; ++w) {
    held_of[w] = -1;
    if (!layers[w].gives.exists()) continue;
    if (readers[w] == 0) fail(w, {}, layers[w].gives, true);
    if (readers[w] > 1 || aside[w]) {
      ++out.wanted_held;
      if (out.held_count == most_held_streams) continue;
      held_of[w] = static_cast<int>(out.held_count);
      out.held[out.held_count++] = {layers[w].gives, w, last[w]};
    }
    out.routes[w].gives_held = held_of[w];
  }
  for (std::size_t r = 0; r < N; ++r) {
    if (layers[r].takes.exists()) {
      std::size_t const w = writer_of(r, layers[r].takes);
      out.routes[r].takes_held = w < N ? held_of[w] : -1;
      out.routes[r].direct = w < N && held_of[w] < 0;
    }
    for (std::size_t k = 0; k < 4; ++k) {
      if (!layers[r].reads[k].exists()) continue;
      std::size_t const w = writer_of(r, layers[r].reads[k]);
      if (w < N) out.routes[r].reads_held[k] = held_of[w];
    }
  }
  return out;
}

}  // namespace mpx
