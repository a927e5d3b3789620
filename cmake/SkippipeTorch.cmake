# LibTorch as one interface target; its headers are SYSTEM (they warn by the dozen).
find_package(Torch 1.13 REQUIRED)
add_library(skippipe_libtorch INTERFACE)
add_library(skippipe::libtorch ALIAS skippipe_libtorch)
target_include_directories(skippipe_libtorch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(skippipe_libtorch INTERFACE ${TORCH_LIBRARIES})
