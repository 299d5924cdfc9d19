# The command line that a user of mpx::mpx compiles with, for scripts.
# In: COMPILER, INCLUDE_DIRS. Out: compile_command, to be followed by what to compile.
set(compile_command ${COMPILER} -std=c++20 -fopenmp-simd -fno-math-errno -fno-trapping-math -DMPX_OPENMP_SIMD=1)
foreach(directory IN LISTS INCLUDE_DIRS)
  list(APPEND compile_command -I${directory})
endforeach()
set(ENV{LC_ALL} C)
