// Mirrors include/mpx/cuda/reduce.hpp: what a group's kernel makes of the buffers of its ranks, under emulated blocks.
#include <mpx/cuda/reduce.hpp>

#include <cstddef>
#include <vector>

#include <mpx/host/group.hpp>

#include "cuda/emulation.hpp"
#include "laws/machine.hpp"

namespace {

/// Elements begin to end of the parts, combined by the host and by an emulated GPU; into a slice or into every part.
template <class T>
void combines_as_the_host_does(mpx::combining how, std::size_t ranks, std::size_t n, std::size_t begin, std::size_t end, bool sliced) {
  CAPTURE(static_cast<int>(how), ranks, n, begin, end, sliced);
  std::vector<std::vector<T>> here(ranks);
  for (std::size_t r = 0; r < ranks; ++r) here[r] = laws::numbers<T>(n, static_cast<std::uint32_t>(r + 1));
  auto there = here;
  std::vector<T> slice_here(end - begin), slice_there(end - begin);

  std::vector<void*> parts;
  for (auto& one : here) parts.push_back(one.data());
  mpx::on_host::group_memory::combine<T>(how, parts.data(), ranks, begin, end, sliced ? slice_here.data() : nullptr);
  mpx::on_cuda::combine_parts<T> body{{}, sliced ? slice_there.data() : nullptr, ranks, begin, end - begin, how};
  for (std::size_t r = 0; r < ranks; ++r) body.parts[r] = there[r].data();
  test::emulate(body);

  for (std::size_t r = 0; r < ranks; ++r) CHECK(laws::same_bits(there[r], here[r]));
  CHECK(laws::same_bits(slice_there, slice_here));
}

}  // namespace

TEMPLATE_TEST_CASE("the buffers of ranks become what the host makes of them, bit by bit", "[cuda][reduce]", float, mpx::bf16, mpx::f16) {
  for (auto const how : {mpx::combining::sum, mpx::combining::sum_in_pairs, mpx::combining::largest})
    for (std::size_t const ranks : {1, 3, 4, 7}) {
      combines_as_the_host_does<TestType>(how, ranks, 2100, 0, 2100, false);
      combines_as_the_host_does<TestType>(how, ranks, 2100, 7, 2090, false);
      combines_as_the_host_does<TestType>(how, ranks, 70, 33, 65, true);
      combines_as_the_host_does<TestType>(how, ranks, 70, 5, 5, true);
    }
}
