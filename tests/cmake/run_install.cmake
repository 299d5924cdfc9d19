# cmake -DWAY=<find_package or add_subdirectory> -DSOURCE=<source directory> -DBUILD=<build directory>
#       -DCOMPILER=<path> -DGENERATOR=<name> -DSCRATCH=<directory> -P run_install.cmake
# Builds and runs tests/install/consumer, which knows mpx from where it was installed, or from its source directory.
cmake_minimum_required(VERSION 3.24)

file(REMOVE_RECURSE ${SCRATCH})
set(from -DMPX_SOURCE=${SOURCE})
if(WAY STREQUAL "find_package")
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${SCRATCH}/prefix
                  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  set(from -DCMAKE_PREFIX_PATH=${SCRATCH}/prefix)
endif()
execute_process(
  COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/tests/install/consumer -B ${SCRATCH}/build -G ${GENERATOR} ${from}
          -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_CXX_FLAGS=-O1
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${SCRATCH}/build COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${SCRATCH}/build/consumer COMMAND_ERROR_IS_FATAL ANY)
