#ifndef MLOPS_ACTIVATIONS_H
#define MLOPS_ACTIVATIONS_H

#include <stddef.h>

// Activations beyond those of ck_unary, and their gradients from the input.

enum { CK_RELU6, CK_ELU, CK_SELU, CK_SILU, CK_MISH, CK_HARD_SIGMOID, CK_HARD_SWISH };
/// out[i] = op(x[i]); `p` is ELU's scale of the negative side; `out` may be `x`.
void ck_activation(int dtype, int op, size_t n, const void *x, double p, void *out);
/// out[i] = g[i] · op′(x[i])
void ck_activation_gradient(int dtype, int op, size_t n, const void *g, const void *x, double p, void *out);

#endif
