# skippipe_component(NAME SOURCES ... [PUBLIC_DEPS ...] [PRIVATE_DEPS ...])
# One static library per folder; headers are included as <folder>/<file>.hpp from the source root.
function(skippipe_component name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC_DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(skippipe_${name} STATIC ${ARG_SOURCES})
  add_library(skippipe::${name} ALIAS skippipe_${name})
  target_include_directories(skippipe_${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(skippipe_${name} PUBLIC ${ARG_PUBLIC_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
endfunction()

# skippipe_test(NAME SOURCES ... DEPS ... [TIMEOUT seconds] [LABELS ...])
# One Catch2 executable and one CTest entry; the environment keeps BLAS single-threaded so that two
# tests fit on two cores, and UCX from hooking mmap, which thread sanitizer does not survive.
# ${PROJECT_SOURCE_DIR} is handed over as SKIPPIPE_SOURCE_DIR, and ${CMAKE_BINARY_DIR} as
# SKIPPIPE_BINARY_DIR. A sanitizer's tests carry SKIPPIPE_TEST_PREFIX, so that one ctest run can hold
# several build folders.
function(skippipe_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(test_${name} ${ARG_SOURCES})
  target_link_libraries(test_${name} PRIVATE ${ARG_DEPS} skippipe_catch_main)
  if(SKIPPIPE_SANITIZE)
    # Ten times slower: tests of many random cases take fewer, and all may take longer.
    target_compile_definitions(test_${name} PRIVATE SKIPPIPE_SANITIZED)
    math(EXPR ARG_TIMEOUT "3 * ${ARG_TIMEOUT}")
  endif()
  target_compile_definitions(test_${name} PRIVATE
    SKIPPIPE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" SKIPPIPE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set(test ${SKIPPIPE_TEST_PREFIX}${name})
  add_test(NAME ${test} COMMAND test_${name})
  set_tests_properties(${test} PROPERTIES TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "OPENBLAS_NUM_THREADS=1;OMP_NUM_THREADS=1;UCX_HANDLE_ERRORS=none;UCX_MEM_EVENTS=no;${SKIPPIPE_SANITIZER_ENVIRONMENT}")
  if(ARG_LABELS)
    set_tests_properties(${test} PROPERTIES LABELS "${ARG_LABELS}")
  endif()
endfunction()

# skippipe_bench(NAME SOURCES ... DEPS ...): an executable bench_NAME; never a test.
function(skippipe_bench name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(bench_${name} ${ARG_SOURCES})
  target_link_libraries(bench_${name} PRIVATE ${ARG_DEPS})
endfunction()
