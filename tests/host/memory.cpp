#include <mpx_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <mpx/host/memory.hpp>

using mpx::on_host::memory;

static_assert(!std::is_copy_constructible_v<memory>);
static_assert(std::is_nothrow_move_constructible_v<memory> && std::is_nothrow_move_assignable_v<memory>);

TEST_CASE("memory is one zeroed block of whole cache lines", "[host][memory]") {
  memory const block(100);
  CHECK(block.size() == 128);
  CHECK(reinterpret_cast<std::uintptr_t>(block.data()) % 64 == 0);
  CHECK(std::all_of(block.data(), block.data() + block.size(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST_CASE("memory of 0 bytes holds nothing", "[host][memory]") {
  memory const block(0);
  CHECK(block.size() == 0);
  CHECK(block.data() == nullptr);
}

TEST_CASE("memory moves and leaves nothing behind", "[host][memory]") {
  memory from(64);
  std::byte* const data = from.data();
  memory middle(std::move(from));
  memory to(128);
  to = std::move(middle);
  CHECK(to.data() == data);
  CHECK(to.size() == 64);
  CHECK(from.data() == nullptr);
  CHECK(from.size() == 0);
  CHECK(middle.data() == nullptr);
  CHECK(middle.size() == 0);
}

TEST_CASE("memory that the machine does not have is an error that says how much was asked for", "[host][memory]") {
  std::size_t const too_many = std::size_t{1} << 62;
  try {
    memory const block(too_many);
    FAIL("a block of 4 EiB was given");
  } catch (mpx::error const& e) {
    CHECK(e.details.what == "out of memory");
    CHECK(e.details.expected == "4611686018427387904 bytes in one block");
  }
  CHECK_THROWS_AS(memory(~std::size_t{0}), mpx::error);  // rounding up to a cache line overflows
}
