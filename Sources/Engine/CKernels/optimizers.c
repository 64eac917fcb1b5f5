#define TEMPLATE "optimizers.template.h"
#include "expand.h"

void ck_step_run(int dtype, const ck_step *settings, size_t n, const void *gradient, void *const *states, void *value) {
    void *none[3] = {0};
    if (!states) states = none;
    switch (settings->kind) {
    case CK_STEP_SGD: DISPATCH(sgd, settings, n, gradient, states[0], value); break;
    case CK_STEP_ADAGRAD: DISPATCH(adagrad, settings, n, gradient, states[0], value); break;
    case CK_STEP_RMSPROP: DISPATCH(rmsProp, settings, n, gradient, states, value); break;
    case CK_STEP_ADAM: DISPATCH(adam, settings, n, gradient, states[0], states[1], states[2], value); break;
    case CK_STEP_LAMB: DISPATCH(lamb, settings, n, gradient, states[0], states[1], value, states[2]); break;
    case CK_STEP_DESCEND: DISPATCH(descend, settings, n, gradient, value); break;
    case CK_STEP_AVERAGE: DISPATCH(average, settings, n, gradient, value); break;
    case CK_STEP_SCALE: DISPATCH(scaleStep, settings, n, value); break;
    }
}
