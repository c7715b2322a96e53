# One way to declare a library, a program and a test, so that warnings, sanitizers and the
# dependency rule are the same everywhere.

include(DpumeshInstall)

add_library(dpumesh_flags INTERFACE)
target_compile_definitions(dpumesh_flags INTERFACE _GNU_SOURCE DPUMESH_VERSION="${PROJECT_VERSION}")
target_include_directories(dpumesh_flags INTERFACE "${PROJECT_SOURCE_DIR}/lib" "${PROJECT_SOURCE_DIR}")
target_compile_options(
  dpumesh_flags
  INTERFACE -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2
            -Wundef -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wimplicit-fallthrough
            -fno-common -fstack-protector-strong)
if(DPUMESH_SANITIZE)
  target_compile_options(dpumesh_flags INTERFACE -fsanitize=${DPUMESH_SANITIZE}
                                                 -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(dpumesh_flags INTERFACE -fsanitize=${DPUMESH_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(dpumesh_flags INTERFACE -D_FORTIFY_SOURCE=2)
endif()
if(DPUMESH_FUZZ)
  target_compile_options(dpumesh_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(dpumesh_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
# A library that a program links but does not call costs it memory at every start.
target_link_options(dpumesh_flags INTERFACE -Wl,-z,relro,-z,now,--as-needed)

# dpumesh_library(NAME SOURCES... [DEPS targets...]): a static library; what it may include is what
# it links, and nothing else reaches its link line.
function(dpumesh_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC dpumesh_flags ${ARG_DEPS})
endfunction()

# dpumesh_program(NAME SOURCES... [DEPS targets...]): an installed program. All programs of a build lie
# together in its bin/, as they do once installed, so that they find each other.
function(dpumesh_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE dpumesh_flags ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# dpumesh_test(NAME SOURCES... [DEPS targets...]): a Criterion test program and its CTest entry.
# Criterion lets a sanitizer's finding, and a run without tests, pass; the expressions do not. Builds
# without Criterion (ThreadSanitizer, fuzzing) have no such tests.
function(dpumesh_test name)
  if(NOT TARGET PkgConfig::CRITERION)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE dpumesh_flags ${ARG_DEPS} PkgConfig::CRITERION)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(
    ${name}
    PROPERTIES LABELS unit TIMEOUT 120 FAIL_REGULAR_EXPRESSION
               "ERROR: (Leak|Address|Thread)Sanitizer;runtime error:;Tested: .\\[[0-9;]*m0;Tested: 0")
endfunction()

# dpumesh_race(NAME SOURCES... [DEPS targets...]): a plain program with main() that ThreadSanitizer
# judges; Criterion aborts under it.
function(dpumesh_race name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE dpumesh_flags ${ARG_DEPS})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(
    ${name} PROPERTIES LABELS race TIMEOUT 120 FAIL_REGULAR_EXPRESSION
                       "(ERROR|WARNING): (Leak|Address|Thread)Sanitizer;runtime error:")
endfunction()

# dpumesh_fuzzer(NAME SOURCES... [DEPS targets...]): a libFuzzer program.
function(dpumesh_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE dpumesh_flags ${ARG_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
endfunction()

pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
# Of use for one verb each; see ctl/CMakeLists.txt.
pkg_check_modules(NLOPT IMPORTED_TARGET nlopt)
pkg_check_modules(IGRAPH IMPORTED_TARGET igraph)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(SSL REQUIRED IMPORTED_TARGET libssl)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
if(DPUMESH_TESTS AND NOT DPUMESH_SANITIZE STREQUAL "thread" AND NOT DPUMESH_FUZZ)
  pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)
endif()
