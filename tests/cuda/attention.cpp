// Attention's bodies under emulated blocks: tokens around a tile, heads of each tile size.
#include "cuda/emulation_backend.hpp"
#include "laws/machine.hpp"

using test::emulated_backend;

TEST_CASE("attention's bodies give what the host gives", "[cuda][attention]") {
  auto const agree = [](laws::attention_case const& z) { laws::attention_agrees<emulated_backend, float>(z); };
  agree({1, 1, 1, 1, 2});
  agree({2, 2, 5, 7, 6});
  agree({1, 2, 33, 31, 16});
  agree({1, 1, 32, 65, 64});
  agree({1, 1, 17, 33, 66});   // tiles of 16
  agree({1, 1, 9, 17, 130});   // tiles of 8
}

TEST_CASE("attention's bodies mask keys behind their query, and beyond a sequence's length", "[cuda][attention]") {
  auto const agree = [](laws::attention_case const& z) { laws::attention_agrees<emulated_backend, float>(z); };
  agree({2, 1, 40, 40, 8, true});
  agree({3, 2, 7, 5, 8, false, true});  // one sequence without any key
  agree({2, 1, 35, 70, 8, true, true});
}

TEST_CASE("attention's bodies add a bias by distance, and sum its gradient", "[cuda][attention]") {
  auto const agree = [](laws::attention_case const& z) { laws::attention_agrees<emulated_backend, float>(z); };
  agree({2, 2, 35, 35, 8, true, false, 8, 20});
  agree({2, 2, 9, 40, 8, false, true, 8, 20});
}

TEMPLATE_TEST_CASE("attention's bodies give what the host gives in 16 bits", "[cuda][attention]", mpx::bf16, mpx::f16) {
  laws::attention_agrees<emulated_backend, TestType>({2, 1, 34, 34, 16, true, true});
  laws::attention_agrees<emulated_backend, TestType>({1, 2, 10, 33, 8, false, false, 8, 20});
}

TEST_CASE("attention's bodies on the matrix units give what the host gives in bf16", "[cuda][attention]") {
  auto const agree = [](laws::attention_case const& z) { laws::attention_agrees<emulated_backend, mpx::bf16>(z); };
  for (bool const at_once : {false, true}) {
    test::copies_at_once = at_once;
    agree({1, 2, 70, 130, 32, true, false, 0, 0, 1, 8});
  }
  test::copies_at_once = false;
  // Tokens around a warp's rows and a block's; rows that can be copied 16 bytes at a time, and rows that cannot.
  agree({1, 1, 15, 17, 32, false, false, 0, 0, 0, 8});
  agree({1, 1, 64, 63, 64, true, false, 0, 0, 0, 8});
  agree({1, 1, 66, 65, 64, true, false, 0, 0, 0, 0});
  agree({1, 1, 20, 130, 40, false, true, 0, 0, 0, 16});
  agree({2, 1, 65, 67, 6, true, true});
  agree({1, 1, 33, 40, 128, true, false, 0, 0, 0, 8});
  agree({1, 1, 9, 70, 66});
  agree({1, 1, 5, 9, 130});  // a head too wide for them
  // Tiles that one thing alone cuts: the diagonal, the last key, the last query, a sequence's length.
  agree({1, 1, 64, 64, 32, true, false, 0, 0, 0, 8});
  agree({1, 1, 64, 70, 32, false, false, 0, 0, 0, 8});
  agree({1, 1, 40, 64, 32, false, false, 0, 0, 0, 8});
  agree({1, 1, 64, 70, 32, false, true, 0, 0, 0, 8});
  agree({1, 4, 35, 40, 16, true, false, 0, 0, 2, 8});
  agree({1, 2, 66, 66, 24, true, false, 8, 20, 0, 8});
  agree({2, 1, 10, 70, 66, false, true, 8, 20});
}

TEST_CASE("attention's bodies on the matrix units give what the host gives in f16", "[cuda][attention]") {
  auto const agree = [](laws::attention_case const& z) { laws::attention_agrees<emulated_backend, mpx::f16>(z); };
  agree({1, 1, 15, 17, 32, false, false, 0, 0, 0, 8});
  agree({1, 1, 66, 65, 64, true, false, 0, 0, 0, 0});
  agree({1, 4, 35, 40, 16, true, false, 8, 20, 2, 8});
}

TEST_CASE("attention's bodies share heads of keys and values among heads of queries", "[cuda][attention]") {
  auto const agree = [](laws::attention_case const& z) { laws::attention_agrees<emulated_backend, float>(z); };
  agree({2, 4, 35, 35, 8, true, false, 0, 0, 2});
  agree({2, 3, 9, 33, 16, false, true, 8, 20, 1});
  agree({1, 6, 10, 12, 66, false, false, 0, 0, 3});
}
