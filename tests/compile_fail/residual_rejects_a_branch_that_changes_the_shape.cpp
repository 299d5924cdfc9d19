// x + f(x) has no meaning when f(x) is wider than x.
// error: mpx::residual requires its layers to give the shape that they take
// fact: residual<mpx::linear<8, 16
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>

mpx::residual<mpx::linear<8, 16>> model;
