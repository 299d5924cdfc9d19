/// @file
/// Starts a body on the GPU.
#pragma once

namespace mpx::on_cuda {

/// Runs the body on as many blocks as its size() says, in this thread's queue. Compiled by nvcc for each body once: those
/// of mpx in cuda.cu; one of your own where a .cu file of yours includes <mpx/cuda/launch.cuh> and holds
/// `template void mpx::on_cuda::launch(your_body const&);`
/// Errors  throws mpx::error when CUDA cannot start it
template <class Body>
void launch(Body const& body);

}  // namespace mpx::on_cuda
