// A recipe's option where a layer belongs.
// error: mpx::sequential requires each argument to be a layer: to say what it takes and gives
// fact: width<8
#include <mpx/model/linear.hpp>
#include <mpx/model/options.hpp>
#include <mpx/model/sequential.hpp>

mpx::sequential<mpx::linear<8, 8>, mpx::width<8>> model;
