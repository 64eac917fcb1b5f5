#include "CKernels.h"
#include "quantized.h"
#include "quantized_round.h"
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define X86 1
#else
#define X86 0
#endif

// Outputs of a block, inputs of a group, rows of a tile. Packed weights are [block][group][16 outputs][4 inputs], so that a
// vector holds the same four inputs' weights of 16 outputs and no sum across lanes is needed.
enum { BLOCK = 16, GROUP = 4, TILE = 8 };

static size_t rounded(size_t n, size_t to) { return (n + to - 1) / to; }

size_t ck_q_packed_size(size_t outputs, size_t depth) {
    return rounded(outputs, BLOCK) * rounded(depth, GROUP) * BLOCK * GROUP;
}

void ck_q_pack(size_t outputs, size_t depth, const int8_t *weights, int8_t *packed) {
    size_t groups = rounded(depth, GROUP);
    memset(packed, 0, ck_q_packed_size(outputs, depth));
    for (size_t o = 0; o < outputs; o++)
        for (size_t i = 0; i < depth; i++)
            packed[((o / BLOCK * groups + i / GROUP) * BLOCK + o % BLOCK) * GROUP + i % GROUP] = weights[o * depth + i];
}

int ck_q_level(void) {
    int level = ck_level();
#if X86
    if (level >= 2) return __builtin_cpu_supports("avx512vnni") ? 2 : 1;
#endif
    return level >= 1 ? 1 : 0;
}

// Sums of `rows` rows with one block of outputs: the reference that the fast ones must equal.
static void tile_plain(size_t rows, size_t stride, const uint8_t *x, size_t groups, const int8_t *w, int32_t *sums) {
    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < BLOCK; o++) {
            int32_t sum = 0;
            for (size_t g = 0; g < groups; g++)
                for (size_t i = 0; i < GROUP; i++)
                    sum += (int32_t)x[r * stride + g * GROUP + i] * w[(g * BLOCK + o) * GROUP + i];
            sums[r * BLOCK + o] = sum;
        }
}

#if X86
#define AVX2 __attribute__((target("avx2")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define INLINE static inline __attribute__((always_inline))

// vpmaddubsw would saturate 255 · 127 · 2, so bytes are widened to 16 bits and vpmaddwd sums pairs in 32.
AVX2 INLINE void rows_avx2(int rows, size_t stride, const uint8_t *x, size_t groups, const int8_t *w, int32_t *sums) {
    __m256i acc[2][4];
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 4; j++) acc[r][j] = _mm256_setzero_si256();
    for (size_t g = 0; g < groups; g++) {
        const int8_t *block = w + g * BLOCK * GROUP;
        __m256i weights[4];
        for (int j = 0; j < 4; j++)
            weights[j] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(block + 16 * j)));
        for (int r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, x + (size_t)r * stride + g * GROUP, sizeof four);
            __m256i input = _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
            for (int j = 0; j < 4; j++) acc[r][j] = _mm256_add_epi32(acc[r][j], _mm256_madd_epi16(input, weights[j]));
        }
    }
    for (int r = 0; r < rows; r++)
        for (int half = 0; half < 2; half++) {
            __m256i pairs = _mm256_hadd_epi32(acc[r][2 * half], acc[r][2 * half + 1]);
            _mm256_storeu_si256((__m256i *)(sums + r * BLOCK + 8 * half), _mm256_permute4x64_epi64(pairs, 0xD8));
        }
}

AVX2 static void tile_avx2(size_t rows, size_t stride, const uint8_t *x, size_t groups, const int8_t *w, int32_t *sums) {
    size_t r = 0;
    for (; r + 2 <= rows; r += 2) rows_avx2(2, stride, x + r * stride, groups, w, sums + r * BLOCK);
    if (r < rows) rows_avx2(1, stride, x + r * stride, groups, w, sums + r * BLOCK);
}

// vpdpbusd sums four products in 32 bits without saturation (its sibling vpdpbusds is the one that saturates).
VNNI INLINE void rows_vnni(int rows, size_t stride, const uint8_t *x, size_t groups, const int8_t *w, int32_t *sums) {
    __m512i acc[TILE];
    for (int r = 0; r < rows; r++) acc[r] = _mm512_setzero_si512();
    for (size_t g = 0; g < groups; g++) {
        __m512i weights = _mm512_loadu_si512(w + g * BLOCK * GROUP);
        for (int r = 0; r < rows; r++) {
            int32_t four;
            memcpy(&four, x + (size_t)r * stride + g * GROUP, sizeof four);
            acc[r] = _mm512_dpbusd_epi32(acc[r], _mm512_set1_epi32(four), weights);
        }
    }
    for (int r = 0; r < rows; r++) _mm512_storeu_si512(sums + r * BLOCK, acc[r]);
}

