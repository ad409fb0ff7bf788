// How long threads that have nothing to do keep their processor busy.
#pragma once

namespace verace::apps {

// Lets OpenMP's threads wait for each other actively for about 0.1 ms instead of about 10 ms,
// unless OMP_WAIT_POLICY or GOMP_SPINCOUNT says otherwise. While a thread spins, what it waits for
// may be another thread that the system has put on the same processor, or behind another program.
//
// Measured on 2 cores with
//   GOMP_SPINCOUNT=N verace_bench_model --case infer1 --seconds 10
// Nothing else running: 19 ms with the 3000 turns of the waiting loop that are set here and with
// the library's own 300000; 21 ms without active waiting (OMP_WAIT_POLICY=passive). Beside another
// program: 304 ms with 300000, 45 ms with few (1000 and 10000 were timed there, not 3000).
//
// OpenMP's library reads its settings when it is loaded, so this starts the program anew (about
// 4 ms), under the same process number and name: call it first in main(). Returns if nothing is to
// be changed, if the program was started through the dynamic loader ("ld-linux.so verace ..."), or
// if the start fails.
void spin_briefly(char** argv);

}  // namespace verace::apps
