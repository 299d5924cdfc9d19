# cmake -DCOMPILER=<path> -DINCLUDE_DIRS=<list> -DROOT=<include/mpx> -DDIRECTORY=<room, or .> -DSCRATCH=<directory>
#       -P check_headers.cmake
#       [-DMORE_DIRS=<list>] [-DNCCL_DIR=<directory>] [-DLEFT_OUT=<header>]
# Compiles each header of one directory alone, included twice.
cmake_minimum_required(VERSION 3.24)
list(APPEND INCLUDE_DIRS ${MORE_DIRS} ${NCCL_DIR})
include(${CMAKE_CURRENT_LIST_DIR}/compiler.cmake)

file(GLOB headers RELATIVE ${ROOT} ${ROOT}/${DIRECTORY}/*.hpp)
list(REMOVE_ITEM headers "${LEFT_OUT}")
set(units "")
foreach(header IN LISTS headers)
  file(CONFIGURE OUTPUT ${SCRATCH}/${header}.cpp @ONLY CONTENT "#include <mpx/@header@>\n#include <mpx/@header@>\n")
  list(APPEND units ${SCRATCH}/${header}.cpp)
endforeach()
if(units)
  execute_process(COMMAND ${compile_command} -O0 -Wall -Wextra -fsyntax-only ${units} RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "a header of ${DIRECTORY} does not compile alone")
  endif()
endif()
