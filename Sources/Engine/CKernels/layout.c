#include "names.h"

#define COPY(type)                                                                                \
    do {                                                                                          \
        const type *source = (const type *)x + offset;                                            \
        type *target = (type *)out + row * inner;                                                 \
        if (step == 1) memcpy(target, source, inner * sizeof(type));                              \
        else for (size_t i = 0; i < inner; i++) target[i] = source[(ptrdiff_t)i * step];          \
    } while (0)

void ck_copy_strided(size_t size, int rank, const size_t *shape, const ptrdiff_t *strides, size_t first, size_t last,
                     const void *x, void *out) {
    size_t inner = rank > 0 ? shape[rank - 1] : 1, index[16] = {0};
    ptrdiff_t step = rank > 0 ? strides[rank - 1] : 1, offset = 0;
    size_t rest = first;
    for (int axis = rank - 2; axis >= 0; axis--) {
        index[axis] = rest % shape[axis];
        rest /= shape[axis];
        offset += (ptrdiff_t)index[axis] * strides[axis];
    }
    for (size_t row = first; row < last; row++) {
        switch (size) {
        case 1: COPY(uint8_t); break;
        case 4: COPY(uint32_t); break;
        default: COPY(uint64_t); break;
        }
        for (int axis = rank - 2; axis >= 0; axis--) {
            offset += strides[axis];
            if (++index[axis] < shape[axis]) break;
            offset -= (ptrdiff_t)shape[axis] * strides[axis];
            index[axis] = 0;
        }
    }
}

#define GATHER(type)                                                                              \
    for (size_t o = first; o < last; o++)                                                         \
        for (size_t k = 0; k < m; k++)                                                            \
            for (size_t i = 0; i < inner; i++) {                                                  \
                size_t at = (o * m + k) * inner + i;                                              \
                ((type *)out)[at] = ((const type *)x)[(o * n + (size_t)index[at]) * inner + i];   \
            }

void ck_gather(int dtype, size_t first, size_t last, size_t n, size_t m, size_t inner, const void *x,
               const int32_t *index, void *out) {
    if (dtype == CK_F32) GATHER(float) else GATHER(double)
}

#define SCATTER(type)                                                                             \
    do {                                                                                          \
        memset((type *)out + first * n * inner, 0, (last - first) * n * inner * sizeof(type));    \
        for (size_t o = first; o < last; o++)                                                     \
            for (size_t k = 0; k < m; k++)                                                        \
                for (size_t i = 0; i < inner; i++) {                                              \
                    size_t at = (o * m + k) * inner + i;                                          \
                    ((type *)out)[(o * n + (size_t)index[at]) * inner + i] += ((const type *)g)[at]; \
                }                                                                                 \
    } while (0)

void ck_scatter(int dtype, size_t first, size_t last, size_t n, size_t m, size_t inner, const void *g,
                const int32_t *index, void *out) {
    if (dtype == CK_F32) SCATTER(float);
    else SCATTER(double);
}

ptrdiff_t ck_first_outside(const int64_t *index, size_t n, int64_t bound) {
    for (size_t k = 0; k < n; k++)
        if ((uint64_t)index[k] >= (uint64_t)bound) return (ptrdiff_t)k;
    return -1;
}

#define SCATTER_ROWS(type)                                                                        \
    for (size_t k = 0; k < count; k++) {                                                          \
        type *target = (type *)out + (size_t)index[k] * width;                                    \
        const type *source = (const type *)g + k * width;                                         \
        for (size_t i = first; i < last; i++) target[i] += source[i];                             \
    }

void ck_scatter_rows(int dtype, size_t count, size_t width, size_t first, size_t last, const void *g,
                     const int64_t *index, void *out) {
    if (dtype == CK_F32) SCATTER_ROWS(float) else SCATTER_ROWS(double)
}
