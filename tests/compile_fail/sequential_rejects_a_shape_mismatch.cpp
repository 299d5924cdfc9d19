// Two linear layers whose widths do not meet.
// error: mpx::sequential requires each layer to take the shape that the layer before it produces
// fact: at_layer<1
// fact: produced<mpx::stream<[^,]*, 3072
// fact: wanted<mpx::stream<[^,]*, 768
#include <mpx/model/linear.hpp>
#include <mpx/model/sequential.hpp>

mpx::sequential<mpx::linear<768, 3072>, mpx::linear<768, 768>> model;
