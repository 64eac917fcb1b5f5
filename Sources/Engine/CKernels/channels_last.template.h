// Rows of C channels: pictures laid out [N, H, W, C], or features [N, C]. Rows shorter than WIDE are taken several at
// a time, so that the inner loops run over WIDE or more contiguous values whatever C is; values of one channel then lie
// in several places of such a run and are added up at the end.

#define WIDE 128

// How many rows make a run.
INLINE size_t NAME(rowsOfRun)(size_t channels) { return channels >= WIDE ? 1 : WIDE / channels; }

// `run` copies of x [channels] into `out`, at most 2 * WIDE values; x itself if one row is a run.
INLINE const T *NAME(repeated)(size_t run, size_t channels, const T *x, T *out) {
    if (run == 1 || !x) return x;
    for (size_t r = 0; r < run; r++) memcpy(out + r * channels, x, channels * sizeof(T));
    return out;
}

// Adds acc [width], which holds `width / channels` rows, to total [channels], and clears acc.
INLINE void NAME(foldRun)(size_t width, size_t channels, T *acc, double *total) {
    for (size_t at = 0; at < width; at += channels)
        for (size_t c = 0; c < channels; c++) total[c] += acc[at + c];
    memset(acc, 0, width * sizeof(T));
}

INLINE void NAME(addRun)(size_t width, const T *restrict x, T *restrict acc) {
    for (size_t i = 0; i < width; i++) acc[i] += x[i];
}

INLINE void NAME(addSquares)(size_t width, const T *restrict x, const T *restrict mean, T *restrict acc) {
    for (size_t i = 0; i < width; i++) {
        T d = x[i] - mean[i];
        acc[i] += d * d;
    }
}

// Mean and sum of squared differences from it of each channel of x [rows, channels]: blocks that stay in the first
// cache
// are read twice, and their results merged (Chan, Golub, LeVeque, 1979). `space` holds 3 * max(channels, 2 * WIDE)
// values.
KERNEL void NAME(rowStatistics)(size_t rows, size_t channels, const T *x, double *mean, double *squares, T *space,
                                double *wide) {
    const size_t run = NAME(rowsOfRun)(channels), width = run * channels;
    size_t block = 4096 / channels / run * run;
    if (block < run) block = run;
    T *acc = space, *center = space + (width > 2 * WIDE ? width : 2 * WIDE);
    double *total = wide, *spread = wide + channels;
    memset(mean, 0, channels * sizeof(double));
    memset(squares, 0, channels * sizeof(double));
    memset(acc, 0, width * sizeof(T));
    for (size_t done = 0; done < rows;) {
        size_t count = rows - done < block ? rows - done : block, whole = count / run * run;
        const T *from = x + done * channels;
        memset(total, 0, 2 * channels * sizeof(double));
        for (size_t r = 0; r < whole; r += run) NAME(addRun)(width, from + r * channels, acc);
        NAME(foldRun)(width, channels, acc, total);
        for (size_t r = whole; r < count; r++) NAME(addRun)(channels, from + r * channels, acc);
        NAME(foldRun)(channels, channels, acc, total);
        for (size_t at = 0; at < width; at += channels)
            for (size_t c = 0; c < channels; c++) center[at + c] = (T)(total[c] / (double)count);
        for (size_t r = 0; r < whole; r += run) NAME(addSquares)(width, from + r * channels, center, acc);
        NAME(foldRun)(width, channels, acc, spread);
        for (size_t r = whole; r < count; r++) NAME(addSquares)(channels, from + r * channels, center, acc);
        NAME(foldRun)(channels, channels, acc, spread);
        for (size_t c = 0; c < channels; c++) {
            // The squares are about `center`, which is the mean rounded.
            double m = total[c] / (double)count, off = m - center[c], all = (double)(done + count);
            double between = m - mean[c];
            squares[c] += spread[c] - off * off * (double)count;
            squares[c] += between * between * (double)done * (double)count / all;
            mean[c] += between * (double)count / all;
        }
        done += count;
    }
}

