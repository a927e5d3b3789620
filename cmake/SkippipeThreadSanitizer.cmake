# Suppressions for thread sanitizer. tools/build-caf-tsan builds an instrumented CAF; with Debian's
# own, which hides its locks from the sanitizer, more must be suppressed.
file(GLOB SKIPPIPE_TSAN_CAF "${PROJECT_SOURCE_DIR}/.cache/caf-tsan-*/complete")
set(suppressions "${PROJECT_SOURCE_DIR}/tests/tsan.supp")
if(NOT SKIPPIPE_TSAN_CAF)
  message(STATUS "CAF is not instrumented: its races are suppressed")
  file(READ "${suppressions}" common)
  file(READ "${PROJECT_SOURCE_DIR}/tests/tsan-plain-caf.supp" more)
  set(suppressions "${CMAKE_BINARY_DIR}/tsan.supp")
  file(WRITE "${suppressions}" "${common}${more}")
endif()
set(SKIPPIPE_SANITIZER_ENVIRONMENT
    "TSAN_OPTIONS=suppressions=${suppressions} halt_on_error=0 second_deadlock_stack=1")
