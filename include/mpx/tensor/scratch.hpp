/// @file
/// Memory that a layer borrows while it runs.
#pragma once

#include <cstddef>
#include <string>

#include <mpx/core/error.hpp>

namespace mpx {

/// A stack of bytes. What is taken is given back when its frame ends.
class scratch_space {
 public:
  scratch_space() = default;
  scratch_space(std::byte* begin, std::size_t size) : begin_(begin), size_(size) {}

  [[nodiscard]] std::byte* take(std::size_t size) {
    if (used_ + size > size_)
      throw error({"scratch memory is used up", "layer", std::to_string(size_) + " bytes as planned",
                   std::to_string(used_ + size) + " bytes"});
    std::byte* const at = begin_ + used_;
    used_ += size;
    if (used_ > high_water_) high_water_ = used_;
    return at;
  }

  /// Gives back, at the end of its scope, all that was taken since its beginning.
  class frame {
   public:
    explicit frame(scratch_space& space) : space_(space), used_(space.used_) {}
    ~frame() { space_.used_ = used_; }
    frame(frame const&) = delete;
    frame& operator=(frame const&) = delete;

   private:
    scratch_space& space_;
    std::size_t used_;
  };

  /// The most bytes ever taken at once: equal to the plan's after a step of full microbatches.
  [[nodiscard]] std::size_t high_water() const { return high_water_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::byte* begin_ = nullptr;
  std::size_t size_ = 0;
  std::size_t used_ = 0;
  std::size_t high_water_ = 0;
};

}  // namespace mpx
