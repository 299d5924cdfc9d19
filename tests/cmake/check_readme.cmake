# cmake -DROOT=<source directory> -P check_readme.cmake
# The first ```cpp block of README.md is examples/overview.cpp.
cmake_minimum_required(VERSION 3.24)

file(READ ${ROOT}/README.md readme)
file(READ ${ROOT}/examples/overview.cpp overview)
string(FIND "${readme}" "```cpp\n" start)
if(start EQUAL -1)
  message(FATAL_ERROR "README.md has no ```cpp block")
endif()
math(EXPR start "${start} + 7")
string(SUBSTRING "${readme}" ${start} -1 block)
string(FIND "${block}" "\n```" length)
math(EXPR length "${length} + 1")
string(SUBSTRING "${block}" 0 ${length} block)
if(NOT block STREQUAL overview)
  message(FATAL_ERROR "README.md shows another program than examples/overview.cpp")
endif()
