# cmake -DSCRATCH=<directory> -P check_errors_rejects.cmake
# check_errors must accept a page that says all that sources are told, and name what another page leaves out.
cmake_minimum_required(VERSION 3.24)

function(check_page text expected)
  file(WRITE ${SCRATCH}/page.md "${text}")
  file(WRITE ${SCRATCH}/sources/one.cpp "// error: mpx::one requires two\n")
  file(WRITE ${SCRATCH}/sources/offers.cpp "// error: offers `f\\(int\\)` and .*`g`\n")
  execute_process(
    COMMAND ${CMAKE_COMMAND} -DPAGE=${SCRATCH}/page.md -DSOURCES=${SCRATCH}/sources
            -P ${CMAKE_CURRENT_LIST_DIR}/check_errors.cmake
    OUTPUT_VARIABLE said ERROR_VARIABLE said RESULT_VARIABLE status)
  string(REGEX REPLACE "[ \n]+" " " said "${said}")
  if(expected STREQUAL "accepted")
    if(NOT status EQUAL 0)
      message(SEND_ERROR "refused, but should not be: ${text}\n${said}")
    endif()
  elseif(status EQUAL 0 OR NOT said MATCHES "${expected}")
    message(SEND_ERROR "does not lead to '${expected}': ${text}\n${said}")
  endif()
endfunction()

check_page("| mpx::one requires two | offers `f(int)` and `g` |\n" accepted)
check_page("| mpx::one requires three | offers `f(int)` and `g` |\n" "does not say 'mpx::one requires two'")
check_page("| mpx::one requires two | offers `f(int)` |\n" "which .*offers.cpp is told")
file(REMOVE_RECURSE ${SCRATCH})
