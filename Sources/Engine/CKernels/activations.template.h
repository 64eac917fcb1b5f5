// NaN stays: a faulty layer must be seen at its place.

#define LOOP(expression) \
    for (size_t i = 0; i < n; i++) out[i] = (expression); \
    break

INLINE T NAME(logistic)(T x) { return 1 / (1 + EXP(-x)); }
INLINE T NAME(clamped)(T x, T low, T high) { return x < low ? low : x > high ? high : x; }

// tanh(log(1 + e)) with e = eˣ is e (e + 2) / (e (e + 2) + 2), which is 1 in both types from x = 20 on.
INLINE T NAME(mishFactor)(T x) {
    T e = EXP(x > 20 ? 20 : x), w = e * (e + 2);
    return w / (w + 2);
}
INLINE T NAME(mishSlope)(T x) {
    T w = NAME(mishFactor)(x);
    return w + x * (1 - w * w) * NAME(logistic)(x);
}
INLINE T NAME(siluSlope)(T x) {
    T s = NAME(logistic)(x);
    return s * (1 + x * (1 - s));
}

// Klambauer et al., 2017
#define SELU_ALPHA ((T)1.6732632423543772848170429916717)
#define SELU_SCALE ((T)1.0507009873554804934193349852946)

KERNEL void NAME(activation)(int op, size_t n, const T *x, double parameter, T *out) {
    const T p = (T)parameter;
    switch (op) {
    case CK_RELU6: LOOP(NAME(clamped)(x[i], 0, 6));
    case CK_ELU: LOOP(x[i] > 0 ? x[i] : p * (EXP(x[i]) - 1));
    case CK_SELU: LOOP(SELU_SCALE * (x[i] > 0 ? x[i] : SELU_ALPHA * (EXP(x[i]) - 1)));
    case CK_SILU: LOOP(x[i] * NAME(logistic)(x[i]));
    case CK_MISH: LOOP(x[i] * NAME(mishFactor)(x[i]));
    case CK_HARD_SIGMOID: LOOP(NAME(clamped)(x[i] + 3, 0, 6) / 6);
    case CK_HARD_SWISH: LOOP(x[i] * NAME(clamped)(x[i] + 3, 0, 6) / 6);
    }
}

KERNEL void NAME(activationGradient)(int op, size_t n, const T *g, const T *x, double parameter, T *out) {
    const T p = (T)parameter;
    switch (op) {
    case CK_RELU6: LOOP(x[i] > 0 && x[i] < 6 ? g[i] : 0);
    case CK_ELU: LOOP(x[i] > 0 ? g[i] : g[i] * p * EXP(x[i]));
    case CK_SELU: LOOP(SELU_SCALE * (x[i] > 0 ? g[i] : g[i] * SELU_ALPHA * EXP(x[i])));
    case CK_SILU: LOOP(g[i] * NAME(siluSlope)(x[i]));
    case CK_MISH: LOOP(g[i] * NAME(mishSlope)(x[i]));
    case CK_HARD_SIGMOID: LOOP(x[i] > -3 && x[i] < 3 ? g[i] / 6 : 0);
    case CK_HARD_SWISH: LOOP(x[i] < -3 ? 0 : x[i] <= 3 ? g[i] * (x[i] / 3 + (T)0.5) : g[i]);
    }
}

#undef LOOP
#undef SELU_ALPHA
#undef SELU_SCALE
