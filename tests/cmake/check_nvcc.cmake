# cmake -DNVCC=<path> -DINCLUDE_DIRS=<list> -DSOURCE=<file> -DSCRATCH=<directory> -P check_nvcc.cmake
# Compiles one file as CUDA source. Nothing of it runs on a GPU: the question is what nvcc's front end understands.
cmake_minimum_required(VERSION 3.24)

set(include_flags "")
foreach(directory IN LISTS INCLUDE_DIRS)
  if(NOT directory STREQUAL "/usr/include")
    list(APPEND include_flags -I${directory})
  endif()
endforeach()
file(CONFIGURE OUTPUT ${SCRATCH}/unit.cu @ONLY CONTENT "#include \"@SOURCE@\"\n")
execute_process(COMMAND ${NVCC} -std=c++20 -w ${include_flags} -c ${SCRATCH}/unit.cu -o ${SCRATCH}/unit.o RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "nvcc does not compile ${SOURCE}")
endif()
