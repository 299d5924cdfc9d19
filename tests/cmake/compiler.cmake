# The command line that a user of mpx::mpx compiles with, for scripts; nvcc takes the source as CUDA.
# In: COMPILER, INCLUDE_DIRS. Out: compile_command, to be followed by what to compile.
if(COMPILER MATCHES "nvcc$")
  set(compile_command ${COMPILER} -std=c++20 -w -x cu)
else()
  set(compile_command ${COMPILER} -std=c++20 -fopenmp-simd -fno-math-errno -fno-trapping-math -DMPX_OPENMP_SIMD=1)
endif()
foreach(directory IN LISTS INCLUDE_DIRS)
  if(NOT (COMPILER MATCHES "nvcc$" AND directory STREQUAL "/usr/include"))
    list(APPEND compile_command -I${directory})
  endif()
endforeach()
set(ENV{LC_ALL} C)
