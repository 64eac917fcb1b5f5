// The part of an output row whose input column lies inside the image: first ..< last.
INLINE void NAME(inside)(int outCount, int count, int stride, int offset, int *first, int *last) {
    int low = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
    int high = count - 1 - offset < 0 ? 0 : (count - 1 - offset) / stride + 1;
    *last = high < outCount ? high : outCount;
    *first = low < *last ? low : *last;
}

// Rows of images are short: a call of memcpy for each costs more than the copy.
INLINE void NAME(copyRow)(int n, const T *from, T *to) {
    enum { block = 8 };
    if (n < block) {
        for (int i = 0; i < n; i++) {
            to[i] = from[i];
            __asm__ volatile("" ::: "memory");  // or the compiler makes a memcpy of the loop
        }
        return;
    }
    for (int i = 0; i < n - block; i += block) {
        memcpy(to + i, from + i, block * sizeof(T));
        __asm__ volatile("" ::: "memory");
    }
    memcpy(to + n - block, from + n - block, block * sizeof(T));  // overlaps the block before it
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
                        NAME(copyRow)(last - first, source + first, columns + first);
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

// Whether windows of 2 by 2 lie next to each other.
INLINE int NAME(isHalving)(const ck_window *w) {
    return w->kernelHeight == 2 && w->kernelWidth == 2 && w->strideX == 2 && w->strideY == 2 && w->padX == 0 && w->padY == 0
        && w->dilationX == 1 && w->dilationY == 1;
}

// The largest of a window of 2 by 2, a b over c d, whose first place is `at`. A NaN wins and stays: nothing is larger than it.
INLINE void NAME(maxOfFour)(T a, T b, T c, T d, int32_t at, int32_t width, T *restrict out, int32_t *restrict index) {
    int32_t rightTop = (a == a) & !(b <= a), rightBottom = (c == c) & !(d <= c);
    T upper = rightTop ? b : a, lower = rightBottom ? d : c;
    int32_t isLower = (upper == upper) & !(lower <= upper);
    *out = isLower ? lower : upper;
    *index = isLower ? at + width + rightBottom : at + rightTop;
}

// One row of windows of 2 by 2.
INLINE void NAME(maxOfPairs)(int n, int width, int32_t start, const T *restrict top, T *restrict out,
                             int32_t *restrict index) {
    const T *restrict bottom = top + width;
    for (int x = 0; x < n; x++)
        NAME(maxOfFour)(top[2 * x], top[2 * x + 1], bottom[2 * x], bottom[2 * x + 1], start + 2 * x, width, out + x,
                        index + x);
}

KERNEL void NAME(maxPool)(const ck_window *w, const T *image, T *out, int32_t *index) {
    const int isHalving = NAME(isHalving)(w);
    for (int c = 0; c < w->channels; c++, image += (ptrdiff_t)w->height * w->width)
        for (int y = 0; y < w->outHeight; y++, out += w->outWidth, index += w->outWidth) {
            if (isHalving) {
                const T *top = image + (ptrdiff_t)(2 * y) * w->width;
                NAME(maxOfPairs)(w->outWidth, w->width, 2 * y * w->width, top, out, index);
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

// The same of one picture [height, width, channels]: the channels of a pixel are next to each other.

INLINE void NAME(maxOfPixels)(size_t channels, const T *restrict top, const T *restrict bottom, int32_t at, int32_t width,
                              T *restrict out, int32_t *restrict index) {
    for (size_t i = 0; i < channels; i++)
        NAME(maxOfFour)(top[i], top[i + channels], bottom[i], bottom[i + channels], at, width, out + i, index + i);
}

KERNEL void NAME(maxPoolLast)(const ck_window *w, const T *image, T *out, int32_t *index) {
    const size_t channels = (size_t)w->channels;
    for (int y = 0; y < w->outHeight; y++)
        for (int x = 0; x < w->outWidth; x++, out += channels, index += channels) {
            if (NAME(isHalving)(w)) {
                const T *top = image + (size_t)(2 * y * w->width + 2 * x) * channels;
                const T *bottom = top + (size_t)w->width * channels;
                NAME(maxOfPixels)(channels, top, bottom, 2 * (y * w->width + x), w->width, out, index);
                continue;
            }
            int isFirst = 1;
            for (int ky = 0; ky < w->kernelHeight; ky++) {
                int row = y * w->strideY + ky * w->dilationY - w->padY;
                if (row < 0 || row >= w->height) continue;
                for (int kx = 0; kx < w->kernelWidth; kx++) {
                    int column = x * w->strideX + kx * w->dilationX - w->padX;
                    if (column < 0 || column >= w->width) continue;
                    const int32_t place = row * w->width + column;
                    const T *restrict from = image + (size_t)place * channels;
                    T *restrict best = out;
                    int32_t *restrict at = index;
                    if (isFirst) {
                        for (size_t c = 0; c < channels; c++) best[c] = from[c], at[c] = place;
                        isFirst = 0;
                        continue;
                    }
                    for (size_t c = 0; c < channels; c++) {
                        int32_t wins = (best[c] == best[c]) & !(from[c] <= best[c]);
                        best[c] = wins ? from[c] : best[c];
                        at[c] = wins ? place : at[c];
                    }
                }
            }
        }
}

KERNEL void NAME(maxPoolLastGradient)(const ck_window *w, const T *g, const int32_t *index, T *image) {
    const size_t channels = (size_t)w->channels;
    memset(image, 0, (size_t)w->height * (size_t)w->width * channels * sizeof(T));
    for (size_t left = (size_t)w->outHeight * (size_t)w->outWidth; left > 0; left--, g += channels, index += channels)
        for (size_t c = 0; c < channels; c++) image[(size_t)index[c] * channels + c] += g[c];
}

KERNEL void NAME(maxPoolLastPicked)(const ck_window *w, const T *image, const int32_t *index, T *out) {
    const size_t channels = (size_t)w->channels;
    for (size_t left = (size_t)w->outHeight * (size_t)w->outWidth; left > 0; left--, out += channels, index += channels)
        for (size_t c = 0; c < channels; c++) out[c] = image[(size_t)index[c] * channels + c];
}

KERNEL void NAME(avgPoolLast)(const ck_window *w, int countsPadding, const T *image, T *out) {
    const size_t channels = (size_t)w->channels;
    for (int y = 0; y < w->outHeight; y++) {
        int top, bottom, left, right;
        int rows = NAME(covered)(y, w->strideY, w->padY, w->kernelHeight, w->height, countsPadding, &top, &bottom);
        for (int x = 0; x < w->outWidth; x++, out += channels) {
            int columns = NAME(covered)(x, w->strideX, w->padX, w->kernelWidth, w->width, countsPadding, &left, &right);
            T *restrict to = out;
            memset(to, 0, channels * sizeof(T));
            for (int row = top; row < bottom; row++)
                for (int column = left; column < right; column++) {
                    const T *restrict from = image + ((size_t)row * (size_t)w->width + (size_t)column) * channels;
                    for (size_t c = 0; c < channels; c++) to[c] += from[c];
                }
            for (size_t c = 0; c < channels; c++) to[c] /= (T)(rows * columns);
        }
    }
}

KERNEL void NAME(avgPoolLastGradient)(const ck_window *w, int countsPadding, const T *g, T *image) {
    const size_t channels = (size_t)w->channels;
    memset(image, 0, (size_t)w->height * (size_t)w->width * channels * sizeof(T));
    for (int y = 0; y < w->outHeight; y++) {
        int top, bottom, left, right;
        int rows = NAME(covered)(y, w->strideY, w->padY, w->kernelHeight, w->height, countsPadding, &top, &bottom);
        for (int x = 0; x < w->outWidth; x++, g += channels) {
            int columns = NAME(covered)(x, w->strideX, w->padX, w->kernelWidth, w->width, countsPadding, &left, &right);
            const T share = 1 / (T)(rows * columns), *restrict from = g;
            for (int row = top; row < bottom; row++)
                for (int column = left; column < right; column++) {
                    T *restrict to = image + ((size_t)row * (size_t)w->width + (size_t)column) * channels;
                    for (size_t c = 0; c < channels; c++) to[c] += from[c] * share;
                }
        }
    }
}
