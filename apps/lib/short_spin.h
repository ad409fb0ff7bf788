// How long threads that have nothing to do keep their processor busy.
#pragma once

namespace verace::apps {

// Lets OpenMP's threads wait for each other actively for some ten microseconds instead of
// milliseconds, unless OMP_WAIT_POLICY or GOMP_SPINCOUNT says otherwise. While a thread spins,
// what it waits for may be another thread that the system has put on the same processor, or behind
// another program: a verdict of 0.15 s was seen to take 1.3 s. On an idle machine the speed is
// the same.
//
// OpenMP's library reads its settings when it is loaded, so this starts the program anew (about
// 4 ms): call it first in main(). Returns if nothing is to be changed or the start fails.
void spin_briefly(char** argv);

}  // namespace verace::apps
