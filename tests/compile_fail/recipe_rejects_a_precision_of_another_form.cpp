// int is no type that mpx computes in.
// error: a precision policy offers `using compute = float`, `double`, `mpx::bf16` or `mpx::f16` and .*`static constexpr std::string_view label`
// fact: whole_numbers
#include <mpx/policy/recipe.hpp>

struct whole_numbers {
  using compute = int;
  static constexpr std::string_view label = "whole_numbers";
};

mpx::recipe<whole_numbers, mpx::microbatch_capacity<mpx::sequences<8>, mpx::tokens<16>>> run;
