# cmake -DEXECUTABLE=<test> -DROOM=<name> -DCATCH=<version> -DOUTPUT=<file> -P list_cases.cmake
# Writes one add_test for each test case of a Catch executable. A case that says "skipped: " is reported so.
cmake_minimum_required(VERSION 3.24)
include(${CMAKE_CURRENT_LIST_DIR}/text.cmake)

if(CATCH VERSION_GREATER_EQUAL 3)
  set(list_names --list-tests --verbosity quiet)
else()
  set(list_names --list-test-names-only)
endif()

# Catch 2 returns the number of cases instead of 0: only a signal or a failed start is a word.
function(case_names tags result)
  execute_process(COMMAND ${EXECUTABLE} ${tags} ${list_names} OUTPUT_VARIABLE names ERROR_VARIABLE said RESULT_VARIABLE status)
  if(NOT status MATCHES "^[0-9]+$" OR said)
    message(FATAL_ERROR "${EXECUTABLE} does not list its test cases: ${status}\n${names}${said}")
  endif()
  mpx_lines("${names}" names)
  set(${result} "${names}" PARENT_SCOPE)
endfunction()

set(script "")
function(add_cases tags labels)
  case_names("${tags}" names)
  set(added "")
  foreach(name IN LISTS names)
    mpx_plain("${name}" name)
    if(name STREQUAL "")
      continue()
    endif()
    string(REGEX REPLACE "([][\\,\"~*])" "\\\\\\1" pattern "${name}")
    string(APPEND added "add_test([==[${ROOM}: ${name}]==] [==[${EXECUTABLE}]==] [==[${pattern}]==])\n"
                        "set_tests_properties([==[${ROOM}: ${name}]==] PROPERTIES LABELS \"${labels}\"\n"
                        "                     SKIP_REGULAR_EXPRESSION \"(^|\\n)skipped: \")\n")
  endforeach()
  set(script "${script}${added}" PARENT_SCOPE)
endfunction()
add_cases("~[slow]" "room;${ROOM}")
add_cases("[slow]" "room;${ROOM};slow")
file(WRITE ${OUTPUT} "${script}")
