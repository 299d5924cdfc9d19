/// @file
/// Rows in the order of their ids, so that those of one id stand side by side.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mpx::on_cuda {

/// Shapes  ids, ascending, and the row that each of them was at: [rows]. Rows of one id keep their order.
struct rows_by_id {
  std::int32_t const* ids;
  std::int32_t const* rows;
};

/// What sort_rows wants for itself and its result.
/// Units   floats
template <class Id>
[[nodiscard]] std::size_t sort_memory(std::size_t rows);

/// Where sort_rows puts its result.
[[nodiscard]] inline rows_by_id sorted_in(float* memory, std::size_t rows) {
  auto* const ids = reinterpret_cast<std::int32_t*>(memory);
  return {ids, ids + rows};
}

/// Sorts in this thread's queue. Compiled by nvcc for 32-bit ids, in cuda.cu.
/// Shapes  ids: [rows]; memory: [sort_memory<Id>(rows)]
/// Errors  throws mpx::error when CUDA cannot start it
/// Source  a radix sort, which keeps the order of equal keys: cub::DeviceRadixSort
template <class Id>
void sort_rows(Id const* ids, std::size_t rows, float* memory);

}  // namespace mpx::on_cuda
