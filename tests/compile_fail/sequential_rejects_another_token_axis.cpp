// Widths meet, but one layer works on source tokens and the next on target tokens.
// error: mpx::sequential requires each layer to take the shape that the layer before it produces
// fact: at_layer<1
#include <mpx/model/norm.hpp>
#include <mpx/model/sequential.hpp>

mpx::sequential<mpx::layer_norm<8, mpx::axis::source>, mpx::layer_norm<8, mpx::axis::target>> model;
