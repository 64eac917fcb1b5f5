#define LOOP(expression) \
    for (size_t i = 0; i < n; i++) out[i] = (expression); \
    break

#define BINARY(A, B)                        \
    switch (op) {                           \
    case CK_ADD: LOOP(A + B);               \
    case CK_SUB: LOOP(A - B);               \
    case CK_MUL: LOOP(A * B);               \
    case CK_DIV: LOOP(A / B);               \
    case CK_MAXIMUM: LOOP(A > B || A != A ? A : B);   \
    case CK_MINIMUM: LOOP(A < B || A != A ? A : B);   \
    case CK_POWER: LOOP(POW(A, B));         \
    }

KERNEL void NAME(binary)(int op, size_t n, const T *a, int stepA, const T *b, int stepB, T *out) {
    if (stepA && stepB) {
        BINARY(a[i], b[i])
    } else if (stepA) {
        const T second = *b;
        BINARY(a[i], second)
    } else {
        const T first = *a;
        if (stepB) {
            BINARY(first, b[i])
        } else {
            const T second = *b;
            BINARY(first, second)
        }
    }
}

#define COMPARE(A, B)                          \
    switch (op) {                              \
    case CK_EQUAL: LOOP(A == B);               \
    case CK_UNEQUAL: LOOP(A != B);             \
    case CK_LESS: LOOP(A < B);                 \
    case CK_LESS_EQUAL: LOOP(A <= B);          \
    case CK_GREATER: LOOP(A > B);              \
    case CK_GREATER_EQUAL: LOOP(A >= B);       \
    }

KERNEL void NAME(compare)(int op, size_t n, const T *a, int stepA, const T *b, int stepB, uint8_t *out) {
    if (stepA && stepB) {
        COMPARE(a[i], b[i])
    } else if (stepA) {
        const T second = *b;
        COMPARE(a[i], second)
    } else {
        const T first = *a;
        COMPARE(first, b[stepB ? i : 0])
    }
}

INLINE T NAME(sigmoid)(T x) { return 1 / (1 + EXP(-x)); }
INLINE T NAME(gelu)(T x) { return (T)0.5 * x * (1 + ERF(x * (T)0.70710678118654752440)); }
INLINE T NAME(geluTanh)(T x) {
    return (T)0.5 * x * (1 + TANH((T)0.79788456080286535588 * (x + (T)0.044715 * x * x * x)));
}

KERNEL void NAME(unary)(int op, size_t n, const T *x, double parameter, T *out) {
    const T p = (T)parameter;
    switch (op) {
    case CK_NEG: LOOP(-x[i]);
    case CK_EXP: LOOP(EXP(x[i]));
    case CK_LOG: LOOP(LOG(x[i]));
    case CK_SQRT: LOOP(SQRT(x[i]));
    case CK_TANH: LOOP(TANH(x[i]));
    case CK_SIGMOID: LOOP(NAME(sigmoid)(x[i]));
    // NaN stays: a faulty layer must be seen at its place.
    case CK_RELU: LOOP(x[i] < 0 ? 0 : x[i]);
    case CK_GELU: LOOP(NAME(gelu)(x[i]));
    case CK_GELU_TANH: LOOP(NAME(geluTanh)(x[i]));
    case CK_ABS: LOOP(ABS(x[i]));
    case CK_SQUARE: LOOP(x[i] * x[i]);
    case CK_RECIPROCAL: LOOP(1 / x[i]);
    case CK_LEAKY_RELU: LOOP(x[i] < 0 ? x[i] * p : x[i]);
    case CK_SIN: LOOP(SIN(x[i]));
    case CK_COS: LOOP(COS(x[i]));
    case CK_POW: LOOP(POW(x[i], p));
    case CK_SOFTPLUS: LOOP((x[i] < 0 ? 0 : x[i]) + LOG1P(EXP(-ABS(x[i]))));
    case CK_STEP: LOOP(x[i] > 0 ? 1 : p);
    case CK_SIGN: LOOP((T)((x[i] > 0) - (x[i] < 0)));
    case CK_ERF: LOOP(ERF(x[i]));
    case CK_SCALE: LOOP(x[i] * p);
    case CK_SHIFT: LOOP(x[i] + p);
    case CK_LOG1P: LOOP(LOG1P_ANYWHERE(x[i]));
    case CK_EXPM1: LOOP(EXPM1(x[i]));
    case CK_FLOOR: LOOP(FLOOR(x[i]));
    case CK_CEIL: LOOP(CEIL(x[i]));
    case CK_ROUND: LOOP(RINT(x[i]));
    case CK_TRUNC: LOOP(TRUNC(x[i]));
    case CK_AT_LEAST: LOOP(x[i] < p ? p : x[i]);
    case CK_AT_MOST: LOOP(x[i] > p ? p : x[i]);
    }
}

INLINE T NAME(geluSlope)(T x) {
    return (T)0.5 * (1 + ERF(x * (T)0.70710678118654752440))
        + x * EXP((T)-0.5 * x * x) * (T)0.39894228040143267794;
}
INLINE T NAME(geluTanhSlope)(T x) {
    const T a = (T)0.79788456080286535588, b = (T)0.044715;
    T t = TANH(a * (x + b * x * x * x));
    return (T)0.5 * (1 + t) + (T)0.5 * x * (1 - t * t) * a * (1 + 3 * b * x * x);
}

KERNEL void NAME(unaryGradient)(int op, size_t n, const T *g, const T *x, double parameter, T *out) {
    const T p = (T)parameter;
    switch (op) {
    case CK_TANH: LOOP(g[i] * (1 - x[i] * x[i]));
    case CK_SIGMOID: LOOP(g[i] * (x[i] * (1 - x[i])));
    case CK_RELU: LOOP(x[i] > 0 ? g[i] : 0);
    case CK_LEAKY_RELU: LOOP(x[i] > 0 ? g[i] : g[i] * p);
    case CK_GELU: LOOP(g[i] * NAME(geluSlope)(x[i]));
    case CK_GELU_TANH: LOOP(g[i] * NAME(geluTanhSlope)(x[i]));
    }
}

KERNEL void NAME(accumulate)(size_t n, double scale, const T *x, T *out) {
    const T factor = (T)scale;
    for (size_t i = 0; i < n; i++) out[i] += factor * x[i];
}

KERNEL void NAME(allFinite)(size_t n, const T *x, int *isFinite) {
    // x · 0 is 0 for the finite and NaN for the rest; NaN stays in a sum.
    T acc[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) acc[k] += x[i + k] * 0;
    for (; i < n; i++) acc[0] += x[i] * 0;
    T total = 0;
    for (int k = 0; k < LANES; k++) total += acc[k];
    *isFinite = total == 0;
}

#undef LOOP
#undef BINARY
#undef COMPARE
