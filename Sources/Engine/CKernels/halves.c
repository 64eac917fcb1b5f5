#include "halves.h"
#if MLOPS_X86
#include <immintrin.h>
#endif

static uint32_t bitsOf(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}

static float floatOf(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static float fromF16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31) return floatOf(sign | 0x7f800000 | fraction << 13 | (fraction ? 1 << 22 : 0));
    if (exponent) return floatOf(sign | (exponent + 112) << 23 | fraction << 13);
    float small = (float)fraction * 0x1p-24f;
    return sign ? -small : small;
}

static uint16_t toF16(float x) {
    uint32_t bits = bitsOf(x), magnitude = bits & 0x7fffffff;
    uint16_t sign = bits >> 16 & 0x8000;
    if (magnitude > 0x7f800000) return sign | 0x7e00 | (magnitude >> 13 & 1023);
    if (magnitude >= 0x477ff000) return sign | 0x7c00;  // 65520 and more round to infinity
    if (magnitude < 0x38800000) {                       // denormal: adding 0.5 lets the processor round at 2^-24
        return sign | (uint16_t)(bitsOf(floatOf(magnitude) + 0.5f) - 0x3f000000);
    }
    uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    return sign | (uint16_t)((rounded - 0x38000000) >> 13);
}

static void f16ToF32(size_t n, const uint16_t *x, float *out) {
    for (size_t i = 0; i < n; i++) out[i] = fromF16(x[i]);
}

static void f32ToF16(size_t n, const float *x, uint16_t *out) {
    for (size_t i = 0; i < n; i++) out[i] = toF16(x[i]);
}

typedef uint32_t __attribute__((may_alias)) bits32;

#define BF16_KERNELS(attribute, suffix)                                                           \
    attribute static void bf16ToF32##suffix(size_t n, const uint16_t *x, float *out) {            \
        bits32 *bits = (bits32 *)out;                                                             \
        for (size_t i = 0; i < n; i++) bits[i] = (uint32_t)x[i] << 16;                            \
    }                                                                                             \
    attribute static void f32ToBf16##suffix(size_t n, const float *x, uint16_t *out) {            \
        const bits32 *bits = (const bits32 *)x;                                                   \
        for (size_t i = 0; i < n; i++) {                                                          \
            uint32_t b = bits[i], rounded = (b + 0x7fff + (b >> 16 & 1)) >> 16;                   \
            out[i] = (uint16_t)((b & 0x7fffffff) > 0x7f800000 ? b >> 16 | 64 : rounded);          \
        }                                                                                         \
    }
BF16_KERNELS(, _0)

#if MLOPS_X86
#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define AVX512 __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,f16c")))
BF16_KERNELS(AVX2, _1)
BF16_KERNELS(AVX512, _2)

AVX2 static void f16ToF32_1(size_t n, const uint16_t *x, float *out) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
    f16ToF32(n - i, x + i, out + i);
}

AVX2 static void f32ToF16_1(size_t n, const float *x, uint16_t *out) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    f32ToF16(n - i, x + i, out + i);
}

AVX512 static void f16ToF32_2(size_t n, const uint16_t *x, float *out) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(out + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(x + i))));
    f16ToF32(n - i, x + i, out + i);
}

AVX512 static void f32ToF16_2(size_t n, const float *x, uint16_t *out) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm256_storeu_si256((__m256i *)(out + i), _mm512_cvtps_ph(_mm512_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    f32ToF16(n - i, x + i, out + i);
}

// F16C came before AVX2 in every processor that has the latter, but a virtual machine may hide it.
static int halfLevel(void) { return __builtin_cpu_supports("f16c") ? ck_level() : 0; }
#define CALL(name, plain, ...)                                      \
    do {                                                            \
        int level = halfLevel();                                    \
        if (level >= 2) name##_2(__VA_ARGS__);                      \
        else if (level == 1) name##_1(__VA_ARGS__);                 \
        else plain(__VA_ARGS__);                                    \
    } while (0)
#else
#define CALL(name, plain, ...) plain(__VA_ARGS__)
#endif

void ck_halves_to_f32(int dtype, size_t n, const void *x, float *out) {
    if (dtype == CK_F16) CALL(f16ToF32, f16ToF32, n, x, out);
    else CALL(bf16ToF32, bf16ToF32_0, n, x, out);
}

void ck_f32_to_halves(int dtype, size_t n, const float *x, void *out) {
    if (dtype == CK_F16) CALL(f32ToF16, f32ToF16, n, x, out);
    else CALL(f32ToBf16, f32ToBf16_0, n, x, out);
}
