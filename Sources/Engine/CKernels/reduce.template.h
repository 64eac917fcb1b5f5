enum { NAME(block) = 256 };

// Partial sums of a block in T, the total in double: the error does not grow with n.
INLINE double NAME(total)(size_t n, const T *x) {
    double total = 0;
    for (size_t start = 0; start < n; start += NAME(block)) {
        size_t end = n - start < NAME(block) ? n : start + NAME(block), i = start;
        T acc[LANES] = {0};
        for (; i + LANES <= end; i += LANES)
            for (int k = 0; k < LANES; k++) acc[k] += x[i + k];
        for (; i < end; i++) acc[0] += x[i];
        for (int k = 0; k < LANES; k++) total += acc[k];
    }
    return total;
}

KERNEL void NAME(sum)(size_t first, size_t last, size_t n, size_t inner, const T *x, double scale, T *out) {
    if (inner == 1) {
        for (size_t o = first; o < last; o++) out[o] = (T)(NAME(total)(n, x + o * n) * scale);
        return;
    }
    enum { width = 64, rows = 32 };
    for (size_t o = first; o < last; o++) {
        for (size_t column = 0; column < inner; column += width) {
            size_t columns = inner - column < width ? inner - column : width;
            double total[width] = {0};
            for (size_t start = 0; start < n; start += rows) {
                size_t end = n - start < rows ? n : start + rows;
                T acc[width] = {0};
                for (size_t r = start; r < end; r++) {
                    const T *row = x + (o * n + r) * inner + column;
                    if (columns == width)
                        for (size_t i = 0; i < width; i++) acc[i] += row[i];
                    else
                        for (size_t i = 0; i < columns; i++) acc[i] += row[i];
                }
                for (size_t i = 0; i < columns; i++) total[i] += acc[i];
            }
            for (size_t i = 0; i < columns; i++) out[o * inner + column + i] = (T)(total[i] * scale);
        }
    }
}

KERNEL void NAME(max)(size_t first, size_t last, size_t n, size_t inner, const T *x, T *out, int32_t *index) {
    for (size_t o = first; o < last; o++)
        for (size_t i = 0; i < inner; i++) {
            const T *column = x + o * n * inner + i;
            T best = column[0];
            size_t at = 0;
            for (size_t k = 1; k < n && best == best; k++)
                if (!(column[k * inner] <= best)) best = column[k * inner], at = k;
            out[o * inner + i] = best;
            index[o * inner + i] = (int32_t)at;
        }
}

KERNEL void NAME(sumOfSquares)(size_t n, const T *x, double *out) {
    double acc[LANES] = {0}, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) acc[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < n; i++) acc[0] += (double)x[i] * (double)x[i];
    for (int k = 0; k < LANES; k++) total += acc[k];
    *out = total;
}
