# cmake -DCOMPILER=<path> -DINCLUDE_DIRS=<list> -DSCRATCH=<directory> -P check_compile_fail_rejects.cmake
# check_compile_fail must accept a good case, and refuse cases whose message is absent, late, not asked for or too long.
cmake_minimum_required(VERSION 3.24)

function(check_case name text expected)
  file(WRITE ${SCRATCH}/${name}.cpp "${text}")
  execute_process(
    COMMAND ${CMAKE_COMMAND} -DCOMPILER=${COMPILER} "-DINCLUDE_DIRS=${INCLUDE_DIRS}" -DSOURCE=${SCRATCH}/${name}.cpp
            -P ${CMAKE_CURRENT_LIST_DIR}/check_compile_fail.cmake
    OUTPUT_VARIABLE said ERROR_VARIABLE said)
  string(REGEX REPLACE "[ \n]+" " " said "${said}")
  if(NOT said MATCHES "${expected}")
    message(SEND_ERROR "${name} does not lead to '${expected}': ${said}")
  endif()
endfunction()

set(heavy "template <class T> struct heavy { static_assert(sizeof(T) > 64, \"mpx::heavy requires T to be large\"); };\n")
check_case(good "// error: requires T to be large\n// fact: heavy<int\n${heavy}heavy<int> value;\n" "[1-9][0-9]* lines of diagnostics")
check_case(compiles "// error: requires T to be large\n${heavy}" "compiled, but should not")
check_case(other_sentence "// error: requires T to be small\n${heavy}heavy<int> value;\n" "does not say 'requires T to be small'")
check_case(other_fact "// error: to be large\n// fact: heavy<long\n${heavy}heavy<int> value;\n" "does not say 'heavy<long'")
check_case(late_sentence "// error: to be large\n${heavy}int number = missing;\nheavy<int> value;\n" "the first error does not say")
check_case(no_sentence "// fact: heavy<int\n${heavy}heavy<int> value;\n" "has no `// error:` line")
string(REPEAT "int number = missing;\n" 20 many_errors)
check_case(long_diagnostic "// error: to be large\n${heavy}heavy<int> value;\n${many_errors}" "lines of diagnostics, where 40 are enough")
file(REMOVE_RECURSE ${SCRATCH})
