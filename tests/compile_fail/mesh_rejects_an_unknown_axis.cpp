// error: mpx::mesh requires each argument to be data<D>, pipeline<P> or tensor<T>, with a number above 0
// fact:  width<2
#include <mpx/model/options.hpp>
#include <mpx/policy/mesh.hpp>

mpx::mesh<mpx::data<2>, mpx::width<2>> mesh;
