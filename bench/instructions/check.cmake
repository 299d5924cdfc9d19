# cmake -DVALGRIND=<path> -DPROGRAM=<path> -DBASELINE=<file> -DCOMPILER="GNU 12.2" -DSCRATCH=<directory> -P check.cmake
# Counts the instructions of one training step, mpx's own functions alone: seconds depend on the machine and on who else
# uses it, these on the compiler. What oneDNN and the C library run is not counted. The band is 10 %.
cmake_minimum_required(VERSION 3.24)
file(STRINGS ${BASELINE} lines REGEX "^[^#]")
list(POP_FRONT lines counted_with)
if(NOT VALGRIND)
  message("skipped: valgrind is not installed")
  return()
elseif(NOT counted_with STREQUAL COMPILER)
  message("skipped: the baseline was counted with ${counted_with}, this program was compiled by ${COMPILER}")
  return()
endif()

function(count precision steps result)
  set(out ${SCRATCH}/${precision}_${steps}.out)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env OMP_NUM_THREADS=1 ${VALGRIND} --tool=cachegrind --cache-sim=no --cachegrind-out-file=${out}
            ${PROGRAM} ${precision} ${steps}
    RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE said)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "the program ended with ${status}:\n${said}")
  endif()
  # Lines "fn=<name>", and behind each "<line> <instructions>".
  execute_process(
    COMMAND awk "/^fn=/ {own = index($0, \"mpx::\")} /^[0-9]/ {if (own) sum += $2} END {printf \"%.0f\", sum}" ${out}
    OUTPUT_VARIABLE sum COMMAND_ERROR_IS_FATAL ANY)
  set(${result} ${sum} PARENT_SCOPE)
endfunction()

file(MAKE_DIRECTORY ${SCRATCH})
set(wrong "")
foreach(line IN LISTS lines)
  string(REGEX MATCH "^([a-z0-9]+) ([0-9]+)$" matched "${line}")
  set(precision ${CMAKE_MATCH_1})
  set(should ${CMAKE_MATCH_2})
  count(${precision} 1 few)
  count(${precision} 3 more)
  math(EXPR is "(${more} - ${few}) / 2")
  math(EXPR percent "100 * ${is} / ${should}")
  message("${precision}: ${is} instructions a step, ${percent} % of the baseline")
  if(percent LESS 90 OR percent GREATER 110)
    string(APPEND wrong "${precision}: ${is} instructions a step, where ${BASELINE} says ${should}\n")
  endif()
endforeach()
if(wrong)
  message(FATAL_ERROR "${wrong}Is it meant, and worth it? Then write the new count there.")
endif()
