#include "run.hpp"

int run_on_mesh(options const& chosen) {
  using precision = mpx::bf16_mixed;
  using scaling = mpx::no_loss_scaling;
  return chosen.mesh == "2,1,1"   ? run_on<mesh_of<2, 1, 1>, precision, scaling>(chosen)
         : chosen.mesh == "1,1,2" ? run_on<mesh_of<1, 1, 2>, precision, scaling>(chosen)
                                  : run_on<mesh_of<2, 2, 2>, precision, scaling>(chosen);
}
