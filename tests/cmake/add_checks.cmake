# CTests that read or compile source text, without building a program of it.
set(checks ${PROJECT_SOURCE_DIR}/tests/cmake)
set(include_dirs "$<REMOVE_DUPLICATES:$<TARGET_PROPERTY:mpx_test,INTERFACE_INCLUDE_DIRECTORIES>>")
set(compiler_arguments "-DCOMPILER=${CMAKE_CXX_COMPILER}" "-DINCLUDE_DIRS=${include_dirs}")
find_program(MPX_CLANG clang++-19 DOC "A second compiler for the compile_fail tests")
find_program(MPX_NVCC nvcc HINTS /usr/local/cuda/bin DOC "Another one, for CUDA source")
mark_as_advanced(MPX_CLANG MPX_NVCC)

# mpx_add_script_test(<name> <script> <labels> [<argument>...]): a CTest that runs tests/cmake/<script>.cmake.
function(mpx_add_script_test name script labels)
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} ${ARGN} -P ${checks}/${script}.cmake)
  set_tests_properties(${name} PROPERTIES LABELS "${labels}")
endfunction()

# The floors of the house, and a proof that their check finds what it looks for.
function(mpx_add_architecture_checks)
  mpx_add_script_test(architecture.floors check_floors text -DROOT=${PROJECT_SOURCE_DIR})
  mpx_add_script_test(architecture.floors_check_rejects_violations check_floors_rejects text
    -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/floors)
endfunction()

# headers.<room>: each header of the room compiles alone.
function(mpx_add_header_checks)
  file(GLOB rooms RELATIVE ${PROJECT_SOURCE_DIR}/include/mpx CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/mpx/*)
  list(FILTER rooms EXCLUDE REGEX "\\.")
  set(left_out "")
  set(cuda_dirs "")
  set(nccl_dir "")
  if(MPX_WITH_CUDA)
    set(cuda_dirs ${CUDAToolkit_INCLUDE_DIRS})
    if(MPX_WITH_NCCL)
      set(nccl_dir ${NCCL_INCLUDE_DIR})
    else()
      set(left_out cuda/nccl.hpp)
    endif()
  else()
    list(REMOVE_ITEM rooms cuda)
    set(left_out cuda.hpp)
  endif()
  foreach(room IN LISTS rooms ITEMS roof)
    string(REGEX REPLACE "^roof$" "." directory ${room})
    mpx_add_script_test(headers.${room} check_headers compile ${compiler_arguments}
      "-DMORE_DIRS=${cuda_dirs}" -DNCCL_DIR=${nccl_dir} -DLEFT_OUT=${left_out} -DDIRECTORY=${directory} -DROOT=${PROJECT_SOURCE_DIR}/include/mpx -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/headers/${room})
  endforeach()
endfunction()

# compile_fail.<name>: tests/compile_fail/<name>.cpp is refused, with the sentence that the file gives.
function(mpx_add_compile_fail_checks)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/compile_fail/*.cpp)
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME_WE)
    mpx_add_script_test(compile_fail.${name} check_compile_fail compile ${compiler_arguments} -DSOURCE=${source})
    if(MPX_CLANG AND NOT MPX_CLANG STREQUAL CMAKE_CXX_COMPILER)
      mpx_add_script_test(compile_fail_clang.${name} check_compile_fail compile
        -DCOMPILER=${MPX_CLANG} "-DINCLUDE_DIRS=${include_dirs}" -DSOURCE=${source})
    endif()
    if(MPX_NVCC)
      mpx_add_script_test(compile_fail_nvcc.${name} check_compile_fail compile
        -DCOMPILER=${MPX_NVCC} "-DINCLUDE_DIRS=${include_dirs}" -DSOURCE=${source})
    endif()
  endforeach()
  mpx_add_script_test(architecture.compile_fail_check_rejects_violations check_compile_fail_rejects text
    ${compiler_arguments} -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/compile_fail)
endfunction()

# What the documents show is what is compiled.
function(mpx_add_doc_checks)
  mpx_add_script_test(docs.readme_matches_overview check_readme text -DROOT=${PROJECT_SOURCE_DIR})
  mpx_add_script_test(docs.errors_are_listed check_errors text
    -DPAGE=${PROJECT_SOURCE_DIR}/docs/errors.md -DSOURCES=${PROJECT_SOURCE_DIR}/tests/compile_fail)
  mpx_add_script_test(docs.errors_check_rejects_violations check_errors_rejects text
    -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/errors_rejects)
  mpx_add_script_test(docs.code_blocks check_code_blocks compile ${compiler_arguments}
    -DROOT=${PROJECT_SOURCE_DIR} -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/code_blocks)
  mpx_add_script_test(docs.code_blocks_check_rejects_violations check_code_blocks_rejects text
    ${compiler_arguments} -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/code_blocks_rejects)
endfunction()

# install.<way>: a project of its own takes mpx either way, builds a program of two sources, and runs it.
function(mpx_add_install_check)
  if(NOT MPX_INSTALL)
    return()
  endif()
  foreach(way IN ITEMS find_package add_subdirectory)
    mpx_add_script_test(install.${way} run_install "compile;slow"
      -DWAY=${way} -DSOURCE=${PROJECT_SOURCE_DIR} -DBUILD=${PROJECT_BINARY_DIR} -DCOMPILER=${CMAKE_CXX_COMPILER}
      -DGENERATOR=${CMAKE_GENERATOR} -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/install/${way})
  endforeach()
endfunction()

# nvcc.<file>: the umbrella, and a program with a whole model, pass through nvcc's front end as CUDA source.
function(mpx_add_nvcc_check)
  if(NOT MPX_NVCC)
    return()
  endif()
  foreach(source IN ITEMS include/mpx/mpx.hpp examples/overview.cpp)
    get_filename_component(name ${source} NAME_WE)
    mpx_add_script_test(nvcc.${name} check_nvcc "compile;slow" -DCOMPILER=${MPX_NVCC} "-DINCLUDE_DIRS=${include_dirs}"
      -DSOURCE=${PROJECT_SOURCE_DIR}/${source} -DSCRATCH=${CMAKE_CURRENT_BINARY_DIR}/nvcc/${name})
  endforeach()
endfunction()
