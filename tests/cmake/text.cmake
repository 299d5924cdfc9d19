# Text as CMake lists, for scripts that read other people's text: brackets and semicolons mean something in a list.

# mpx_lines(<text> <result>): the lines of a text, each to be read through mpx_plain.
function(mpx_lines text result)
  string(ASCII 1 open)
  string(ASCII 2 close)
  string(ASCII 3 semicolon)
  string(REPLACE "[" "${open}" text "${text}")
  string(REPLACE "]" "${close}" text "${text}")
  string(REPLACE ";" "${semicolon}" text "${text}")
  string(ASCII 4 backslash)
  string(REPLACE "\\" "${backslash}" text "${text}")
  string(REPLACE "\n" ";" text "${text}")
  set(${result} "${text}" PARENT_SCOPE)
endfunction()

# mpx_plain(<line> <result>): a line of mpx_lines as it was.
function(mpx_plain line result)
  string(ASCII 1 open)
  string(ASCII 2 close)
  string(ASCII 3 semicolon)
  string(ASCII 4 backslash)
  string(REPLACE "${open}" "[" line "${line}")
  string(REPLACE "${close}" "]" line "${line}")
  string(REPLACE "${semicolon}" ";" line "${line}")
  string(REPLACE "${backslash}" "\\" line "${line}")
  set(${result} "${line}" PARENT_SCOPE)
endfunction()
