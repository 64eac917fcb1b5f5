#ifndef MLOPS_QUANTIZED_H
#define MLOPS_QUANTIZED_H

#include <stddef.h>
#include <stdint.h>

/// Kernels of 8-bit networks: activations uint8, weights int8, sums int32. Pictures are [height, width, channels]. Every
/// path gives the same integers as plain C, bit for bit: no instruction that saturates on the way is used.

/// A product with weights: its epilogue turns each sum into an output.
typedef struct {
    size_t outputs, depth;
    const int8_t *weights;      // packed by `ck_q_pack`
    const int32_t *bias;        // [outputs], with the input's zero point folded in
    const float *multiplier;    // [outputs]: input scale · weight scale (÷ output scale for u8)
    int zero;                   // of the output, u8 only
    int low;                    // the least output, u8 only: `zero` makes it a ReLU
} ck_q_product;

/// 0 plain C, 1 AVX2, 2 AVX-512 VNNI: what these kernels use now; `ck_limit_level` limits it.
int ck_q_level(void);
/// Bytes that `ck_q_pack` writes for weights [outputs, depth].
size_t ck_q_packed_size(size_t outputs, size_t depth);
/// weights [outputs, depth] to blocks of 16 outputs by 4 inputs, rest filled with zeros.
void ck_q_pack(size_t outputs, size_t depth, const int8_t *weights, int8_t *packed);

/// out[r, o] = clamp(round_half_even((Σ_i x[r, i] · w[o, i] + bias[o]) · multiplier[o]) + zero, low, 255).
/// Rows of `x` start `stride` bytes apart; stride is a multiple of 4 and at least depth; bytes behind depth are ignored.
void ck_q_product_u8(const ck_q_product *product, size_t rows, size_t stride, const uint8_t *x, uint8_t *out);
/// out[r, o] = (Σ_i x[r, i] · w[o, i] + bias[o]) · multiplier[o]
void ck_q_product_f32(const ck_q_product *product, size_t rows, size_t stride, const uint8_t *x, float *out);
/// out[r, o] = Σ_i x[r, i] · w[o, i] + bias[o]
void ck_q_product_i32(const ck_q_product *product, size_t rows, size_t stride, const uint8_t *x, int32_t *out);

/// out[i] = clamp(round_half_even(x[i] / scale) + zero, 0, 255); NaN becomes `zero`.
void ck_q_quantize(size_t n, const float *x, float scale, int zero, uint8_t *out);
/// out[i] = (x[i] - zero) · scale
void ck_q_dequantize(size_t n, const uint8_t *x, float scale, int zero, float *out);
/// out[i] = table[x[i]]
void ck_q_lookup(size_t n, const uint8_t *x, const uint8_t *table, uint8_t *out);

typedef struct {
    size_t channels, height, width, kernel, step, padding, outHeight, outWidth;
} ck_q_window;
/// rows[outHeight · outWidth, stride] of image [height, width, channels]: the window's pixels, outside ones `zero`.
void ck_q_im2col(const ck_q_window *window, const uint8_t *image, int zero, size_t stride, uint8_t *rows);
void ck_q_max_pool(const ck_q_window *window, const uint8_t *image, uint8_t *out);
/// The mean of each window, rounded half to even.
void ck_q_avg_pool(const ck_q_window *window, const uint8_t *image, uint8_t *out);
/// [channels, plane] to [plane, channels], or back with the two sizes exchanged.
void ck_q_transpose(size_t channels, size_t plane, const uint8_t *x, uint8_t *out);

#endif
