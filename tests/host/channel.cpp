#include <mpx_test.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <numeric>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <mpx/host/channel.hpp>

using mpx::aborted;
using mpx::on_host::channel;
using namespace std::chrono_literals;

static_assert(!std::is_move_constructible_v<channel>);

namespace {

/// A channel of 2 slots of 64 bytes.
struct small {
  std::array<std::byte, 128> storage{};
  channel c;
  explicit small(std::chrono::milliseconds deadline = 10s) : c("stage 0 -> stage 1", storage, 2, deadline) {}
};

}  // namespace

TEST_CASE("a channel gives messages in the order in which they were sent", "[host][channel]") {
  small s;
  int const first = 1, second = 2;
  int got = 0;
  s.c.send(&first, sizeof first);
  s.c.send(&second, sizeof second);
  s.c.receive(&got, sizeof got);
  CHECK(got == 1);
  s.c.receive(&got, sizeof got);
  CHECK(got == 2);
  CHECK(s.c.messages() == 2);
  CHECK(s.c.bytes_sent() == 8);
}

TEST_CASE("a channel carries messages of 0 bytes", "[host][channel]") {
  small s;
  s.c.send(nullptr, 0);
  s.c.receive(nullptr, 0);
  CHECK(s.c.messages() == 1);
  CHECK(s.c.bytes_sent() == 0);
}

TEST_CASE("two threads pass many messages through few slots", "[host][channel]") {
  small s;
  constexpr std::uint32_t count = 5000;
  std::thread sender([&] {
    std::array<std::uint32_t, 16> message{};
    for (std::uint32_t i = 0; i < count; ++i) {
      message.fill(i);
      s.c.send(message.data(), 4 * (1 + i % 16));
    }
  });
  std::uint32_t wrong = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::array<std::uint32_t, 16> message{};
    s.c.receive(message.data(), 4 * (1 + i % 16));
    wrong += std::accumulate(message.begin(), message.end(), 0u) != i * (1 + i % 16);
  }
  sender.join();
  CHECK(wrong == 0);
  CHECK(s.c.messages() == count);
}

TEST_CASE("a channel that waits past its deadline says who waited for what", "[host][channel]") {
  small s(20ms);
  int x = 0;
  try {
    s.c.receive(&x, sizeof x);
    FAIL("received from an empty channel");
  } catch (mpx::error const& e) {
    CHECK(std::string(e.what()) ==
          "receive waits for a message past the deadline (stage 0 -> stage 1): expected within 20 ms, got 0 messages "
          "sent, 0 received");
  }
  s.c.send(&x, sizeof x);
  s.c.send(&x, sizeof x);
  try {
    s.c.send(&x, sizeof x);
    FAIL("sent into a full channel");
  } catch (mpx::error const& e) {
    CHECK(e.details.what == "send waits for a free slot past the deadline");
    CHECK(e.details.got == "2 messages sent, 0 received");
  }
}

TEST_CASE("a message of another size than expected is an error, and stays in the channel", "[host][channel]") {
  small s;
  std::array<std::uint32_t, 17> words{7};
  s.c.send(words.data(), 8);
  try {
    s.c.receive(words.data(), 12);
    FAIL("received 12 bytes of 8");
  } catch (mpx::error const& e) {
    CHECK(e.details.expected == "12 bytes");
    CHECK(e.details.got == "8");
  }
  s.c.receive(words.data(), 8);
  CHECK(words[0] == 7);
  CHECK_THROWS_AS(s.c.send(words.data(), 68), mpx::error);  // a slot has 64 bytes
  CHECK(s.c.messages() == 1);
}

TEST_CASE("abort wakes who waits; open makes the channel new", "[host][channel]") {
  small s;
  int x = 5;
  auto waiting = std::async(std::launch::async, [&] {
    int y = 0;
    s.c.receive(&y, sizeof y);
  });
  std::this_thread::sleep_for(5ms);
  s.c.abort();
  CHECK_THROWS_AS(waiting.get(), aborted);
  CHECK_THROWS_AS(s.c.send(&x, sizeof x), aborted);

  s.c.open();
  s.c.send(&x, sizeof x);  // never received
  s.c.open();
  x = 6;
  s.c.send(&x, sizeof x);
  s.c.receive(&x, sizeof x);
  CHECK(x == 6);
}

TEST_CASE("a channel needs a slot", "[host][channel]") {
  CHECK_THROWS_AS(channel("none", std::span<std::byte>{}, 0, 1s), mpx::error);
}
