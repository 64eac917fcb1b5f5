#define TEMPLATE "channels.template.h"
#include "expand.h"

void ck_channel_statistics(int dtype, size_t batch, size_t channels, size_t plane, size_t first, size_t last,
                           const void *x, void *mean, void *variance) {
    DISPATCH(channelStatistics, batch, channels, plane, first, last, x, mean, variance);
}

void ck_channel_affine(int dtype, size_t batch, size_t channels, size_t plane, size_t first, size_t last, const void *x,
                       const void *scale, const void *shift, void *y) {
    DISPATCH(channelAffine, batch, channels, plane, first, last, x, scale, shift, y);
}

void ck_channel_products(int dtype, size_t batch, size_t channels, size_t plane, size_t first, size_t last,
                         const void *g, const void *x, const void *mean, void *sums, void *products) {
    DISPATCH(channelProducts, batch, channels, plane, first, last, g, x, mean, sums, products);
}

void ck_channel_combine(int dtype, size_t batch, size_t channels, size_t plane, size_t first, size_t last, const void *g,
                        const void *x, const void *a, const void *b, const void *d, void *out) {
    DISPATCH(channelCombine, batch, channels, plane, first, last, g, x, a, b, d, out);
}
