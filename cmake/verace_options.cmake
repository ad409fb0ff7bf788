# Compile options shared by all targets, and verace_library(): one target per folder.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# -O2 compiles a third faster than CMake's -O3 and is as fast outside the kernels' loops, which ask for -O3 themselves.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(verace_options INTERFACE)
target_include_directories(verace_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(verace_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
  # GCC 12 invents overlaps in std::string concatenation (bug 105329).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # One result on every machine: no contraction into FMA behind our back; errno is never read.
  -ffp-contract=off -fno-math-errno
  $<$<BOOL:${VERACE_WERROR}>:-Werror>)
if(NOT VERACE_ARCH STREQUAL "baseline")
  target_compile_options(verace_options INTERFACE -march=${VERACE_ARCH})
endif()
if(VERACE_SANITIZE)
  target_compile_options(verace_options INTERFACE -fsanitize=${VERACE_SANITIZE} -fno-omit-frame-pointer
                                                  -fno-sanitize-recover=all)
  target_link_options(verace_options INTERFACE -fsanitize=${VERACE_SANITIZE})
endif()

# verace_library(NAME DEPENDS...): the static library of the current folder, from all its .cc files.
function(verace_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC verace_options ${ARGN})
endfunction()
