# Headers, the exported target, and a package that `find_package(mpx)` reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/mpx)  # share/: headers are the same on every architecture

install(TARGETS mpx EXPORT mpxTargets FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT mpxTargets NAMESPACE mpx:: DESTINATION ${package_dir})

if(MPX_WITH_CUDA)
  install(TARGETS mpx_cuda EXPORT mpxCudaTargets)
  install(EXPORT mpxCudaTargets NAMESPACE mpx:: DESTINATION ${package_dir})
  install(FILES include/mpx/cuda.cu DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mpx)
  file(GLOB cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/mpx/cuda/*.cuh)
  install(FILES ${cuda_sources} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mpx/cuda)
endif()
if(MPX_WITH_CUDA AND MPX_WITH_NCCL)
  install(TARGETS mpx_nccl EXPORT mpxNcclTargets)
  install(EXPORT mpxNcclTargets NAMESPACE mpx:: DESTINATION ${package_dir})
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/FindNCCL.cmake DESTINATION ${package_dir})
endif()
if(MPX_WITH_CUDA AND MPX_WITH_CUDNN)
  install(TARGETS mpx_cudnn EXPORT mpxCudnnTargets)
  install(EXPORT mpxCudnnTargets NAMESPACE mpx:: DESTINATION ${package_dir})
  install(FILES include/mpx/cudnn.cpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/mpx)
  install(FILES ${PROJECT_SOURCE_DIR}/cmake/FindCUDNN.cmake DESTINATION ${package_dir})
endif()

configure_package_config_file(cmake/mpxConfig.cmake.in mpxConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(mpxConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/mpxConfig.cmake ${PROJECT_BINARY_DIR}/mpxConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindoneDNN.cmake
        DESTINATION ${package_dir})
