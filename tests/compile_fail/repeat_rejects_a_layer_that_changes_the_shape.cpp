// error: mpx::repeat requires its layer to give the shape that it takes
// fact: repeatable<3
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>

mpx::repeat<3, mpx::linear<8, 16>> model;
