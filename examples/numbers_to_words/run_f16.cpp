#include "run.hpp"

int run_f16(options const& chosen) { return run<mpx::f16_mixed, mpx::dynamic_loss_scaling>(chosen); }
