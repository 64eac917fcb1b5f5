#define TEMPLATE "elementwise.template.h"
#include "expand.h"

#define INTEGERS(type)                                                                                          \
    do {                                                                                                        \
        const type *p = a, *q = b;                                                                              \
        type *r = out;                                                                                          \
        for (size_t i = 0; i < n; i++) {                                                                        \
            uint64_t x = (uint64_t)p[stepA ? i : 0], y = (uint64_t)q[stepB ? i : 0];                            \
            r[i] = (type)(op == CK_ADD ? x + y : op == CK_SUB ? x - y : x * y);                                 \
        }                                                                                                       \
    } while (0)

void ck_binary(int dtype, int op, size_t n, const void *a, int stepA, const void *b, int stepB, void *out) {
    switch (dtype) {
    case CK_I64: INTEGERS(int64_t); break;
    case CK_I32: INTEGERS(int32_t); break;
    case CK_U8: INTEGERS(uint8_t); break;
    case CK_I8: INTEGERS(int8_t); break;
    default: DISPATCH(binary, op, n, a, stepA, b, stepB, out);
    }
}

static size_t sizeOf(int dtype) {
    switch (dtype) {
    case CK_F64: case CK_I64: return 8;
    case CK_F32: case CK_I32: return 4;
    default: return 1;
    }
}

void ck_binary_rows(int dtype, int op, size_t rows, size_t n, const void *a, size_t rowA, int stepA, const void *b,
                    size_t rowB, int stepB, void *out) {
    size_t size = sizeOf(dtype);
    for (size_t row = 0; row < rows; row++)
        ck_binary(dtype, op, n, (const char *)a + row * rowA * size, stepA, (const char *)b + row * rowB * size, stepB,
                  (char *)out + row * n * size);
}

void ck_unary(int dtype, int op, size_t n, const void *x, double p, void *out) { DISPATCH(unary, op, n, x, p, out); }

void ck_unary_gradient(int dtype, int op, size_t n, const void *g, const void *xy, double p, void *out) {
    DISPATCH(unaryGradient, op, n, g, xy, p, out);
}

void ck_accumulate(int dtype, size_t n, double factor, const void *x, void *y) {
    DISPATCH(accumulate, n, factor, x, y);
}

int ck_all_finite(int dtype, size_t n, const void *x) {
    int isFinite = 1;
    if (dtype == CK_F32 || dtype == CK_F64) DISPATCH(allFinite, n, x, &isFinite);
    return isFinite;
}

#define FILL(type)                                                   \
    do {                                                             \
        type *p = out, v = (type)value;                              \
        for (size_t i = 0; i < n; i++) p[i] = v;                     \
    } while (0)

void ck_fill(int dtype, size_t n, double value, void *out) {
    switch (dtype) {
    case CK_F32: FILL(float); break;
    case CK_F64: FILL(double); break;
    case CK_I64: FILL(int64_t); break;
    case CK_I32: FILL(int32_t); break;
    case CK_U8: FILL(uint8_t); break;
    case CK_I8: FILL(int8_t); break;
    }
}

#define STORE(from, to, expression)                                  \
    do {                                                             \
        const from *p = x;                                           \
        to *q = out;                                                 \
        for (size_t i = 0; i < n; i++) {                             \
            from v = p[i];                                           \
            q[i] = (to)(expression);                                 \
        }                                                            \
    } while (0)
// A double below 2^63 and not below -2^63 is safe to cut; 9223372036854774784 is the largest double below 2^63.
#define CLAMP(low, high) (v != v ? 0 : v < (low) ? (low) : v > (high) ? (high) : v)
#define FROM_FLOAT(from)                                                                             \
    switch (to) {                                                                                    \
    case CK_F32: STORE(from, float, v); break;                                                       \
    case CK_F64: STORE(from, double, v); break;                                                      \
    case CK_I64: STORE(from, int64_t, CLAMP(-9223372036854775808.0, 9223372036854774784.0)); break;  \
    case CK_I32: STORE(from, int32_t, CLAMP(-2147483648.0, 2147483647.0)); break;                    \
    case CK_U8: STORE(from, uint8_t, CLAMP(0.0, 255.0)); break;                                      \
    case CK_I8: STORE(from, int8_t, CLAMP(-128.0, 127.0)); break;                                    \
    }
#define FROM_INTEGER(from)                                           \
    switch (to) {                                                    \
    case CK_F32: STORE(from, float, v); break;                       \
    case CK_F64: STORE(from, double, v); break;                      \
    case CK_I64: STORE(from, int64_t, v); break;                     \
    case CK_I32: STORE(from, int32_t, v); break;                     \
    case CK_U8: STORE(from, uint8_t, v); break;                      \
    case CK_I8: STORE(from, int8_t, v); break;                       \
    }

void ck_convert(int from, int to, size_t n, const void *x, void *out) {
    switch (from) {
    case CK_F32: FROM_FLOAT(float) break;
    case CK_F64: FROM_FLOAT(double) break;
    case CK_I64: FROM_INTEGER(int64_t) break;
    case CK_I32: FROM_INTEGER(int32_t) break;
    case CK_U8: FROM_INTEGER(uint8_t) break;
    case CK_I8: FROM_INTEGER(int8_t) break;
    }
}
