#define TEMPLATE "reduce.template.h"
#include "expand.h"

#define SUM_INTEGERS(type)                                                                                \
    for (size_t o = first; o < last; o++)                                                                 \
        for (size_t i = 0; i < inner; i++) {                                                              \
            uint64_t total = 0;                                                                           \
            for (size_t r = 0; r < n; r++) total += (uint64_t)((const type *)x)[(o * n + r) * inner + i]; \
            ((type *)out)[o * inner + i] = (type)total;                                                   \
        }

void ck_sum(int dtype, size_t first, size_t last, size_t n, size_t inner, const void *x, double scale, void *out) {
    switch (dtype) {
    case CK_I64: SUM_INTEGERS(int64_t) break;
    case CK_I32: SUM_INTEGERS(int32_t) break;
    default: DISPATCH(sum, first, last, n, inner, x, scale, out);
    }
}

#define MAX_INTEGERS(type)                                                                                \
    for (size_t o = first; o < last; o++)                                                                 \
        for (size_t i = 0; i < inner; i++) {                                                              \
            const type *column = (const type *)x + o * n * inner + i;                                     \
            size_t at = 0;                                                                                \
            for (size_t k = 1; k < n; k++)                                                                \
                if (column[k * inner] > column[at * inner]) at = k;                                       \
            ((type *)out)[o * inner + i] = column[at * inner];                                            \
            index[o * inner + i] = (int32_t)at;                                                           \
        }

void ck_max(int dtype, size_t first, size_t last, size_t n, size_t inner, const void *x, void *out, int32_t *index) {
    switch (dtype) {
    case CK_I64: MAX_INTEGERS(int64_t) break;
    case CK_I32: MAX_INTEGERS(int32_t) break;
    case CK_U8: MAX_INTEGERS(uint8_t) break;
    case CK_I8: MAX_INTEGERS(int8_t) break;
    default: DISPATCH(max, first, last, n, inner, x, out, index);
    }
}

double ck_sum_of_squares(int dtype, size_t n, const void *x) {
    double total;
    DISPATCH(sumOfSquares, n, x, &total);
    return total;
}
