// What to do about HDF5 files that are damaged, or sound but outside the profile that Keras writes
#pragma once

namespace verace::weights::hdf5 {

inline constexpr const char* kFetch = "fetch or export the file again";
inline constexpr const char* kResave = "load it in Keras and save it again by model.save('x.h5')";
inline constexpr const char* kRepack = "rewrite it by h5repack -f NONE -l CONTI OLD.h5 NEW.h5";

}  // namespace verace::weights::hdf5
