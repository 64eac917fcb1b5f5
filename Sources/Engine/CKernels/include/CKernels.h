#ifndef MLOPS_CKERNELS_H
#define MLOPS_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "activations.h"
#include "optimizers.h"
#include "quantized.h"

/// Kernels of the tensor engine. Arrays are contiguous and row-major; none of them overlap unless a line says so. Each
/// kernel exists as plain C and as AVX2+FMA and AVX-512 code; the processor decides at run time which one runs.

enum { CK_F32 = 0, CK_F64 = 1, CK_I64 = 2, CK_I32 = 3, CK_U8 = 4, CK_I8 = 5, CK_F16 = 6, CK_BF16 = 7, CK_BOOL = 8 };

// MARK: Processor

/// 0 plain C, 1 AVX2 and FMA, 2 AVX-512: what kernels use now.
int ck_level(void);
/// Limits what this thread computes, and the pool for it, to `level` (for tests; 2 at first). What the processor lacks is
/// never chosen.
void ck_limit_level(int level);
int ck_level_limit(void);

// MARK: Memory

/// `bytes` of 64-byte aligned memory, from the pool where it has some; NULL when the system has none left.
void *ck_allocate(size_t bytes);
/// Gives back what `ck_allocate(bytes)` gave; the pool keeps it up to its limit.
void ck_release(void *memory, size_t bytes);
/// The most that the pool keeps of memory nobody uses.
void ck_limit_pool(size_t bytes);
/// Bytes in use now, bytes kept for reuse, most bytes ever in use.
void ck_memory_use(size_t *live, size_t *pooled, size_t *peak);
/// Bytes that this thread allocated less those that it released, so far.
int64_t ck_memory_of_thread(void);

// MARK: Threads

typedef void (*ck_task)(void *context, size_t index);
/// `task` of each index below `count`, on the pool's threads and the caller's; returns when all are done. A call from within
/// a task, or while another thread uses the pool, runs on the caller alone.
void ck_parallel(size_t count, ck_task task, void *context);
/// How many threads share the work, the caller included.
int ck_threads(void);
void ck_set_threads(int count);

/// Whether this thread records operations for differentiation; starts as 1.
int ck_recording(void);
void ck_set_recording(int recording);
/// The type that products on this thread round their operands to; starts as -1, none.
int ck_autocast(void);
void ck_set_autocast(int dtype);

// MARK: Elementwise

// Of f16 and bf16 there are the kernels of this part only; they compute in f32 and round once.

enum {
    CK_ADD, CK_SUB, CK_MUL, CK_DIV, CK_MAXIMUM, CK_MINIMUM, CK_POWER,
    CK_EQUAL, CK_UNEQUAL, CK_LESS, CK_LESS_EQUAL, CK_GREATER, CK_GREATER_EQUAL,  // these give bytes of 0 and 1
    CK_AND, CK_OR, CK_XOR                                                        // of bool only
};
/// out[i] = a[i·stepA] op b[i·stepB]; steps are 0 or 1; `out` may be `a` or `b` if it has their type. CK_MAXIMUM and CK_MINIMUM
/// give NaN if either is. Integers have neither CK_DIV nor CK_POWER, and wrap round; bool has comparisons and CK_AND to CK_XOR.
void ck_binary(int dtype, int op, size_t n, const void *a, int stepA, const void *b, int stepB, void *out);

/// `rows` times `ck_binary`, the rows of `a` and `b` lying `rowA` and `rowB` elements apart, those of `out` behind each other.
void ck_binary_rows(int dtype, int op, size_t rows, size_t n, const void *a, size_t rowA, int stepA, const void *b,
                    size_t rowB, int stepB, void *out);

