include(CMakePackageConfigHelpers)

install(TARGETS velollm velollm_warnings velollm_instrument EXPORT velollm-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS velollm_cli velollm_mock RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY schema DESTINATION ${CMAKE_INSTALL_DATADIR}/velollm)
install(EXPORT velollm-targets NAMESPACE velollm:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/velollm)

configure_package_config_file(cmake/velollm-config.cmake.in ${PROJECT_BINARY_DIR}/velollm-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/velollm)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/velollm-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/velollm-config.cmake ${PROJECT_BINARY_DIR}/velollm-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/velollm)
