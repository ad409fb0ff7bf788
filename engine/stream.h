// Streams and events of CUDA, owned: what runs after what on a device.
//
// Defined in stream_cuda.cc, which only builds with CUDA have: name these types' functions inside
// `if constexpr (kernels::have_cuda)`. All functions throw the Error of check_cuda() that names the
// call of CUDA's runtime that failed; that may be an earlier kernel's failure, which the next call
// reports.
#pragma once

struct CUstream_st;
struct CUevent_st;

namespace verace::engine {

class Event;

// A queue of work on the device that was current when it was made. It does not wait for the default
// stream, nor that for it. Move-only; a moved-from one may only be destroyed or assigned to.
class Stream {
 public:
  Stream();
  // Does not wait: what is enqueued is still done.
  ~Stream();
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  CUstream_st* get() const { return stream_; }
  // Blocks until all that is enqueued is done.
  void synchronize() const;
  // True when all that was enqueued is done. Does not block.
  bool is_idle() const;
  // What is enqueued here from now on begins after `event`'s last record(). Does not block.
  void wait(const Event& event) const;

 private:
  CUstream_st* stream_ = nullptr;
};

// A point in a stream's work. Before the first record() it counts as reached. Move-only, as Stream.
class Event {
 public:
  // kTimed: milliseconds_since() can be asked; costs a little more.
  enum class Timing { kUntimed, kTimed };

  explicit Event(Timing timing = Timing::kUntimed);
  ~Event();
  Event(Event&& other) noexcept;
  Event& operator=(Event&& other) noexcept;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  CUevent_st* get() const { return event_; }
  // The event is now: all that has been enqueued in `stream` so far is done. nullptr: the default
  // stream.
  void record(CUstream_st* stream);
  void record(const Stream& stream) { record(stream.get()); }
  // What is enqueued in `stream` from now on begins after the last record(). Does not block.
  void hold_back(CUstream_st* stream) const;
  // Blocks until it is reached.
  void synchronize() const;
  bool is_reached() const;
  // Time on the device from `start` to here, in milliseconds; both are timed and reached.
  float milliseconds_since(const Event& start) const;

 private:
  CUevent_st* event_ = nullptr;
};

}  // namespace verace::engine