enum {
    CK_NEG, CK_EXP, CK_LOG, CK_SQRT, CK_TANH, CK_SIGMOID, CK_RELU, CK_GELU, CK_GELU_TANH, CK_ABS, CK_SQUARE,
    CK_RECIPROCAL, CK_LEAKY_RELU, CK_SIN, CK_COS, CK_POW, CK_SOFTPLUS, CK_STEP, CK_SIGN, CK_ERF, CK_SCALE, CK_SHIFT,
    CK_LOG1P, CK_EXPM1, CK_FLOOR, CK_CEIL, CK_ROUND, CK_TRUNC, CK_AT_LEAST, CK_AT_MOST
};
/// out[i] = op(x[i]); `p` is the slope, exponent, factor or summand of those that have one; `out` may be `x`.
void ck_unary(int dtype, int op, size_t n, const void *x, double p, void *out);
/// out[i] = g[i] · op′ for CK_TANH, CK_SIGMOID (from y = op(x)), CK_RELU, CK_LEAKY_RELU, CK_GELU, CK_GELU_TANH (from x).
void ck_unary_gradient(int dtype, int op, size_t n, const void *g, const void *xy, double p, void *out);
/// y[i] += factor · x[i]
void ck_accumulate(int dtype, size_t n, double factor, const void *x, void *y);
void ck_fill(int dtype, size_t n, double value, void *out);
/// out[i] = c[i·stepC] ? a[i·stepA] : b[i·stepB], elements of `size` bytes; steps are 0 or 1.
void ck_where(size_t size, size_t n, const uint8_t *c, int stepC, const void *a, int stepA, const void *b, int stepB,
              void *out);
/// Values of one dtype as another; floats are cut towards zero and saturate, NaN becomes 0 (but true). f16 and bf16 round to
/// nearest even and pass through f32.
void ck_convert(int from, int to, size_t n, const void *x, void *out);
/// Whether all values are finite.
int ck_all_finite(int dtype, size_t n, const void *x);

// MARK: Random

/// Uniform in low ..< high; element i depends on seed, i alone. `first` is a multiple of 4.
void ck_uniform(int dtype, uint64_t seed, size_t first, size_t n, double low, double high, void *out);
void ck_normal(int dtype, uint64_t seed, size_t first, size_t n, double mean, double deviation, void *out);
/// `scale` with probability 1 - p, else 0.
void ck_dropout_mask(int dtype, uint64_t seed, size_t first, size_t n, double p, double scale, void *out);

// MARK: Layout

/// out at strides `to` = x at strides `from` (in elements, 0 repeats) of `shape`, elements of `size` bytes; only indices
/// `first ..< last` over the axes before the last. At most 16 axes.
void ck_copy_strided(size_t size, int rank, const size_t *shape, const ptrdiff_t *from, const ptrdiff_t *to,
                     size_t first, size_t last, const void *x, void *out);
/// The same where `x` is contiguous along the last axis but one, which is cut into blocks of `tile`: indices
/// `first ..< last` count blocks within the axes before.
void ck_copy_tiles(size_t size, size_t tile, int rank, const size_t *shape, const ptrdiff_t *from, const ptrdiff_t *to,
                   size_t first, size_t last, const void *x, void *out);
/// out += x, otherwise as `ck_copy_strided`.
void ck_add_strided(int dtype, int rank, const size_t *shape, const ptrdiff_t *from, const ptrdiff_t *to, size_t first,
                    size_t last, const void *x, void *out);
/// out[o, m, i] = x[o, index[o, m, i], i] for x of [outer, n, inner]; o in first ..< last; elements of `size` bytes.
void ck_gather(size_t size, size_t first, size_t last, size_t n, size_t m, size_t inner, const void *x,
               const int32_t *index, void *out);
/// out[o, index[o, m, i], i] = g[o, m, i], in the order of m.
void ck_put(size_t size, size_t first, size_t last, size_t n, size_t m, size_t inner, const void *g,
            const int32_t *index, void *out);
/// out[o, index[o, m, i], i] += g[o, m, i] of f32 or f64; `out` is cleared first.
void ck_scatter(int dtype, size_t first, size_t last, size_t n, size_t m, size_t inner, const void *g,
                const int32_t *index, void *out);
