# cmake -DCOMPILER=<path of nvcc> -DINCLUDE_DIRS=<list> -DSOURCE=<file> -DSCRATCH=<directory> -P check_nvcc.cmake
# Compiles one file as CUDA source. Nothing of it runs on a GPU: the question is what nvcc's front end understands.
cmake_minimum_required(VERSION 3.24)
include(${CMAKE_CURRENT_LIST_DIR}/compiler.cmake)

file(CONFIGURE OUTPUT ${SCRATCH}/unit.cu @ONLY CONTENT "#include \"@SOURCE@\"\n")
execute_process(COMMAND ${compile_command} -c ${SCRATCH}/unit.cu -o ${SCRATCH}/unit.o RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "nvcc does not compile ${SOURCE}")
endif()
