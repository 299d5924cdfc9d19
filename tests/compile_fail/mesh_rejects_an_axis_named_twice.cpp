// error: mpx::mesh requires its user to name each axis at most once
// fact:  tensor<4
#include <mpx/policy/mesh.hpp>

mpx::mesh<mpx::tensor<2>, mpx::tensor<4>> mesh;