/// The first k with index[k] outside 0 ..< bound, or -1.
ptrdiff_t ck_first_outside(const int64_t *index, size_t n, int64_t bound);
/// out[index[k], :] += g[k, :] for columns `first ..< last`, in the order of k.
void ck_scatter_rows(int dtype, size_t count, size_t width, size_t first, size_t last, const void *g,
                     const int64_t *index, void *out);

// MARK: Order and scans along the middle axis of [outer, n, inner]; o in first ..< last

/// The places of the values in ascending or descending order; equal ones keep their order, NaN counts as largest. Gives -1
/// without memory.
int ck_argsort(int dtype, size_t first, size_t last, size_t n, size_t inner, const void *values, int descending,
               int32_t *index);
/// out[o, k, i] = the sum or product of x[o, 0 ... k, i], in double for f32 and f64, wrapping round for i64 and i32.
void ck_scan(int dtype, int isProduct, size_t first, size_t last, size_t n, size_t inner, const void *x, void *out);

// MARK: Reductions: x is [outer, n, inner], out [outer, inner]

enum { CK_SUM, CK_MEAN };
void ck_sum(int dtype, size_t first, size_t last, size_t n, size_t inner, const void *x, double scale, void *out);
/// Largest value and the first index that has it; NaN counts as largest.
void ck_max(int dtype, size_t first, size_t last, size_t n, size_t inner, const void *x, void *out, int32_t *index);
/// Σ x² in double.
double ck_sum_of_squares(int dtype, size_t n, const void *x);

// MARK: Rows: x is [rows, n]

void ck_softmax(int dtype, size_t rows, size_t n, const void *x, void *out);
void ck_log_softmax(int dtype, size_t rows, size_t n, const void *x, void *out);
/// out = y · (g - Σ g·y), y the softmax.
void ck_softmax_gradient(int dtype, size_t rows, size_t n, const void *g, const void *y, void *out);
/// out = g - exp(y) · Σ g, y the log-softmax.
void ck_log_softmax_gradient(int dtype, size_t rows, size_t n, const void *g, const void *y, void *out);
/// loss[r] = -Σ_c t_c log p_c with t = (1 - smoothing) w_label at the label + smoothing / n · w_c everywhere;
/// residual[r, c] = p_c Σ t - t_c. `weights` [n] or NULL for ones.
void ck_cross_entropy(int dtype, size_t rows, size_t n, const void *logits, const int64_t *labels, double smoothing,
                      const void *weights, void *loss, void *residual);
/// loss = max(x, 0) - x·t + log(1 + e^-|x|); with weight p on the positive part.
void ck_bce(int dtype, size_t n, const void *x, const void *target, double positiveWeight, void *loss);
void ck_bce_gradient(int dtype, size_t n, const void *g, int stepG, const void *x, const void *target,
                     double positiveWeight, void *out);
/// y = (x - mean) · inverse · weight + bias per row; weight and bias [n] or NULL; mean, inverse [rows].
void ck_layer_norm(int dtype, size_t rows, size_t n, const void *x, const void *weight, const void *bias, double epsilon,
                   void *y, void *mean, void *inverse);
void ck_layer_norm_gradient(int dtype, size_t rows, size_t n, const void *g, const void *x, const void *weight,
                            const void *mean, const void *inverse, void *out);
/// weightGradient[c] = Σ_r g·x̂, biasGradient[c] = Σ_r g, rows in order.
void ck_layer_norm_parameters(int dtype, size_t rows, size_t n, const void *g, const void *x, const void *mean,
                              const void *inverse, void *weightGradient, void *biasGradient);

// MARK: Batch norm: x is [batch, channels, plane]; channels `first ..< last`

/// Mean and biased variance over batch and plane.
void ck_channel_statistics(int dtype, size_t batch, size_t channels, size_t plane, size_t first, size_t last,
                           const void *x, void *mean, void *variance);
/// y = x · scale[c] + shift[c]
void ck_channel_affine(int dtype, size_t batch, size_t channels, size_t plane, size_t first, size_t last, const void *x,
                       const void *scale, const void *shift, void *y);
