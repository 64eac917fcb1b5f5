// The functions that kernels apply to each value. The plain copy calls libm; the fast f32 copies use polynomials that the
// compiler turns into vectors (Cephes' expf, tanhf and logf; erf: the rational of Eigen and XLA), within 2 ulp of libm's for
// exp and log, 3 for tanh, 4 for erf. LOG1P is only asked for arguments in 0 ... 1.

#undef EXP
#undef TANH
#undef ERF
#undef LOG
#undef SQRT
#undef ABS
#undef POW
#undef SIN
#undef COS
#undef LOG1P
#undef EXPM1
#undef LOG1P_ANYWHERE
#undef FLOOR
#undef CEIL
#undef RINT
#undef TRUNC
#undef INLINE
#define INLINE KERNEL inline __attribute__((always_inline, unused))

#if IS_F32
#define LOG logf
#define SQRT sqrtf
#define ABS fabsf
#define POW powf
#define SIN sinf
#define COS cosf
#define LOG1P log1pf
#define EXPM1 expm1f
#define LOG1P_ANYWHERE log1pf
#define FLOOR floorf
#define CEIL ceilf
#define RINT rintf
#define TRUNC truncf
#else
#define LOG log
#define SQRT sqrt
#define ABS fabs
#define POW pow
#define SIN sin
#define COS cos
#define LOG1P log1p
#define EXPM1 expm1
#define LOG1P_ANYWHERE log1p
#define FLOOR floor
#define CEIL ceil
#define RINT rint
#define TRUNC trunc
#endif

#if IS_F32 && IS_FAST
INLINE float NAME(exponential)(float x) {
    x = x < -104.0f ? -104.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float n = rintf(x * 1.44269504088896341f);
    float r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500E-4f;
    p = p * r + 1.3981999507E-3f;
    p = p * r + 8.3334519073E-3f;
    p = p * r + 4.1665795894E-2f;
    p = p * r + 1.6666665459E-1f;
    p = p * r + 5.0000001201E-1f;
    float y = p * (r * r) + r + 1.0f;
    // 2^n in two factors, so that neither the largest nor the denormal results lose their exponent.
    int32_t whole = (int32_t)n, half = whole >> 1;
    union { int32_t i; float f; } low = {(half + 127) << 23}, high = {(whole - half + 127) << 23};
    return y * low.f * high.f;
}

INLINE float NAME(hyperbolicTangent)(float x) {
    float magnitude = fabsf(x), z = x * x;
    float p = -5.70498872745E-3f;
    p = p * z + 2.06390887954E-2f;
    p = p * z - 5.37397155531E-2f;
    p = p * z + 1.33314422036E-1f;
    p = p * z - 3.33332819422E-1f;
    float small = p * z * x + x;
    float large = copysignf(1.0f - 2.0f / (NAME(exponential)(2.0f * magnitude) + 1.0f), x);
    return magnitude < 0.625f ? small : large;
}

INLINE float NAME(errorFunction)(float x) {
    x = x < -4.0f ? -4.0f : x;
    x = x > 4.0f ? 4.0f : x;
    float z = x * x;
    float p = -2.72614225801306e-10f;
    p = p * z + 2.77068142495902e-08f;
    p = p * z - 2.10102402082508e-06f;
    p = p * z - 5.69250639462346e-05f;
    p = p * z - 7.34990630326855e-04f;
    p = p * z - 2.95459980854025e-03f;
    p = p * z - 1.60960333262415e-02f;
    float q = -1.45660718464996e-05f;
    q = q * z - 2.13374055278905e-04f;
    q = q * z - 1.68282697438203e-03f;
    q = q * z - 7.37332916720468e-03f;
    q = q * z - 1.42647390514189e-02f;
    return x * p / q;
}

INLINE float NAME(logarithm)(float x) {
    // Denormals are scaled up; the mantissa goes to sqrt(1/2) ... sqrt(2).
    float isTiny = x < 1.17549435e-38f ? 1.0f : 0.0f, scaled = isTiny > 0 ? x * 8388608.0f : x;
    union { float f; int32_t i; } bits = {scaled};
    int32_t shifted = bits.i - 0x3f3504f3;
    float e = (float)(shifted >> 23) - 23.0f * isTiny;
    union { int32_t i; float f; } mantissa = {(shifted & 0x007fffff) + 0x3f3504f3};
    float m = mantissa.f - 1.0f, z = m * m;
    float p = 7.0376836292E-2f;
    p = p * m - 1.1514610310E-1f;
    p = p * m + 1.1676998740E-1f;
    p = p * m - 1.2420140846E-1f;
    p = p * m + 1.4249322787E-1f;
    p = p * m - 1.6668057665E-1f;
    p = p * m + 2.0000714765E-1f;
    p = p * m - 2.4999993993E-1f;
    p = p * m + 3.3333331174E-1f;
    float y = p * m * z - 2.12194440e-4f * e - 0.5f * z;
    float result = m + y + 0.693359375f * e;
    result = x == 0 ? -INFINITY : result;
    result = x < 0 ? NAN : result;
    return x == INFINITY || x != x ? x : result;
}

// log(1 + x) for x in 0 ... 1: what rounding took from 1 + x is put back.
INLINE float NAME(logarithmAboveOne)(float x) {
    float u = 1.0f + x;
    return NAME(logarithm)(u) + (x - (u - 1.0f)) / u;
}
#undef LOG
#undef LOG1P
#define LOG NAME(logarithm)
#define LOG1P NAME(logarithmAboveOne)
#define EXP NAME(exponential)
#define TANH NAME(hyperbolicTangent)
#define ERF NAME(errorFunction)
#elif IS_F32
#define EXP expf
#define TANH tanhf
#define ERF erff
#else
#define EXP exp
#define TANH tanh
#define ERF erf
#endif
