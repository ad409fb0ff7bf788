# CUDA sources by nvcc, or as C++ on the emulator: verace_device_sources(TARGET FILES...).
option(VERACE_SIMT_CHECK "Emulated: check every access of a kernel (races, bounds, uninitialised reads)" OFF)
set(simt_ucontext ON)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  set(simt_ucontext OFF)
endif()
option(VERACE_SIMT_UCONTEXT "Emulated: switch stacks by <ucontext.h>, on any processor, twenty times slower" ${simt_ucontext})
if(VERACE_SIMT_CHECK AND (VERACE_SANITIZE OR NOT VERACE_EMULATED))
  message(FATAL_ERROR "VERACE_SIMT_CHECK wants VERACE_EMULATED=ON and no VERACE_SANITIZE")
endif()

# What every file that includes kernels/simt/launch.h or the emulator's headers needs.
function(verace_simt_options target)
  if(VERACE_EMULATED)
    target_include_directories(${target} SYSTEM PUBLIC ${VERACE_CUDA_INCLUDE})
    target_compile_definitions(${target} PUBLIC VERACE_SIMT_CHECK=$<BOOL:${VERACE_SIMT_CHECK}>
                                                VERACE_SIMT_UCONTEXT=$<BOOL:${VERACE_SIMT_UCONTEXT}>)
  elseif(VERACE_HAVE_CUDA)  # nvcc's own, wherever it is installed
    target_include_directories(${target} SYSTEM PUBLIC ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  endif()
endfunction()

function(verace_device_sources target)
  if(NOT VERACE_HAVE_CUDA)
    return()
  endif()
  target_sources(${target} PRIVATE ${ARGN})
  if(VERACE_EMULATED)
    # -fno-strict-aliasing: kernels read vectors through pointers to other types, as nvcc allows.
    # -fno-ipa-icf: two kernels of one content keep two names. Loops may say `#pragma unroll`. Reports
    # name files by their path in the repository.
    set(flags -fno-strict-aliasing -fno-ipa-icf -Wno-unknown-pragmas
              -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
    if(VERACE_SIMT_CHECK)
      # The compiler's calls at each access; the emulator, not libtsan, answers them. Inlined, or a
      # call's result is stored unseen; that needs more than -O0. addr2line 2.40 takes the wrong file
      # out of DWARF 5.
      list(APPEND flags -fsanitize=thread --param=tsan-instrument-func-entry-exit=0 -O1 -g1 -gdwarf-4)
    endif()
    set_source_files_properties(${ARGN} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "${flags}")
  endif()
endfunction()
