// [batch, channels, plane]; a plane of one value (features of a dense layer) runs over channels instead, which are contiguous.

INLINE T NAME(planeTotal)(size_t n, const T *x, T shift) {
    T acc[LANES] = {0}, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) acc[k] += x[i + k] - shift;
    for (; i < n; i++) total += x[i] - shift;
    for (int k = 0; k < LANES; k++) total += acc[k];
    return total;
}

INLINE T NAME(planeProduct)(size_t n, const T *g, T shiftG, const T *x, T shift) {
    T acc[LANES] = {0}, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) acc[k] += (g[i + k] - shiftG) * (x[i + k] - shift);
    for (; i < n; i++) total += (g[i] - shiftG) * (x[i] - shift);
    for (int k = 0; k < LANES; k++) total += acc[k];
    return total;
}

KERNEL void NAME(channelStatistics)(size_t batch, size_t channels, size_t plane, size_t first, size_t last, const T *x,
                                    T *mean, T *variance) {
    const double count = (double)(batch * plane);
    for (size_t c = first; c < last; c++) {
        double total = 0, squares = 0;
        if (plane == 1)
            for (size_t b = 0; b < batch; b++) total += x[b * channels + c];
        else
            for (size_t b = 0; b < batch; b++) total += NAME(planeTotal)(plane, x + (b * channels + c) * plane, 0);
        const T m = (T)(total / count);
        for (size_t b = 0; b < batch; b++) {
            const T *image = x + (b * channels + c) * plane;
            squares += plane == 1 ? (double)((image[0] - m) * (image[0] - m))
                                  : (double)NAME(planeProduct)(plane, image, m, image, m);
        }
        mean[c] = m;
        variance[c] = (T)(squares / count);
    }
}

KERNEL void NAME(channelAffine)(size_t batch, size_t channels, size_t plane, size_t first, size_t last, const T *x,
                                const T *scale, const T *shift, T *y) {
    for (size_t b = 0; b < batch; b++) {
        if (plane == 1) {
            for (size_t c = first; c < last; c++) y[b * channels + c] = x[b * channels + c] * scale[c] + shift[c];
            continue;
        }
        for (size_t c = first; c < last; c++) {
            const T a = scale[c], d = shift[c], *from = x + (b * channels + c) * plane;
            T *to = y + (b * channels + c) * plane;
            for (size_t i = 0; i < plane; i++) to[i] = from[i] * a + d;
        }
    }
}

KERNEL void NAME(channelProducts)(size_t batch, size_t channels, size_t plane, size_t first, size_t last, const T *g,
                                  const T *x, const T *mean, T *sums, T *products) {
    for (size_t c = first; c < last; c++) {
        double total = 0, product = 0;
        for (size_t b = 0; b < batch; b++) {
            size_t at = (b * channels + c) * plane;
            total += NAME(planeTotal)(plane, g + at, 0);
            product += NAME(planeProduct)(plane, g + at, 0, x + at, mean[c]);
        }
        sums[c] = (T)total;
        products[c] = (T)product;
    }
}

KERNEL void NAME(channelCombine)(size_t batch, size_t channels, size_t plane, size_t first, size_t last, const T *g,
                                 const T *x, const T *a, const T *b, const T *d, T *out) {
    for (size_t n = 0; n < batch; n++) {
        size_t row = n * channels;
        if (plane == 1) {
            for (size_t c = first; c < last; c++) out[row + c] = g[row + c] * a[c] + x[row + c] * b[c] + d[c];
            continue;
        }
        for (size_t c = first; c < last; c++) {
            const T p = a[c], q = b[c], r = d[c];
            size_t at = (row + c) * plane;
            for (size_t i = 0; i < plane; i++) out[at + i] = g[at + i] * p + x[at + i] * q + r;
        }
    }
}
