// Counts what a test program allocates by operator new. For one file of an executable: it replaces the operators.
#pragma once

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

/// Allocations that this program's own code asks for; oneDNN, a library beside it, makes its own.
std::atomic<long> own_allocations{0};

void const* base_of(void const* address) {
  Dl_info info{};
  return dladdr(address, &info) != 0 ? info.dli_fbase : nullptr;
}

}  // namespace

__attribute__((noinline)) void* operator new(std::size_t bytes) {
  static void const* const program = base_of(reinterpret_cast<void const*>(&base_of));
  if (base_of(__builtin_return_address(0)) == program) ++own_allocations;
  if (void* const block = std::malloc(bytes == 0 ? 1 : bytes)) return block;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, std::nothrow_t const&) noexcept { return std::malloc(bytes == 0 ? 1 : bytes); }
__attribute__((noinline)) void operator delete(void* block) noexcept { std::free(block); }
__attribute__((noinline)) void operator delete(void* block, std::size_t) noexcept { std::free(block); }
