#include "halves.h"

// A walk over the axes before the last `inner` ones.
typedef struct {
    int rank;
    const size_t *shape;
    const ptrdiff_t *from, *to;
    size_t index[16];
    ptrdiff_t source, target;
} walk;

static void start(walk *w, size_t position) {
    w->source = w->target = 0;
    for (int axis = w->rank - 1; axis >= 0; axis--) {
        w->index[axis] = position % w->shape[axis];
        position /= w->shape[axis];
        w->source += (ptrdiff_t)w->index[axis] * w->from[axis];
        w->target += (ptrdiff_t)w->index[axis] * w->to[axis];
    }
}

static void advance(walk *w) {
    for (int axis = w->rank - 1; axis >= 0; axis--) {
        w->source += w->from[axis];
        w->target += w->to[axis];
        if (++w->index[axis] < w->shape[axis]) break;
        w->source -= (ptrdiff_t)w->shape[axis] * w->from[axis];
        w->target -= (ptrdiff_t)w->shape[axis] * w->to[axis];
        w->index[axis] = 0;
    }
}

#define COPY(type)                                                                                \
    do {                                                                                          \
        const type *source = (const type *)x + w.source;                                          \
        type *target = (type *)out + w.target;                                                    \
        if (stepTo == 1 && step == 1) memcpy(target, source, inner * sizeof(type));               \
        else if (stepTo == 1 && step == 0)                                                        \
            for (size_t i = 0; i < inner; i++) target[i] = *source;                               \
        else if (stepTo == 1)                                                                     \
            for (size_t i = 0; i < inner; i++) target[i] = source[(ptrdiff_t)i * step];           \
        else                                                                                      \
            for (size_t i = 0; i < inner; i++) target[(ptrdiff_t)i * stepTo] = source[(ptrdiff_t)i * step]; \
    } while (0)

void ck_copy_strided(size_t size, int rank, const size_t *shape, const ptrdiff_t *from, const ptrdiff_t *to,
                     size_t first, size_t last, const void *x, void *out) {
    size_t inner = rank > 0 ? shape[rank - 1] : 1;
    ptrdiff_t step = rank > 0 ? from[rank - 1] : 1, stepTo = rank > 0 ? to[rank - 1] : 1;
    walk w = {.rank = rank - 1, .shape = shape, .from = from, .to = to};
    start(&w, first);
    for (size_t row = first; row < last; row++, advance(&w)) {
        switch (size) {
        case 1: COPY(uint8_t); break;
        case 2: COPY(uint16_t); break;
        case 4: COPY(uint32_t); break;
        default: COPY(uint64_t); break;
        }
    }
}

#define TILES(type)                                                                               \
    for (size_t i = low; i < high; i += 8) {                                                      \
        size_t end = high - i < 8 ? high : i + 8;                                                 \
        for (size_t k = 0; k < inner; k++) {                                                      \
            const type *source = (const type *)x + w.source + (ptrdiff_t)k * step;                \
            type *target = (type *)out + w.target + (ptrdiff_t)k * stepTo;                        \
            for (size_t j = i; j < end; j++) target[(ptrdiff_t)j * down] = source[j];             \
        }                                                                                         \
    }

void ck_copy_tiles(size_t size, size_t tile, int rank, const size_t *shape, const ptrdiff_t *from, const ptrdiff_t *to,
                   size_t first, size_t last, const void *x, void *out) {
    size_t inner = shape[rank - 1], height = shape[rank - 2], blocks = (height + tile - 1) / tile;
    ptrdiff_t step = from[rank - 1], stepTo = to[rank - 1], down = to[rank - 2];
    walk w = {.rank = rank - 2, .shape = shape, .from = from, .to = to};
    start(&w, first / blocks);
    for (size_t job = first; job < last; job++) {
        size_t low = job % blocks * tile, high = height - low < tile ? height : low + tile;
        switch (size) {
        case 1: TILES(uint8_t) break;
        case 2: TILES(uint16_t) break;
        case 4: TILES(uint32_t) break;
        default: TILES(uint64_t) break;
        }
        if (job % blocks == blocks - 1) advance(&w);
    }
}

#define ADD(type)                                                                                 \
    do {                                                                                          \
        const type *source = (const type *)x + w.source;                                          \
        type *target = (type *)out + w.target;                                                    \
        if (stepTo == 1 && step == 1)                                                             \
            for (size_t i = 0; i < inner; i++) target[i] += source[i];                            \
        else                                                                                      \
            for (size_t i = 0; i < inner; i++) target[(ptrdiff_t)i * stepTo] += source[(ptrdiff_t)i * step]; \
    } while (0)

static void addHalves(int dtype, size_t n, const uint16_t *x, ptrdiff_t step, uint16_t *out, ptrdiff_t stepTo) {
    for (size_t i = 0; i < n; i++, x += step, out += stepTo) {
        float summand, total;
        ck_halves_to_f32(dtype, 1, x, &summand);
        ck_halves_to_f32(dtype, 1, out, &total);
        total += summand;
        ck_f32_to_halves(dtype, 1, &total, out);
    }
}

void ck_add_strided(int dtype, int rank, const size_t *shape, const ptrdiff_t *from, const ptrdiff_t *to, size_t first,
                    size_t last, const void *x, void *out) {
    size_t inner = rank > 0 ? shape[rank - 1] : 1;
    ptrdiff_t step = rank > 0 ? from[rank - 1] : 1, stepTo = rank > 0 ? to[rank - 1] : 1;
    walk w = {.rank = rank - 1, .shape = shape, .from = from, .to = to};
    start(&w, first);
    for (size_t row = first; row < last; row++, advance(&w)) {
        if (dtype == CK_F32) ADD(float);
        else if (isHalf(dtype)) addHalves(dtype, inner, (const uint16_t *)x + w.source, step,
                                          (uint16_t *)out + w.target, stepTo);
        else ADD(double);
    }
}

#define GATHER(type)                                                                              \
    for (size_t o = first; o < last; o++)                                                         \
        for (size_t k = 0; k < m; k++)                                                            \
            for (size_t i = 0; i < inner; i++) {                                                  \
                size_t at = (o * m + k) * inner + i;                                              \
                ((type *)out)[at] = ((const type *)x)[(o * n + (size_t)index[at]) * inner + i];   \
            }

void ck_gather(size_t size, size_t first, size_t last, size_t n, size_t m, size_t inner, const void *x,
               const int32_t *index, void *out) {
    switch (size) {
    case 1: GATHER(uint8_t) break;
    case 2: GATHER(uint16_t) break;
    case 4: GATHER(uint32_t) break;
    default: GATHER(uint64_t) break;
    }
}

// The last of equal indices wins.
#define PUT(type)                                                                                 \
    for (size_t o = first; o < last; o++)                                                         \
        for (size_t k = 0; k < m; k++)                                                            \
            for (size_t i = 0; i < inner; i++) {                                                  \
                size_t at = (o * m + k) * inner + i;                                              \
                ((type *)out)[(o * n + (size_t)index[at]) * inner + i] = ((const type *)g)[at];   \
            }

void ck_put(size_t size, size_t first, size_t last, size_t n, size_t m, size_t inner, const void *g,
            const int32_t *index, void *out) {
    switch (size) {
    case 1: PUT(uint8_t) break;
    case 2: PUT(uint16_t) break;
    case 4: PUT(uint32_t) break;
    default: PUT(uint64_t) break;
    }
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
