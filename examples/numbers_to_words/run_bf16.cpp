#include "run.hpp"

int run_bf16(options const& chosen) { return run<mpx::bf16_mixed, mpx::no_loss_scaling>(chosen); }
