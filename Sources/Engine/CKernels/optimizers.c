#define TEMPLATE "optimizers.template.h"
#include "expand.h"

void ck_sgd_step(int dtype, const ck_sgd *settings, size_t n, const void *gradient, void *velocity, void *value) {
    DISPATCH(sgd, settings, n, gradient, velocity, value);
}

void ck_adam_step(int dtype, const ck_adam *settings, size_t n, const void *gradient, void *first, void *second,
                  void *value) {
    DISPATCH(adam, settings, n, gradient, first, second, value);
}
