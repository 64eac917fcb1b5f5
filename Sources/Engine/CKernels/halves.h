#ifndef MLOPS_HALVES_H
#define MLOPS_HALVES_H

#include "names.h"

// Elements of CK_F16 and CK_BF16 are computed as f32, a block of them at a time.
enum { halfBlock = 1024 };
static inline int isHalf(int dtype) { return dtype == CK_F16 || dtype == CK_BF16; }

void ck_halves_to_f32(int dtype, size_t n, const void *x, float *out);
/// Rounds to the nearest, ties to even; what is too large becomes infinite, NaN stays NaN.
void ck_f32_to_halves(int dtype, size_t n, const float *x, void *out);

static inline size_t elementSize(int dtype) {
    switch (dtype) {
    case CK_F64: case CK_I64: return 8;
    case CK_F32: case CK_I32: return 4;
    case CK_F16: case CK_BF16: return 2;
    default: return 1;
    }
}

#endif
