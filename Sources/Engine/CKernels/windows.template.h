// The part of an output row whose input column lies inside the image: first ..< last.
INLINE void NAME(inside)(int outCount, int count, int stride, int offset, int *first, int *last) {
    int low = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    int high = count - 1 - offset < 0 ? 0 : (count - 1 - offset) / stride + 1;
    *last = high < outCount ? high : outCount;
    *first = low < *last ? low : *last;
}

KERNEL void NAME(im2col)(const ck_window *w, const T *image, T *columns) {
    for (int c = 0; c < w->channels; c++)
        for (int ky = 0; ky < w->kernelHeight; ky++)
            for (int kx = 0; kx < w->kernelWidth; kx++) {
                int first, last, offset = kx * w->dilationX - w->padX;
                NAME(inside)(w->outWidth, w->width, w->strideX, offset, &first, &last);
                for (int y = 0; y < w->outHeight; y++, columns += w->outWidth) {
                    int row = y * w->strideY + ky * w->dilationY - w->padY;
                    if (row < 0 || row >= w->height) {
                        memset(columns, 0, (size_t)w->outWidth * sizeof(T));
                        continue;
                    }
                    const T *source = image + ((ptrdiff_t)c * w->height + row) * w->width + offset;
                    for (int x = 0; x < first; x++) columns[x] = 0;
                    if (w->strideX == 1)
                        memcpy(columns + first, source + first, (size_t)(last - first) * sizeof(T));
                    else
                        for (int x = first; x < last; x++) columns[x] = source[(ptrdiff_t)x * w->strideX];
                    for (int x = last; x < w->outWidth; x++) columns[x] = 0;
                }
            }
}

KERNEL void NAME(col2im)(const ck_window *w, const T *columns, T *image) {
    for (int c = 0; c < w->channels; c++)
        for (int ky = 0; ky < w->kernelHeight; ky++)
            for (int kx = 0; kx < w->kernelWidth; kx++) {
                int first, last, offset = kx * w->dilationX - w->padX;
                NAME(inside)(w->outWidth, w->width, w->strideX, offset, &first, &last);
                for (int y = 0; y < w->outHeight; y++, columns += w->outWidth) {
                    int row = y * w->strideY + ky * w->dilationY - w->padY;
                    if (row < 0 || row >= w->height) continue;
                    T *target = image + ((ptrdiff_t)c * w->height + row) * w->width + offset;
                    if (w->strideX == 1)
                        for (int x = first; x < last; x++) target[x] += columns[x];
                    else
                        for (int x = first; x < last; x++) target[(ptrdiff_t)x * w->strideX] += columns[x];
                }
            }
}

KERNEL void NAME(maxPool)(const ck_window *w, const T *image, T *out, int32_t *index) {
    const int isHalving = w->kernelHeight == 2 && w->kernelWidth == 2 && w->strideX == 2 && w->strideY == 2
        && w->padX == 0 && w->padY == 0 && w->dilationX == 1 && w->dilationY == 1;
    for (int c = 0; c < w->channels; c++, image += (ptrdiff_t)w->height * w->width)
        for (int y = 0; y < w->outHeight; y++, out += w->outWidth, index += w->outWidth) {
            if (isHalving) {
                const T *top = image + (ptrdiff_t)(2 * y) * w->width, *bottom = top + w->width;
                const int32_t start = 2 * y * w->width;
                for (int x = 0; x < w->outWidth; x++) {
                    T best = top[2 * x];
                    int32_t at = start + 2 * x;
                    // A NaN wins and stays: nothing is larger than it.
                    int takes = !(top[2 * x + 1] <= best) & (best == best);
                    best = takes ? top[2 * x + 1] : best;
                    at = takes ? start + 2 * x + 1 : at;
                    takes = !(bottom[2 * x] <= best) & (best == best);
                    best = takes ? bottom[2 * x] : best;
                    at = takes ? start + w->width + 2 * x : at;
                    takes = !(bottom[2 * x + 1] <= best) & (best == best);
                    best = takes ? bottom[2 * x + 1] : best;
                    at = takes ? start + w->width + 2 * x + 1 : at;
                    out[x] = best;
                    index[x] = at;
                }
                continue;
            }
            for (int x = 0; x < w->outWidth; x++) {
                T best = -(T)INFINITY;
                int32_t at = -1;
                for (int ky = 0; ky < w->kernelHeight; ky++) {
                    int row = y * w->strideY + ky * w->dilationY - w->padY;
                    if (row < 0 || row >= w->height) continue;
                    for (int kx = 0; kx < w->kernelWidth; kx++) {
                        int column = x * w->strideX + kx * w->dilationX - w->padX;
                        if (column < 0 || column >= w->width) continue;
                        T value = image[(ptrdiff_t)row * w->width + column];
                        if (at < 0 || (!(value <= best) && best == best)) best = value, at = row * w->width + column;
                    }
                }
                out[x] = best;
                index[x] = at;
            }
        }
}

// The rows or columns that window `at` covers, and how many it counts.
INLINE int NAME(covered)(int at, int stride, int pad, int kernel, int size, int countsPadding, int *first, int *last) {
    int start = at * stride - pad, end = start + kernel;
    int padded = end < size + pad ? end : size + pad;
    *first = start < 0 ? 0 : start;
    *last = end < size ? end : size;
    return countsPadding ? padded - start : *last - *first;
}

KERNEL void NAME(avgPool)(const ck_window *w, int countsPadding, const T *image, T *out) {
    for (int c = 0; c < w->channels; c++, image += (ptrdiff_t)w->height * w->width)
        for (int y = 0; y < w->outHeight; y++) {
            int top, bottom, left, right;
            int rows = NAME(covered)(y, w->strideY, w->padY, w->kernelHeight, w->height, countsPadding, &top, &bottom);
            for (int x = 0; x < w->outWidth; x++) {
                int columns =
                    NAME(covered)(x, w->strideX, w->padX, w->kernelWidth, w->width, countsPadding, &left, &right);
                T total = 0;
                for (int row = top; row < bottom; row++)
                    for (int column = left; column < right; column++) total += image[(ptrdiff_t)row * w->width + column];
                *out++ = total / (T)(rows * columns);
            }
        }
}

KERNEL void NAME(avgPoolGradient)(const ck_window *w, int countsPadding, const T *g, T *image) {
    memset(image, 0, (size_t)w->channels * (size_t)w->height * (size_t)w->width * sizeof(T));
    for (int c = 0; c < w->channels; c++, image += (ptrdiff_t)w->height * w->width)
        for (int y = 0; y < w->outHeight; y++) {
            int top, bottom, left, right;
            int rows = NAME(covered)(y, w->strideY, w->padY, w->kernelHeight, w->height, countsPadding, &top, &bottom);
            for (int x = 0; x < w->outWidth; x++) {
                int columns =
                    NAME(covered)(x, w->strideX, w->padX, w->kernelWidth, w->width, countsPadding, &left, &right);
                T share = *g++ / (T)(rows * columns);
                for (int row = top; row < bottom; row++)
                    for (int column = left; column < right; column++) image[(ptrdiff_t)row * w->width + column] += share;
            }
        }
}
