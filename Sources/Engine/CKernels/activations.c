#define TEMPLATE "activations.template.h"
#include "expand.h"

void ck_activation(int dtype, int op, size_t n, const void *x, double p, void *out) {
    DISPATCH(activation, op, n, x, p, out);
}

void ck_activation_gradient(int dtype, int op, size_t n, const void *g, const void *x, double p, void *out) {
    DISPATCH(activationGradient, op, n, g, x, p, out);
}
