// error: mpx::parameter requires a dimension that is divided to exist
// fact:  shape<8
#include <mpx/model/parameter.hpp>

mpx::parameter<"bias", mpx::shape<8>, mpx::init::zeros, mpx::sharded_inputs> bias;
