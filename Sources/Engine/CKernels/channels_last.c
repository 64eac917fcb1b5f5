#define TEMPLATE "channels_last.template.h"
#include "expand.h"
#include <stdlib.h>

// Values that the kernels need beside their arguments: `count` floats of either type, then `wide` doubles.
static void *space(size_t count, size_t wide, double **wideSpace) {
    double *memory = malloc((count + wide + 8) * sizeof(double));
    if (!memory) abort();
    *wideSpace = memory + count;
    return memory;
}

static size_t place(size_t channels) { return channels > 256 ? channels : 256; }

void ck_row_statistics(int dtype, size_t rows, size_t channels, const void *x, double *mean, double *squares) {
    double *wide;
    void *memory = space(3 * place(channels), 2 * channels, &wide);
    DISPATCH(rowStatistics, rows, channels, x, mean, squares, memory, wide);
    free(memory);
}

void ck_row_affine(int dtype, size_t rows, size_t channels, const void *x, const void *scale, const void *shift,
                   const void *other, int cuts, double limit, void *y) {
    DISPATCH(rowAffine, rows, channels, x, scale, shift, other, cuts, limit, y);
}

void ck_row_products(int dtype, size_t rows, size_t channels, const void *g, const void *x, const void *mean, int cuts,
                     const void *scale, const void *shift, const void *y, double limit, void *masked, double *sums,
                     double *products) {
    double *wide;
    void *memory = space(3 * place(channels), 0, &wide);
    DISPATCH(rowProducts, rows, channels, g, x, mean, cuts, scale, shift, y, limit, masked, sums, products, memory);
    free(memory);
}

void ck_row_combine(int dtype, size_t rows, size_t channels, const void *g, const void *x, const void *a, const void *b,
                    const void *d, int cuts, const void *scale, const void *shift, double limit, void *out) {
    DISPATCH(rowCombine, rows, channels, g, x, a, b, d, cuts, scale, shift, limit, out);
}

void ck_row_sums(int dtype, size_t rows, size_t channels, const void *x, double *sums) {
    double *wide;
    void *memory = space(place(channels), 0, &wide);
    DISPATCH(rowSums, rows, channels, x, sums, memory);
    free(memory);
}

void ck_interleave(int dtype, size_t plane, size_t channels, size_t first, size_t last, const void *x, void *out) {
    DISPATCH(interleave, plane, channels, first, last, x, out);
}
