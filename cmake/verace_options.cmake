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
# cxx_options(OPTIONS...): options of the C++ compiler that nvcc does not know.
function(cxx_options)
  target_compile_options(verace_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${ARGN}>")
endfunction()
cxx_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion)
# GCC 12 invents overlaps in std::string concatenation (bug 105329).
cxx_options($<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# In a batch of files (VERACE_UNITY) GCC takes them for headers, whose types may not use what only one file has.
cxx_options($<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
# One result on every machine: no contraction into FMA behind our back; errno is never read.
cxx_options(-ffp-contract=off -fno-math-errno)
if(VERACE_WERROR)
  cxx_options(-Werror)
endif()
# nvcc; -Xcompiler: what its C++ compiler shall say of the host's part. -fmad=false: the kernels wait
# for memory, and one rounding per operation gives the CPU's bits (normalisation, Adam, FGSM).
target_compile_options(verace_options INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-fno-math-errno,-ffp-contract=off>"
  "$<$<COMPILE_LANGUAGE:CUDA>:-fmad=false>"
  "$<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${VERACE_WERROR}>>:-Werror=all-warnings>")
if(VERACE_TESTS)  # so that scripts/device_code_report.py can read the device code in the objects
  target_compile_options(verace_options INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-no-compress>)
endif()
# What the sanitizers look into: the product's code, and that of the tests only where they need it (tests/CMakeLists.txt).
# All else is compiled as in the release build, whose objects the compiler's cache then has.
add_library(verace_sanitized INTERFACE)
if(VERACE_SANITIZE)
  # Not -Werror: among the sanitizers' checks GCC sees mistakes where none are.
  target_compile_options(verace_sanitized INTERFACE
    -fsanitize=${VERACE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -UNDEBUG -Wno-error)
  target_link_options(verace_options INTERFACE -fsanitize=${VERACE_SANITIZE})
  find_program(VERACE_GOLD ld.gold)
  if(VERACE_GOLD)  # programs of 50 MB: a third less time to link
    target_link_options(verace_options INTERFACE -fuse-ld=gold)
  endif()
  if(VERACE_SANITIZE MATCHES "address")  # a fixed address: else each start adjusts two million pointers, in 0.1 s
    target_link_options(verace_options INTERFACE $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-no-pie>)
  endif()
endif()

# verace_product(TARGET): where there are sanitizers, they look into it.
function(verace_product target)
  if(VERACE_SANITIZE)
    target_compile_options(${target} PRIVATE -O1 -g1)
    target_link_libraries(${target} PRIVATE verace_sanitized)
  endif()
endfunction()

# Only targets with loops of their own gain from this machine's instructions; the objects of all
# others are the same in the minimal build, and the compiler's cache has them.
function(verace_native target)
  if(NOT VERACE_ARCH STREQUAL "baseline")
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-march=${VERACE_ARCH}>)
  endif()
endfunction()

# Where no loop is hot, builds under sanitizers go without optimisation: half the compile time.
function(verace_cold target)
  if(VERACE_SANITIZE)
    target_compile_options(${target} PRIVATE -O0)
  endif()
endfunction()

# The commands, which wait for the layers and the kernels: -O1 compiles a quarter faster than -O2.
function(verace_commands target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  verace_cold(${target})
endfunction()

# What makes no numbers or structures out of bytes by a cast of pointers, but for handing them on, needs no check of
# each pointer for zero (AddressSanitizer sees its use) and for alignment: a quarter of the compile time.
# Linked last: of options that contradict each other the last one holds.
add_library(verace_typed_pointers INTERFACE)
if(VERACE_SANITIZE MATCHES "undefined")
  target_compile_options(verace_typed_pointers INTERFACE -fno-sanitize=null,alignment,vptr)
endif()

# Headers are most of what a library's files cost: batches read theirs once for 16 files, which takes less than half
# of the compile time (batches of 8: a quarter more; of 32: a tenth less, but twice the time after a change), and a
# changed file takes its batch along, ten to twenty seconds. So what a .cc file keeps to itself has a name of its own
# in the whole library. OFF: one object per file, which clang-tidy wants (scripts/tidy.sh).
option(VERACE_UNITY "Compile the files of a library in batches" ON)
set(VERACE_UNITY_BATCH 16 CACHE STRING "Files in a batch; 0: all of a library, which shows names that stand twice")

# verace_unity(TARGET SOURCES...): not in batches are files that define macros, mostly for headers of others, and
# (CMake sees to it) those with options of their own.
function(verace_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${VERACE_UNITY} UNITY_BUILD_BATCH_SIZE ${VERACE_UNITY_BATCH})
  foreach(source ${ARGN})
    file(STRINGS ${source} macros LIMIT_COUNT 1 REGEX "^#[ ]*(define|undef)")
    if(macros)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
endfunction()

# verace_library(NAME DEPENDS...): the static library of the current folder, from all its .cc files
# (the emulator, NVIDIA's libraries and what calls CUDA's runtime, X_cuda.cc, only where they are wanted) and its .cu
# files (verace_simt.cmake). The folder's VERACE_DIFFERS_WITH_CUDA names the few files that include
# kernels/dispatch.h where most do not: last, so that the batches of all others are the same in every build.
function(verace_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT VERACE_EMULATED)
    list(FILTER sources EXCLUDE REGEX "/simt/emulator/")
  endif()
  list(FILTER sources EXCLUDE REGEX "/data/video/ffmpeg/")  # a module of its own: data/CMakeLists.txt
  if(NOT VERACE_HAVE_CUDA)
    list(FILTER sources EXCLUDE REGEX "/kernels/(cudnn|cublas)/|_cuda[.]cc$")
  elseif(VERACE_EMULATED)  # kernels/simt/emulator/{conv_graph,matmul}.cc stand in for NVIDIA's libraries
    list(FILTER sources EXCLUDE REGEX "/kernels/cudnn/(conv_graph|library)[.]cc$")
    list(FILTER sources EXCLUDE REGEX "/kernels/cublas/(descriptors|library|matmul)[.]cc$")
  endif()
  if(VERACE_DIFFERS_WITH_CUDA)
    list(TRANSFORM VERACE_DIFFERS_WITH_CUDA PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
    list(REMOVE_ITEM sources ${VERACE_DIFFERS_WITH_CUDA})
    list(APPEND sources ${VERACE_DIFFERS_WITH_CUDA})
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC verace_options ${ARGN})
  verace_product(${name})
  verace_unity(${name} ${sources})
  file(GLOB_RECURSE device_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cu)
  verace_device_sources(${name} ${device_sources})
endfunction()