VNNI static void tile_vnni(size_t rows, size_t stride, const uint8_t *x, size_t groups, const int8_t *w, int32_t *sums) {
    if (rows == TILE) return rows_vnni(TILE, stride, x, groups, w, sums);
    for (size_t r = 0; r < rows; r++) rows_vnni(1, stride, x + r * stride, groups, w, sums + r * BLOCK);
}
#endif

static void tile(int level, size_t rows, size_t stride, const uint8_t *x, size_t groups, const int8_t *w, int32_t *sums) {
#if X86
    if (level == 2) return tile_vnni(rows, stride, x, groups, w, sums);
    if (level == 1) return tile_avx2(rows, stride, x, groups, w, sums);
#endif
    tile_plain(rows, stride, x, groups, w, sums);
}

// Runs ROW(width, sums, bias, multiplier, out) over all rows of all tiles of a product.
#define EACH_ROW(ROW)                                                                                                \
    do {                                                                                                             \
        size_t groups = rounded(p->depth, GROUP), outputs = p->outputs;                                              \
        int level = ck_q_level();                                                                                    \
        int32_t sums[TILE * BLOCK];                                                                                  \
        for (size_t first = 0; first < rows; first += TILE) {                                                        \
            size_t count = rows - first < TILE ? rows - first : TILE;                                                \
            for (size_t o = 0; o < outputs; o += BLOCK) {                                                            \
                size_t width = outputs - o < BLOCK ? outputs - o : BLOCK;                                            \
                tile(level, count, stride, x + first * stride, groups, p->weights + o * groups * GROUP, sums);       \
                for (size_t r = 0; r < count; r++)                                                                   \
                    ROW(width, sums + r * BLOCK, p->bias + o, p->multiplier + o, out + (first + r) * outputs + o);   \
            }                                                                                                        \
        }                                                                                                            \
    } while (0)

// Sums wrap round: weights, bias and zero point together fit 32 bits although a part of them may not.
static inline int32_t biased(int32_t sum, int32_t bias) { return (int32_t)((uint32_t)sum + (uint32_t)bias); }

static inline void row_f32(size_t n, const int32_t *restrict sums, const int32_t *restrict bias,
                           const float *restrict multiplier, float *restrict out) {
    for (size_t k = 0; k < n; k++) out[k] = (float)biased(sums[k], bias[k]) * multiplier[k];
}

static inline void row_i32(size_t n, const int32_t *restrict sums, const int32_t *restrict bias, const float *multiplier,
                           int32_t *restrict out) {
    (void)multiplier;
    for (size_t k = 0; k < n; k++) out[k] = biased(sums[k], bias[k]);
}

void ck_q_product_u8(const ck_q_product *p, size_t rows, size_t stride, const uint8_t *x, uint8_t *out) {
    // Clamped before rounding: the bounds are whole numbers, so the result is the same and always fits.
    const float low = (float)(p->low - p->zero), high = (float)(255 - p->zero);
    const int zero = p->zero;
#define ROW_U8(n, sums, bias, multiplier, out)                                       \
    do {                                                                             \
        const int32_t *restrict s = sums, *restrict b = bias;                        \
        const float *restrict m = multiplier;                                        \
        uint8_t *restrict to = out;                                                  \
        for (size_t k = 0; k < n; k++) {                                             \
            float value = (float)biased(s[k], b[k]) * m[k];                          \
            value = value < low ? low : value;                                       \
            value = value > high ? high : value;                                     \
            to[k] = (uint8_t)((int)CK_Q_ROUND(value) + zero);                        \
        }                                                                            \
    } while (0)
    EACH_ROW(ROW_U8);
}

void ck_q_product_f32(const ck_q_product *p, size_t rows, size_t stride, const uint8_t *x, float *out) {
    EACH_ROW(row_f32);
}

void ck_q_product_i32(const ck_q_product *p, size_t rows, size_t stride, const uint8_t *x, int32_t *out) {
    EACH_ROW(row_i32);
}
