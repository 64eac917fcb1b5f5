#include "names.h"
#include <stdlib.h>

// NaN counts as larger than all.
#define LESS_FLOAT(a, b) ((a) < (b) || ((a) == (a) && (b) != (b)))
#define LESS_INTEGER(a, b) ((a) < (b))

// Merges runs of doubling width between `index` and `spare`; equal keys keep their order.
#define SORT(type, LESS)                                                                          \
    for (size_t o = first; o < last; o++)                                                         \
        for (size_t i = 0; i < inner; i++) {                                                      \
            const type *x = (const type *)values + o * n * inner + i;                             \
            int32_t *from = spare, *to = spare + n;                                               \
            for (size_t k = 0; k < n; k++) from[k] = (int32_t)k;                                  \
            for (size_t width = 1; width < n; width *= 2) {                                       \
                for (size_t start = 0; start < n; start += 2 * width) {                           \
                    size_t middle = start + width < n ? start + width : n;                        \
                    size_t end = start + 2 * width < n ? start + 2 * width : n;                   \
                    size_t l = start, r = middle;                                                 \
                    for (size_t k = start; k < end; k++) {                                        \
                        int takesRight = l == middle;                                             \
                        if (l < middle && r < end) {                                              \
                            type a = x[(size_t)from[l] * inner], b = x[(size_t)from[r] * inner];  \
                            takesRight = descending ? LESS(a, b) : LESS(b, a);                    \
                        }                                                                         \
                        to[k] = takesRight ? from[r++] : from[l++];                               \
                    }                                                                             \
                }                                                                                 \
                int32_t *swap = from;                                                             \
                from = to;                                                                        \
                to = swap;                                                                        \
            }                                                                                     \
            for (size_t k = 0; k < n; k++) index[(o * n + k) * inner + i] = from[k];              \
        }                                                                                         \
    break

int ck_argsort(int dtype, size_t first, size_t last, size_t n, size_t inner, const void *values, int descending,
               int32_t *index) {
    int32_t *spare = malloc((2 * n + 1) * sizeof(int32_t));
    if (!spare) return -1;
    switch (dtype) {
    case CK_F32: SORT(float, LESS_FLOAT);
    case CK_F64: SORT(double, LESS_FLOAT);
    case CK_I64: SORT(int64_t, LESS_INTEGER);
    case CK_I32: SORT(int32_t, LESS_INTEGER);
    case CK_I8: SORT(int8_t, LESS_INTEGER);
    default: SORT(uint8_t, LESS_INTEGER);
    }
    free(spare);
    return 0;
}

// Sums and products run in double for floats, and wrap round for integers.
#define SCAN(type, total)                                                                         \
    for (size_t o = first; o < last; o++)                                                         \
        for (size_t i = 0; i < inner; i++) {                                                      \
            total running = isProduct;                                                            \
            for (size_t k = 0; k < n; k++) {                                                      \
                size_t at = (o * n + k) * inner + i;                                              \
                total value = (total)((const type *)x)[at];                                       \
                running = isProduct ? running * value : running + value;                          \
                ((type *)out)[at] = (type)running;                                                \
            }                                                                                     \
        }                                                                                         \
    break

void ck_scan(int dtype, int isProduct, size_t first, size_t last, size_t n, size_t inner, const void *x, void *out) {
    switch (dtype) {
    case CK_F32: SCAN(float, double);
    case CK_F64: SCAN(double, double);
    case CK_I64: SCAN(int64_t, uint64_t);
    case CK_I32: SCAN(int32_t, uint32_t);
    }
}
