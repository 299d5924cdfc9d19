/// @file
/// How sort.hpp sorts. Included by cuda.cu alone: CUB's headers take longer to compile than all else there.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cub/device/device_radix_sort.cuh>

#include <mpx/cuda/check.hpp>
#include <mpx/cuda/elements.hpp>
#include <mpx/cuda/launch.cuh>
#include <mpx/cuda/sort.hpp>

namespace mpx::on_cuda {

namespace detail {

/// Shapes  all: [rows]
inline cudaError_t sort_pairs(void* workspace, std::size_t& bytes, std::int32_t const* ids, std::int32_t* sorted_ids,
                              std::int32_t const* in_order, std::int32_t* sorted_rows, std::size_t rows, cudaStream_t in) {
  return cub::DeviceRadixSort::SortPairs(workspace, bytes, ids, sorted_ids, in_order, sorted_rows, static_cast<int>(rows), 0,
                                         32, in);
}

/// Nothing is started, so no queue is asked for.
[[nodiscard]] inline std::size_t sort_workspace(std::size_t rows) {
  std::size_t bytes = 0;
  check(sort_pairs(nullptr, bytes, nullptr, nullptr, nullptr, nullptr, rows, nullptr), "say what a sort takes");
  return bytes;
}

}  // namespace detail

template <class Id>
std::size_t sort_memory(std::size_t rows) {
  return 3 * rows + detail::sort_workspace(rows) / sizeof(float) + 1;
}

template <class Id>
void sort_rows(Id const* ids, std::size_t rows, float* memory) {
  auto* const sorted_ids = reinterpret_cast<std::int32_t*>(memory);
  std::int32_t *const sorted_rows = sorted_ids + rows, *const in_order = sorted_rows + rows;
  launch(number_ids{in_order, rows});
  std::size_t bytes = detail::sort_workspace(rows);
  check(detail::sort_pairs(in_order + rows, bytes, ids, sorted_ids, in_order, sorted_rows, rows, queue()), "sort ids");
}

}  // namespace mpx::on_cuda
