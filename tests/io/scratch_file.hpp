/// @file
/// A file that a test writes, and that goes with it.
#pragma once

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <unistd.h>

namespace mpx_test {

class scratch_file {
 public:
  explicit scratch_file(std::string_view content = {}) {
    static int made = 0;
    path = "/tmp/mpx_test_" + std::to_string(getpid()) + "_" + std::to_string(made++);
    std::ofstream(path, std::ios::binary) << content;
  }
  scratch_file(scratch_file const&) = delete;
  scratch_file& operator=(scratch_file const&) = delete;
  ~scratch_file() { std::remove(path.c_str()); }

  [[nodiscard]] std::string content() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string path;
};

/// The sentence of the mpx::error that `f` throws; "" when it throws none.
template <class Error, class F>
[[nodiscard]] std::string refusal(F&& f) {
  try {
    f();
  } catch (Error const& fault) {
    return fault.what();
  }
  return "";
}

}  // namespace mpx_test
