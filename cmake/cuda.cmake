# mpx::cuda: what a program needs to run on GPUs. Its kernels come as one source, which nvcc compiles into the user's own
# target; everything else stays with the C++ compiler.
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 90)
endif()
enable_language(CUDA)
find_package(CUDAToolkit 12.4 REQUIRED)
foreach(part IN ITEMS toolkit cudart_static cudart_static_deps cublasLt cublas)
  if(TARGET CUDA::${part})
    set_target_properties(CUDA::${part} PROPERTIES IMPORTED_GLOBAL TRUE)
  endif()
endforeach()

add_library(mpx_cuda INTERFACE)
add_library(mpx::cuda ALIAS mpx_cuda)
set_target_properties(mpx_cuda PROPERTIES EXPORT_NAME cuda)
target_link_libraries(mpx_cuda INTERFACE mpx CUDA::cudart_static CUDA::cublasLt)
target_sources(mpx_cuda INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include/mpx/cuda.cu> $<INSTALL_INTERFACE:include/mpx/cuda.cu>)
# Formulas use what std offers as constexpr. The standard is an option: CMake 3.25 knows no feature of that name for nvcc 13.
target_compile_options(mpx_cuda INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20>" "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>")

# mpx's own programs share one compile of the kernels.
add_library(mpx_cuda_kernels OBJECT EXCLUDE_FROM_ALL)
target_link_libraries(mpx_cuda_kernels PRIVATE mpx::cuda)
add_library(mpx_cuda_development INTERFACE)
target_link_libraries(mpx_cuda_development INTERFACE mpx_development CUDA::cudart_static CUDA::cublasLt)
target_sources(mpx_cuda_development INTERFACE $<TARGET_OBJECTS:mpx_cuda_kernels>)

# mpx::cudnn: the same, and cuDNN's attention for programs that name it. One source asks for it, which is the C++ compiler's.
if(MPX_WITH_CUDNN)
  find_package(CUDNN 9.16 REQUIRED GLOBAL)
  add_library(mpx_cudnn INTERFACE)
  add_library(mpx::cudnn ALIAS mpx_cudnn)
  set_target_properties(mpx_cudnn PROPERTIES EXPORT_NAME cudnn)
  target_link_libraries(mpx_cudnn INTERFACE mpx_cuda CUDNN::cudnn)
  target_sources(mpx_cudnn INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include/mpx/cudnn.cpp> $<INSTALL_INTERFACE:include/mpx/cudnn.cpp>)
endif()

# mpx::nccl: the same, and NCCL between the ranks of programs that name it.
if(MPX_WITH_NCCL)
  find_package(NCCL 2.14 REQUIRED GLOBAL)
  add_library(mpx_nccl INTERFACE)
  add_library(mpx::nccl ALIAS mpx_nccl)
  set_target_properties(mpx_nccl PROPERTIES EXPORT_NAME nccl)
  target_link_libraries(mpx_nccl INTERFACE mpx_cuda NCCL::nccl)
endif()
