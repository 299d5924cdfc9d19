// What numbers_to_words is asked to do, and the runs that are compiled in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct options {
  int epochs = 60;
  std::size_t batch = 32;
  std::uint64_t seed = 1;
  std::string mesh = "1,2,1";  ///< data ranks, pipeline stages, tensor ranks
  std::string precision = "bf16";
  std::string pairs;             ///< empty: the numbers 0 to 999
  std::vector<std::string> ask;  ///< sources to answer after training
  bool quiet = false;            ///< no progress line
};

// One translation unit for each precision, and one for the meshes with data or tensor ranks, which know bf16 alone.
int run_f32(options const&);
int run_bf16(options const&);
int run_f16(options const&);
int run_on_mesh(options const&);
