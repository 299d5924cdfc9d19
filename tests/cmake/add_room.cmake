# mpx_add_room(<room>): builds tests/<room>/*.cpp into one executable, and makes each test case a CTest of its own,
# named "<room>: <sentence>". Labels: room, the room's name, and slow for cases tagged [slow].
function(mpx_add_room room)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${room}/*.cpp)
  if(NOT MPX_BUILD_MATRIX)  # cells of a table, <model>_<type>.cpp: every mesh, every placement
    list(FILTER sources EXCLUDE REGEX "_(f32|bf16)\\.cpp$")
  endif()
  if(NOT MPX_WITH_NCCL)
    list(FILTER sources EXCLUDE REGEX "/nccl[a-z_]*\\.cpp$")
  endif()
  if(NOT MPX_WITH_CUDNN AND room STREQUAL "gpu")
    list(FILTER sources EXCLUDE REGEX "/cudnn\\.cpp$")
  endif()
  if(NOT sources)
    return()
  endif()
  set(target test_${room})
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE mpx_test mpx_test_main)
  set(level "")
  if(CMAKE_CXX_FLAGS_RELEASE MATCHES "-O[23]" AND CMAKE_BUILD_TYPE STREQUAL "Release")
    if(room IN_LIST MPX_ROOMS_O0)
      set(level -O0)
    elseif(room IN_LIST MPX_ROOMS_O1)
      set(level -O1)
    endif()
  endif()
  if(level)
    # A precompiled header is read by compiles of the same -O alone: this room has its own.
    target_compile_options(${target} PRIVATE ${level})
    target_precompile_headers(${target} PRIVATE ${catch_header})
  else()
    target_precompile_headers(${target} REUSE_FROM mpx_test_header)
  endif()

  # The executable is asked for its cases when it has been built. Catch's own catch_discover_tests does the same, but
  # sets no label from a tag, and loses names that hold brackets.
  set(cases ${CMAKE_CURRENT_BINARY_DIR}/${target}.cmake)
  add_custom_command(TARGET ${target} POST_BUILD BYPRODUCTS ${cases} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DEXECUTABLE=$<TARGET_FILE:${target}> -DROOM=${room} -DCATCH=${Catch2_VERSION} -DOUTPUT=${cases}
            -P ${PROJECT_SOURCE_DIR}/tests/cmake/list_cases.cmake)
  file(CONFIGURE OUTPUT ${target}_include.cmake @ONLY CONTENT [[
if(EXISTS "@cases@")
  include("@cases@")
else()
  add_test("@room@: is not built" "@target@")
endif()
]])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake)
endfunction()
