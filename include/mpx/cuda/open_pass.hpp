/// @file
/// The pass that a thread is recording or comparing with its record.
#pragma once

#include <utility>

namespace mpx::on_cuda {

/// Work that comes into a thread's queue by another way than its machine - a kernel that a layer of the user's own starts -
/// would stand in front of what the open pass has asked for so far. So who takes the queue interrupts the pass first.
class open_pass {
 public:
  /// The open pass is done one by one from here on; nothing where there is none.
  static void interrupt() {
    if (close_ == nullptr) return;
    auto* const close = std::exchange(close_, nullptr);
    close(by_);
  }

  /// From here on close(by) is how it is interrupted, until hide().
  static void show(void* by, void (*close)(void*)) {
    by_ = by;
    close_ = close;
  }
  static void hide() { close_ = nullptr; }

 private:
  inline static thread_local void* by_ = nullptr;
  inline static thread_local void (*close_)(void*) = nullptr;
};

}  // namespace mpx::on_cuda
