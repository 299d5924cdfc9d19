// error: mpx::sequential requires each layer to take the layout that the layer before it produces
// fact:  produced<.*sharded_1
// fact:  (invariant|wanted<mpx::stream<fixed_string<2>{"x"}, 16, mpx::axis::target>>)
#include <mpx/model/linear.hpp>
#include <mpx/model/norm.hpp>
#include <mpx/model/sequential.hpp>

// A norm needs whole rows; the slices of the columns are not gathered.
mpx::sequential<mpx::linear<8, 16, mpx::axis::target, mpx::init::xavier_uniform, mpx::biased, mpx::split_outputs<>>,
                mpx::layer_norm<16>>
    model;
