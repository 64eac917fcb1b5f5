#include "halves.h"
#define TEMPLATE "elementwise.template.h"
#include "expand.h"

#define EACH(expression)                                                                                        \
    for (size_t i = 0; i < n; i++) {                                                                            \
        element x = p[stepA ? i : 0], y = q[stepB ? i : 0];                                                     \
        r[i] = (expression);                                                                                    \
    }                                                                                                           \
    break
// Sums and products wrap round, which only unsigned numbers do by right.
#define INTEGERS(type)                                                                                          \
    do {                                                                                                        \
        typedef type element;                                                                                   \
        const type *p = a, *q = b;                                                                              \
        if (op >= CK_EQUAL) {                                                                                   \
            uint8_t *r = out;                                                                                   \
            switch (op) {                                                                                       \
            case CK_EQUAL: EACH(x == y);                                                                        \
            case CK_UNEQUAL: EACH(x != y);                                                                      \
            case CK_LESS: EACH(x < y);                                                                          \
            case CK_LESS_EQUAL: EACH(x <= y);                                                                   \
            case CK_GREATER: EACH(x > y);                                                                       \
            case CK_GREATER_EQUAL: EACH(x >= y);                                                                \
            case CK_AND: EACH(x & y);                                                                           \
            case CK_OR: EACH(x | y);                                                                            \
            case CK_XOR: EACH(x ^ y);                                                                           \
            }                                                                                                   \
        } else {                                                                                                \
            type *r = out;                                                                                      \
            switch (op) {                                                                                       \
            case CK_ADD: EACH((type)((uint64_t)x + (uint64_t)y));                                               \
            case CK_SUB: EACH((type)((uint64_t)x - (uint64_t)y));                                               \
            case CK_MUL: EACH((type)((uint64_t)x * (uint64_t)y));                                               \
            case CK_MAXIMUM: EACH(x > y ? x : y);                                                               \
            case CK_MINIMUM: EACH(x < y ? x : y);                                                               \
            }                                                                                                   \
        }                                                                                                       \
    } while (0)

static void halvesBinary(int dtype, int op, size_t n, const void *a, int stepA, const void *b, int stepB, void *out) {
    float p[halfBlock], q[halfBlock];
    if (!stepA) ck_halves_to_f32(dtype, 1, a, p);
    if (!stepB) ck_halves_to_f32(dtype, 1, b, q);
    for (size_t start = 0; start < n; start += halfBlock) {
        size_t count = n - start < halfBlock ? n - start : halfBlock;
        if (stepA) ck_halves_to_f32(dtype, count, (const uint16_t *)a + start, p);
        if (stepB) ck_halves_to_f32(dtype, count, (const uint16_t *)b + start, q);
        if (op >= CK_EQUAL) {
            ck_binary(CK_F32, op, count, p, stepA, q, stepB, (uint8_t *)out + start);
        } else {
            float r[halfBlock];
            ck_binary(CK_F32, op, count, p, stepA, q, stepB, r);
            ck_f32_to_halves(dtype, count, r, (uint16_t *)out + start);
        }
    }
}

void ck_binary(int dtype, int op, size_t n, const void *a, int stepA, const void *b, int stepB, void *out) {
    switch (dtype) {
    case CK_I64: INTEGERS(int64_t); break;
    case CK_I32: INTEGERS(int32_t); break;
    case CK_U8: case CK_BOOL: INTEGERS(uint8_t); break;
    case CK_I8: INTEGERS(int8_t); break;
    case CK_F16: case CK_BF16: halvesBinary(dtype, op, n, a, stepA, b, stepB, out); break;
    default:
        if (op >= CK_EQUAL) DISPATCH(compare, op, n, a, stepA, b, stepB, out);
        else DISPATCH(binary, op, n, a, stepA, b, stepB, out);
    }
}

void ck_binary_rows(int dtype, int op, size_t rows, size_t n, const void *a, size_t rowA, int stepA, const void *b,
                    size_t rowB, int stepB, void *out) {
    size_t size = elementSize(dtype), width = n * (op >= CK_EQUAL ? 1 : size);
    for (size_t row = 0; row < rows; row++)
        ck_binary(dtype, op, n, (const char *)a + row * rowA * size, stepA, (const char *)b + row * rowB * size, stepB,
                  (char *)out + row * width);
}

#define WHERE(type)                                                                                             \
    do {                                                                                                        \
        const type *p = a, *q = b;                                                                              \
        type *r = out;                                                                                          \
        for (size_t i = 0; i < n; i++) r[i] = c[stepC ? i : 0] ? p[stepA ? i : 0] : q[stepB ? i : 0];           \
    } while (0)

