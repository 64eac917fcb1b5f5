#define TEMPLATE "rows.template.h"
#include "expand.h"

void ck_softmax(int dtype, size_t rows, size_t n, const void *x, void *out) { DISPATCH(softmax, rows, n, x, out); }

void ck_log_softmax(int dtype, size_t rows, size_t n, const void *x, void *out) {
    DISPATCH(logSoftmax, rows, n, x, out);
}

void ck_softmax_gradient(int dtype, size_t rows, size_t n, const void *g, const void *y, void *out) {
    DISPATCH(softmaxGradient, rows, n, g, y, out);
}

void ck_log_softmax_gradient(int dtype, size_t rows, size_t n, const void *g, const void *y, void *out) {
    DISPATCH(logSoftmaxGradient, rows, n, g, y, out);
}

void ck_cross_entropy(int dtype, size_t rows, size_t n, const void *logits, const int64_t *labels, double smoothing,
                      const void *weights, void *loss, void *residual) {
    DISPATCH(crossEntropy, rows, n, logits, labels, smoothing, weights, loss, residual);
}

void ck_bce(int dtype, size_t n, const void *x, const void *target, double positiveWeight, void *loss) {
    DISPATCH(bce, n, x, target, positiveWeight, loss);
}

void ck_bce_gradient(int dtype, size_t n, const void *g, int stepG, const void *x, const void *target,
                     double positiveWeight, void *out) {
    DISPATCH(bceGradient, n, g, stepG, x, target, positiveWeight, out);
}

void ck_layer_norm(int dtype, size_t rows, size_t n, const void *x, const void *weight, const void *bias, double epsilon,
                   void *y, void *mean, void *inverse) {
    DISPATCH(layerNorm, rows, n, x, weight, bias, epsilon, y, mean, inverse);
}

void ck_layer_norm_gradient(int dtype, size_t rows, size_t n, const void *g, const void *x, const void *weight,
                            const void *mean, const void *inverse, void *out) {
    DISPATCH(layerNormGradient, rows, n, g, x, weight, mean, inverse, out);
}

void ck_layer_norm_parameters(int dtype, size_t rows, size_t n, const void *g, const void *x, const void *mean,
                              const void *inverse, void *weightGradient, void *biasGradient) {
    DISPATCH(layerNormParameters, rows, n, g, x, mean, inverse, weightGradient, biasGradient);
}
