// Joining feature maps, one element after the other.
#include "kernels/feature_maps.h"

namespace verace::kernels::reference {

void upsample_add(const Exec&, const UpsampleAdd& a) {
  validate(a);
  const auto [n, h, w, c] = a.shape;
  for (int64_t i = 0; i < n * h * w * c; ++i) {
    const int64_t k = i % c, column = i / c % w, row = i / c / w % h, image = i / c / w / h;
    const int64_t coarse_row = row * a.coarse_h / h, coarse_column = column * a.coarse_w / w;
    const int64_t from = (image * a.coarse_h + coarse_row) * a.coarse_w + coarse_column;
    a.y[i] = a.fine[i] + a.coarse[from * c + k];
  }
}

void concat_channels(const Exec&, const ConcatChannels& a) {
  validate(a);
  for (int64_t row = 0; row < a.rows; ++row) {
    int64_t to = row * a.c();
    for (const ConcatChannels::Part& part : a.parts) {
      for (int64_t k = 0; k < part.c; ++k) a.y[to++] = part.x[row * part.c + k];
    }
  }
}

}  // namespace verace::kernels::reference
