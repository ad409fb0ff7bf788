// Display matrices to EXIF's numbers and back.
#include "data/video/ffmpeg/orientation.h"

#include <cstdlib>
#include <cstring>

#include "kernels/check.h"

namespace verace::data::video {
namespace {

// A point (x, y) of the stored frame, y down, is shown at (a*x + c*y, b*x + d*y).
struct Turn {
  int a, b, c, d;
};
// By EXIF's number minus one.
constexpr std::array<Turn, 8> kTurns = {{{1, 0, 0, 1},
                                         {-1, 0, 0, 1},
                                         {-1, 0, 0, -1},
                                         {1, 0, 0, -1},
                                         {0, 1, 1, 0},
                                         {0, 1, -1, 0},
                                         {0, -1, -1, 0},
                                         {0, -1, 1, 0}}};
constexpr size_t kMatrixBytes = 9 * sizeof(int32_t);

}  // namespace

int orientation_of(const int32_t* matrix) {
  if (matrix == nullptr) return 1;
  int best = 1;
  int64_t best_agreement = 0;
  for (size_t i = 0; i < kTurns.size(); ++i) {
    const Turn& turn = kTurns[i];
    const int64_t agreement = int64_t{turn.a} * matrix[0] + int64_t{turn.b} * matrix[1] +
                              int64_t{turn.c} * matrix[3] + int64_t{turn.d} * matrix[4];
    if (agreement > best_agreement) {
      best_agreement = agreement;
      best = static_cast<int>(i) + 1;
    }
  }
  return best;
}

const int32_t* display_matrix(const AVStream& stream) {
#if VERACE_AV_CODED_SIDE_DATA
  const AVPacketSideData* data =
      av_packet_side_data_get(stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data,
                              AV_PKT_DATA_DISPLAYMATRIX);
  if (data == nullptr || data->size < kMatrixBytes) return nullptr;
  return reinterpret_cast<const int32_t*>(data->data);
#else
  size_t bytes = 0;
  const uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &bytes);
  return bytes < kMatrixBytes ? nullptr : reinterpret_cast<const int32_t*>(data);
#endif
}

void set_display_matrix(AVStream& stream, int orientation) {
  VERACE_CHECK(orientation >= 1 && orientation <= 8);
  const Turn& turn = kTurns[static_cast<size_t>(orientation - 1)];
  constexpr int32_t kOne = 1 << 16;
  const std::array<int32_t, 9> matrix = {
      turn.a * kOne, turn.b * kOne, 0, turn.c * kOne, turn.d * kOne, 0, 0, 0, 1 << 30};
#if VERACE_AV_CODED_SIDE_DATA
  AVPacketSideData* data = av_packet_side_data_new(&stream.codecpar->coded_side_data,
                                                   &stream.codecpar->nb_coded_side_data,
                                                   AV_PKT_DATA_DISPLAYMATRIX, kMatrixBytes, 0);
  uint8_t* bytes = data == nullptr ? nullptr : data->data;
#else
  uint8_t* bytes = av_stream_new_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, kMatrixBytes);
#endif
  VERACE_CHECK(bytes != nullptr, "no memory");
  std::memcpy(bytes, matrix.data(), kMatrixBytes);
}

}  // namespace verace::data::video
