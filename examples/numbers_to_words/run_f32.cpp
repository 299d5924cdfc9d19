#include "run.hpp"

int run_f32(options const& chosen) { return run<mpx::f32_only, mpx::no_loss_scaling>(chosen); }
