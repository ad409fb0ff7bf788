# Decides how CUDA sources are built (nvcc, emulated on the CPU, not at all), and says so in one line.
set(VERACE_EMULATED "OFF" CACHE STRING "Compile the CUDA kernels with the C++ compiler and run them on \
the CPU: ON, OFF, or AUTO (where NVIDIA's headers are)")
set(VERACE_HAVE_CUDA OFF)
set(VERACE_CUDA_ARCHITECTURE 90)  # the kernels' compute capability; later devices compile them from PTX
set(VERACE_HAVE_CUDNN OFF)  # the folders that use NVIDIA's libraries, which are loaded at run time
# From the toolkit, or from the wheels that `scripts/setup.sh --cuda-headers` unpacks.
find_path(VERACE_CUDA_INCLUDE cuda_fp16.h
          HINTS /usr/local/cuda/targets/${CMAKE_SYSTEM_PROCESSOR}-linux/include /usr/local/cuda/include
          PATHS ${PROJECT_SOURCE_DIR}/build/cuda_headers/include)
if(VERACE_EMULATED STREQUAL "AUTO")
  string(COMPARE NOTEQUAL "${VERACE_CUDA_INCLUDE}" "VERACE_CUDA_INCLUDE-NOTFOUND" VERACE_EMULATED)
endif()
if(VERACE_EMULATED)
  if(NOT VERACE_CUDA_INCLUDE)
    message(FATAL_ERROR "VERACE_EMULATED=ON, but NVIDIA's headers were not found: "
                        "run scripts/setup.sh --cuda-headers")
  endif()
  set(VERACE_HAVE_CUDA ON)
  message(STATUS "CUDA: emulated on the CPU (headers from ${VERACE_CUDA_INCLUDE})")
elseif(NOT VERACE_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  # As in scripts/run_tests.sh.
  set(hints /usr/local/cuda/targets/${CMAKE_SYSTEM_PROCESSOR}-linux/include /usr/local/cuda/include)
  find_file(VERACE_CUDNN_HEADER NAMES cudnn.h HINTS ${hints})
  find_file(VERACE_CUBLASLT_HEADER NAMES cublasLt.h HINTS ${hints})
  # Only the version that scripts/cudnn_frontend.txt names: from 1.19 on it wants to be linked with more.
  find_path(VERACE_CUDNN_FRONTEND cudnn_frontend.h PATHS ${PROJECT_SOURCE_DIR}/build/cudnn_frontend/include
            NO_DEFAULT_PATH)
  if(VERACE_CUDNN_FRONTEND)
    execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${PROJECT_SOURCE_DIR}/scripts/cudnn_frontend.txt
                            ${PROJECT_SOURCE_DIR}/build/cudnn_frontend/wheels.txt
                    RESULT_VARIABLE other_version OUTPUT_QUIET ERROR_QUIET)
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    set(missing "nvcc")
  elseif(NOT VERACE_CUDNN_HEADER)
    set(missing "cuDNN")
  elseif(NOT VERACE_CUBLASLT_HEADER)
    set(missing "cuBLASLt's header (cublasLt.h)")
  elseif(NOT VERACE_CUDNN_FRONTEND)
    set(missing "cudnn-frontend (run scripts/setup.sh --cudnn-frontend)")
  elseif(other_version)
    set(missing "cudnn-frontend of the version in scripts/cudnn_frontend.txt (run scripts/setup.sh --cudnn-frontend)")
  endif()
  if(DEFINED missing AND VERACE_CUDA STREQUAL "ON")
    message(FATAL_ERROR "VERACE_CUDA=ON, but this was not found: ${missing}; install it or use -DVERACE_CUDA=OFF")
  elseif(DEFINED missing)
    message(STATUS "CUDA: off (${missing} not found)")
  else()
    set(CMAKE_CUDA_ARCHITECTURES ${VERACE_CUDA_ARCHITECTURE})
    if(CCACHE_PROGRAM)
      set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
    endif()
    enable_language(CUDA)
    # CMake 3.25 does not know how to ask nvcc 13 for C++20.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    set(VERACE_HAVE_CUDA ON)
    set(VERACE_HAVE_CUDNN ON)
    message(STATUS "CUDA: on (${CMAKE_CUDA_COMPILER_VERSION}, sm_90)")
  endif()
else()
  message(STATUS "CUDA: off (VERACE_CUDA=OFF)")
endif()
target_compile_definitions(verace_options INTERFACE VERACE_HAVE_CUDA=$<BOOL:${VERACE_HAVE_CUDA}>
                                                    VERACE_EMULATED=$<BOOL:${VERACE_EMULATED}>)
