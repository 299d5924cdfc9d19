// error: mpx::trainer requires its backend to offer every kind of device that the placement names
// fact:  device_kind::cuda
#include <mpx/mpx.hpp>

using model = mpx::gpt2<mpx::vocabulary<32>, mpx::width<8>, mpx::heads<2>, mpx::layers<2>, mpx::context<8>>;
using halves = mpx::place_at<mpx::at<"embedding", mpx::host<0>>, mpx::at<"layers", mpx::cuda<0>>, mpx::at<"norm", mpx::cuda<0>>,
                             mpx::at<"head", mpx::cuda<0>>, mpx::at<"loss", mpx::cuda<0>>>;
using recipe = mpx::recipe<halves, mpx::microbatch_capacity<mpx::sequences<1>, mpx::tokens<8>>>;

mpx::trainer<model, recipe> trainer;