void ck_where(size_t size, size_t n, const uint8_t *c, int stepC, const void *a, int stepA, const void *b, int stepB,
              void *out) {
    switch (size) {
    case 1: WHERE(uint8_t); break;
    case 2: WHERE(uint16_t); break;
    case 4: WHERE(uint32_t); break;
    default: WHERE(uint64_t); break;
    }
}

void ck_unary(int dtype, int op, size_t n, const void *x, double p, void *out) {
    if (!isHalf(dtype)) {
        DISPATCH(unary, op, n, x, p, out);
        return;
    }
    float block[halfBlock];
    for (size_t start = 0; start < n; start += halfBlock) {
        size_t count = n - start < halfBlock ? n - start : halfBlock;
        ck_halves_to_f32(dtype, count, (const uint16_t *)x + start, block);
        ck_unary(CK_F32, op, count, block, p, block);
        ck_f32_to_halves(dtype, count, block, (uint16_t *)out + start);
    }
}

void ck_unary_gradient(int dtype, int op, size_t n, const void *g, const void *xy, double p, void *out) {
    if (!isHalf(dtype)) {
        DISPATCH(unaryGradient, op, n, g, xy, p, out);
        return;
    }
    float gradient[halfBlock], block[halfBlock];
    for (size_t start = 0; start < n; start += halfBlock) {
        size_t count = n - start < halfBlock ? n - start : halfBlock;
        ck_halves_to_f32(dtype, count, (const uint16_t *)g + start, gradient);
        ck_halves_to_f32(dtype, count, (const uint16_t *)xy + start, block);
        ck_unary_gradient(CK_F32, op, count, gradient, block, p, gradient);
        ck_f32_to_halves(dtype, count, gradient, (uint16_t *)out + start);
    }
}

void ck_accumulate(int dtype, size_t n, double factor, const void *x, void *y) {
    DISPATCH(accumulate, n, factor, x, y);
}

int ck_all_finite(int dtype, size_t n, const void *x) {
    int isFinite = 1;
    if (dtype == CK_F32 || dtype == CK_F64) DISPATCH(allFinite, n, x, &isFinite);
    float block[halfBlock];
    for (size_t start = 0; isHalf(dtype) && isFinite && start < n; start += halfBlock) {
        size_t count = n - start < halfBlock ? n - start : halfBlock;
        ck_halves_to_f32(dtype, count, (const uint16_t *)x + start, block);
        isFinite = ck_all_finite(CK_F32, count, block);
    }
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
    case CK_BOOL: memset(out, value != 0, n); break;
    case CK_F16: case CK_BF16: {
        float single = (float)value;
        uint16_t *p = out, v;
        ck_f32_to_halves(dtype, 1, &single, &v);
        for (size_t i = 0; i < n; i++) p[i] = v;
        break;
    }
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
    case CK_BOOL: STORE(from, uint8_t, v != 0); break;                                               \
    }
#define FROM_INTEGER(from)                                           \
    switch (to) {                                                    \
    case CK_F32: STORE(from, float, v); break;                       \
    case CK_F64: STORE(from, double, v); break;                      \
    case CK_I64: STORE(from, int64_t, v); break;                     \
    case CK_I32: STORE(from, int32_t, v); break;                     \
    case CK_U8: STORE(from, uint8_t, v); break;                      \
    case CK_I8: STORE(from, int8_t, v); break;                       \
    case CK_BOOL: STORE(from, uint8_t, v != 0); break;               \
    }

void ck_convert(int from, int to, size_t n, const void *x, void *out) {
    if (isHalf(from) || isHalf(to)) {
        float block[halfBlock];
        for (size_t start = 0; start < n; start += halfBlock) {
            size_t count = n - start < halfBlock ? n - start : halfBlock;
            const char *source = (const char *)x + start * elementSize(from);
            char *target = (char *)out + start * elementSize(to);
            if (isHalf(from)) ck_halves_to_f32(from, count, source, block);
            else ck_convert(from, CK_F32, count, source, block);
            if (isHalf(to)) ck_f32_to_halves(to, count, block, target);
            else ck_convert(CK_F32, to, count, block, target);
        }
        return;
    }
    switch (from) {
    case CK_F32: FROM_FLOAT(float) break;
    case CK_F64: FROM_FLOAT(double) break;
    case CK_I64: FROM_INTEGER(int64_t) break;
    case CK_I32: FROM_INTEGER(int32_t) break;
    case CK_U8: case CK_BOOL: FROM_INTEGER(uint8_t) break;
    case CK_I8: FROM_INTEGER(int8_t) break;
    }
}