INLINE void NAME(affineRun)(size_t width, const T *restrict x, const T *restrict scale, const T *restrict shift,
                            T *restrict y) {
    for (size_t i = 0; i < width; i++) y[i] = x[i] * scale[i] + shift[i];
}

INLINE void NAME(affineCutRun)(size_t width, const T *restrict x, const T *restrict scale, const T *restrict shift,
                               T high, T *restrict y) {
    for (size_t i = 0; i < width; i++) {
        T v = x[i] * scale[i] + shift[i];
        v = v < 0 ? 0 : v;
        y[i] = v > high ? high : v;
    }
}

INLINE void NAME(affineAddRun)(size_t width, const T *restrict x, const T *restrict scale, const T *restrict shift,
                               const T *restrict other, int cuts, T high, T *restrict y) {
    if (!cuts) {
        for (size_t i = 0; i < width; i++) y[i] = x[i] * scale[i] + shift[i] + other[i];
        return;
    }
    for (size_t i = 0; i < width; i++) {
        T v = x[i] * scale[i] + shift[i] + other[i];
        v = v < 0 ? 0 : v;
        y[i] = v > high ? high : v;
    }
}

KERNEL void NAME(rowAffine)(size_t rows, size_t channels, const T *x, const T *scale, const T *shift, const T *other,
                            int cuts, double limit, T *y) {
    T scales[2 * WIDE], shifts[2 * WIDE];
    const size_t run = NAME(rowsOfRun)(channels);
    const T *a = NAME(repeated)(run, channels, scale, scales), *b = NAME(repeated)(run, channels, shift, shifts);
    const T high = (T)limit;
    for (size_t r = 0; r < rows; r += run) {
        size_t at = r * channels, width = (rows - r < run ? rows - r : run) * channels;
        if (other) NAME(affineAddRun)(width, x + at, a, b, other + at, cuts, high, y + at);
        else if (cuts) NAME(affineCutRun)(width, x + at, a, b, high, y + at);
        else NAME(affineRun)(width, x + at, a, b, y + at);
    }
}

// acc += g, accProduct += g · (x - mean), where g counts only if low < gate < high; masked g goes to `out` unless NULL.
INLINE void NAME(gatedRun)(size_t width, const T *restrict g, const T *restrict x, const T *restrict mean,
                           const T *restrict scale, const T *restrict shift, const T *restrict y, T high,
                           T *restrict acc, T *restrict accProduct, T *restrict out) {
    if (y) {
        for (size_t i = 0; i < width; i++) {
            T v = y[i] > 0 && y[i] < high ? g[i] : 0;
            acc[i] += v;
            accProduct[i] += v * (x[i] - mean[i]);
            out[i] = v;
        }
    } else {
        for (size_t i = 0; i < width; i++) {
            T gate = x[i] * scale[i] + shift[i], v = gate > 0 && gate < high ? g[i] : 0;
            acc[i] += v;
            accProduct[i] += v * (x[i] - mean[i]);
        }
    }
}

INLINE void NAME(productRun)(size_t width, const T *restrict g, const T *restrict x, const T *restrict mean,
                             T *restrict acc, T *restrict accProduct) {
    for (size_t i = 0; i < width; i++) {
        acc[i] += g[i];
        accProduct[i] += g[i] * (x[i] - mean[i]);
    }
}