/// sums[c] = Σ g, products[c] = Σ g · (x - mean[c])
void ck_channel_products(int dtype, size_t batch, size_t channels, size_t plane, size_t first, size_t last,
                         const void *g, const void *x, const void *mean, void *sums, void *products);
/// out = g · a[c] + x · b[c] + d[c]
void ck_channel_combine(int dtype, size_t batch, size_t channels, size_t plane, size_t first, size_t last, const void *g,
                        const void *x, const void *a, const void *b, const void *d, void *out);

// MARK: Channels last: x is [rows, channels], a row a pixel of pictures [N, H, W, C] or the features of an example

/// Mean of each channel and Σ (x - mean)², in double.
void ck_row_statistics(int dtype, size_t rows, size_t channels, const void *x, double *mean, double *squares);
/// y = x · scale[c] + shift[c] (+ other, unless it is NULL), with `cuts` then cut to 0 ... limit (a ReLU, or ReLU6).
void ck_row_affine(int dtype, size_t rows, size_t channels, const void *x, const void *scale, const void *shift,
                   const void *other, int cuts, double limit, void *y);
/// sums[c] = Σ g, products[c] = Σ g · (x - mean[c]), in double. With `cuts`, g counts only where the output was inside
/// 0 ..< limit: the output y, if it is not NULL, and then `masked` gets the g that counted; else x · scale + shift.
void ck_row_products(int dtype, size_t rows, size_t channels, const void *g, const void *x, const void *mean, int cuts,
                     const void *scale, const void *shift, const void *y, double limit, void *masked, double *sums,
                     double *products);
/// out = g · a[c] + x · b[c] + d[c], where with `cuts` g counts only where x · scale + shift is inside 0 ..< limit.
void ck_row_combine(int dtype, size_t rows, size_t channels, const void *g, const void *x, const void *a, const void *b,
                    const void *d, int cuts, const void *scale, const void *shift, double limit, void *out);
/// out[p, c] = x[c, p] for pixels `first ..< last` of `plane`, 2 to 4 channels.
void ck_interleave(int dtype, size_t plane, size_t channels, size_t first, size_t last, const void *x, void *out);
/// sums[c] = Σ x, in double.
void ck_row_sums(int dtype, size_t rows, size_t channels, const void *x, double *sums);

// MARK: Convolution and pooling of one image

typedef struct {
    int channels, height, width;              // of the input
    int kernelHeight, kernelWidth;
    int strideY, strideX, padY, padX, dilationY, dilationX;
    int outHeight, outWidth;
} ck_window;
/// columns[channels · kernelHeight · kernelWidth, outHeight · outWidth] of image [channels, height, width].
void ck_im2col(int dtype, const ck_window *window, const void *image, void *columns);
/// image += columns: the adjoint of `ck_im2col`.
void ck_col2im(int dtype, const ck_window *window, const void *columns, void *image);
/// Largest of each window and where in its plane it is; padding never wins.
void ck_max_pool(int dtype, const ck_window *window, const void *image, void *out, int32_t *index);
void ck_avg_pool(int dtype, const ck_window *window, int countPadding, const void *image, void *out);
/// image = the adjoint of `ck_avg_pool` of g.
void ck_avg_pool_gradient(int dtype, const ck_window *window, int countPadding, const void *g, void *image);

/// The same of an image [height, width, channels].
void ck_max_pool_last(int dtype, const ck_window *window, const void *image, void *out, int32_t *index);
/// image = g added at the places that `index` names; and out = what `image` holds there.
void ck_max_pool_last_gradient(int dtype, const ck_window *window, const void *g, const int32_t *index, void *image);
void ck_max_pool_last_picked(int dtype, const ck_window *window, const void *image, const int32_t *index, void *out);
void ck_avg_pool_last(int dtype, const ck_window *window, int countPadding, const void *image, void *out);
void ck_avg_pool_last_gradient(int dtype, const ck_window *window, int countPadding, const void *g, void *image);

#endif
