# cmake -DCOMPILER=<path> -DINCLUDE_DIRS=<list> -DSCRATCH=<directory> -P check_code_blocks_rejects.cmake
# check_code_blocks must accept blocks that are compiled somewhere or compile, and name each other block.
cmake_minimum_required(VERSION 3.24)

function(check_page text expected)
  file(REMOVE_RECURSE ${SCRATCH})
  file(WRITE ${SCRATCH}/examples/01.cpp "int main() {\n  int const two = 2;\n\n  return two - 2;\n}\n")
  file(WRITE ${SCRATCH}/docs/page.md "# A page\n\n```cpp\n${text}\n```\n\nLast words.\n")
  execute_process(
    COMMAND ${CMAKE_COMMAND} -DCOMPILER=${COMPILER} "-DINCLUDE_DIRS=${INCLUDE_DIRS}" -DROOT=${SCRATCH}
            -DSCRATCH=${SCRATCH}/blocks -P ${CMAKE_CURRENT_LIST_DIR}/check_code_blocks.cmake
    RESULT_VARIABLE status OUTPUT_VARIABLE said ERROR_VARIABLE said)
  string(REGEX REPLACE "[ \n]+" " " said "${said}")
  if(expected STREQUAL "accepted")
    if(NOT status EQUAL 0)
      message(SEND_ERROR "refused, but should not be: ${text}\n${said}")
    endif()
  elseif(status EQUAL 0 OR NOT said MATCHES "${expected}")
    message(SEND_ERROR "does not lead to '${expected}': ${text}\n${said}")
  endif()
endfunction()

check_page("int const two = 2;\nreturn two - 2;" accepted)
check_page("#include <vector>\nstd::vector<int> numbers{1, 2};" accepted)
check_page("int const two = 2;\n```\n\n```cpp\nint const two = 2;" accepted)

check_page("int const two = 3;" "code block 1 is neither")
check_page("const two = 2;" "code block 1 is neither")
check_page("int const two = 2;\n```\n\n```cpp\nint const two = 3;" "code block 2 is neither")
check_page("#include <vector>\nstd::vector<int> numbers{\"one\"};" "code block 1 does not compile")
file(REMOVE_RECURSE ${SCRATCH})