// sums[c] = Σ g, products[c] = Σ g · (x - mean[c]) in double. `cuts`: g counts only where the output was inside 0 ..<
// limit: the
// output y if given (then masked g is written to `masked`), else x · scale + shift. `space`: 3 * max(channels, 2 *
// WIDE) values.
KERNEL void NAME(rowProducts)(size_t rows, size_t channels, const T *g, const T *x, const T *mean, int cuts,
                              const T *scale, const T *shift, const T *y, double limit, T *masked, double *sums,
                              double *products, T *space) {
    T means[2 * WIDE], scales[2 * WIDE], shifts[2 * WIDE];
    const size_t run = NAME(rowsOfRun)(channels), width = run * channels, place = width > 2 * WIDE ? width : 2 * WIDE;
    const T *m = NAME(repeated)(run, channels, mean, means), *a = NAME(repeated)(run, channels, scale, scales);
    const T *b = NAME(repeated)(run, channels, shift, shifts), high = (T)limit;
    T *acc = space, *accProduct = space + place;
    memset(acc, 0, width * sizeof(T));
    memset(accProduct, 0, width * sizeof(T));
    memset(sums, 0, channels * sizeof(double));
    memset(products, 0, channels * sizeof(double));
    // Sums of floats are kept short.
    size_t sinceFold = 0;
    for (size_t r = 0; r < rows; r += run) {
        size_t at = r * channels, part = (rows - r < run ? rows - r : run) * channels;
        if (cuts) {
            NAME(gatedRun)(part, g + at, x + at, m, a, b, y ? y + at : NULL, high, acc, accProduct,
                           y ? masked + at : NULL);
        } else {
            NAME(productRun)(part, g + at, x + at, m, acc, accProduct);
        }
        if (++sinceFold == 64 || r + run >= rows) {
            sinceFold = 0;
            NAME(foldRun)(width, channels, acc, sums);
            NAME(foldRun)(width, channels, accProduct, products);
        }
    }
}

// out = g · a[c] + x · b[c] + d[c], g as in rowProducts without y.
KERNEL void NAME(rowCombine)(size_t rows, size_t channels, const T *g, const T *x, const T *a, const T *b, const T *d,
                             int cuts, const T *scale, const T *shift, double limit, T *out) {
    T as[2 * WIDE], bs[2 * WIDE], ds[2 * WIDE], scales[2 * WIDE], shifts[2 * WIDE];
    const size_t run = NAME(rowsOfRun)(channels);
    const T *p = NAME(repeated)(run, channels, a, as), *q = NAME(repeated)(run, channels, b, bs);
    const T *s = NAME(repeated)(run, channels, d, ds), *u = NAME(repeated)(run, channels, scale, scales);
    const T *v = NAME(repeated)(run, channels, shift, shifts), high = (T)limit;
    for (size_t r = 0; r < rows; r += run) {
        size_t at = r * channels, width = (rows - r < run ? rows - r : run) * channels;
        const T *gr = g + at, *xr = x + at;
        T *to = out + at;
        if (cuts)
            for (size_t i = 0; i < width; i++) {
                T gate = xr[i] * u[i] + v[i], value = gate > 0 && gate < high ? gr[i] : 0;
                to[i] = value * p[i] + xr[i] * q[i] + s[i];
            }
        else
            for (size_t i = 0; i < width; i++) to[i] = gr[i] * p[i] + xr[i] * q[i] + s[i];
    }
}

// sums[c] = Σ x, in double; `space` holds max(channels, 2 * WIDE) values.
KERNEL void NAME(rowSums)(size_t rows, size_t channels, const T *x, double *sums, T *space) {
    const size_t run = NAME(rowsOfRun)(channels), width = run * channels;
    memset(sums, 0, channels * sizeof(double));
    memset(space, 0, width * sizeof(T));
    size_t sinceFold = 0;
    for (size_t r = 0; r < rows; r += run) {
        NAME(addRun)((rows - r < run ? rows - r : run) * channels, x + r * channels, space);
        if (++sinceFold == 64 || r + run >= rows) {
            sinceFold = 0;
            NAME(foldRun)(width, channels, space, sums);
        }
    }
}

// out[p, c] = x[c, p] for few channels: the stores of a pixel lie next to each other.
KERNEL void NAME(interleave)(size_t plane, size_t channels, size_t first, size_t last, const T *restrict x,
                             T *restrict out) {
    const T *restrict b = x + plane, *restrict c = b + plane, *restrict d = c + plane;
    if (channels == 2)
        for (size_t p = first; p < last; p++) out[2 * p] = x[p], out[2 * p + 1] = b[p];
    else if (channels == 3)
        for (size_t p = first; p < last; p++) out[3 * p] = x[p], out[3 * p + 1] = b[p], out[3 * p + 2] = c[p];
    else
        for (size_t p = first; p < last; p++)
            out[4 * p] = x[p], out[4 * p + 1] = b[p], out[4 * p + 2] = c[p], out[4 * p + 3] = d[p];
}

#undef WIDE
