#ifndef MLOPS_ONEDNN_H
#define MLOPS_ONEDNN_H

#include <stddef.h>
#include <stdint.h>

/// Convolutions and products of oneDNN, loaded when the first of them is asked for. Every call runs on the calling thread
/// alone: the engine partitions the work itself. Pictures are [N, H, W, C] (channels last), f32.

/// Loads oneDNN. 0, or -1 with the reason in `mlops_dnn_error`.
int mlops_dnn_load(void);
const char *mlops_dnn_error(void);
/// Its version, as 2.6.3; empty before it is loaded.
const char *mlops_dnn_version(void);

/// C = op(A)·op(B) + beta·C of row-major f32 matrices. `mlops_dnn_load` must have succeeded.
void mlops_dnn_sgemm(int transA, int transB, int m, int n, int k, const float *a, int lda, const float *b, int ldb,
                     float beta, float *c, int ldc);

enum { MLOPS_DNN_FORWARD, MLOPS_DNN_INPUT_GRADIENT, MLOPS_DNN_WEIGHT_GRADIENT };
enum { MLOPS_DNN_NO_ACTIVATION, MLOPS_DNN_RELU, MLOPS_DNN_RELU6 };

/// What a convolution is. All fields are 32 bits wide, so that there is no padding between them.
typedef struct {
    int32_t kind;
    int32_t batch, inputs, height, width;     // of the input
    int32_t outputs, groups, kernelHeight, kernelWidth;
    int32_t strideY, strideX, dilationY, dilationX;
    int32_t padTop, padBottom, padLeft, padRight;
    int32_t outHeight, outWidth;
    int32_t hasBias;                          // forward: bias is added; weight gradient: its gradient is computed, too
    int32_t addsToOutput;                     // forward: the output's former values are added before the activation
    int32_t activation;                       // forward
} mlops_dnn_convolution;

/// A convolution made ready: code for the shape, layout of the weights.
typedef struct mlops_dnn_plan mlops_dnn_plan;

/// The plan for `convolution`, from a cache; NULL if oneDNN has no quick code for it. Give it back with `mlops_dnn_release`.
mlops_dnn_plan *mlops_dnn_acquire(const mlops_dnn_convolution *convolution);
void mlops_dnn_release(mlops_dnn_plan *plan);

/// Bytes of the weights in the plan's own layout.
size_t mlops_dnn_weight_bytes(const mlops_dnn_plan *plan);
/// A number that plans have in common whose layouts are one.
uint64_t mlops_dnn_weight_layout(const mlops_dnn_plan *plan);
/// Weights [O, I / groups, height, width] into the plan's layout.
void mlops_dnn_pack(mlops_dnn_plan *plan, const float *weight, float *packed);
/// The other way, for gradients.
void mlops_dnn_unpack(mlops_dnn_plan *plan, const float *packed, float *weight);

/// output = activation(convolution(input) + bias (+ output))
void mlops_dnn_forward(mlops_dnn_plan *plan, const float *input, const float *packed, const float *bias, float *output);
void mlops_dnn_input_gradient(mlops_dnn_plan *plan, const float *gradient, const float *packed, float *inputGradient);
/// The gradient of the weights in the plan's layout and, with `hasBias`, of the bias [O].
void mlops_dnn_weight_gradient(mlops_dnn_plan *plan, const float *gradient, const float *input, float *packedGradient,
                               float *biasGradient);

#endif
