#ifndef MLOPS_OPTIMIZERS_H
#define MLOPS_OPTIMIZERS_H

#include <stddef.h>
#include <stdint.h>

// Steps of optimizers, in place: one pass over value, gradient and what the optimizer keeps.

enum {
    CK_STEP_SGD,      // states: velocity (only if `momentum` is not 0)
    CK_STEP_ADAGRAD,  // states: sum of squares
    CK_STEP_RMSPROP,  // states: mean of squares, then mean (if centered), then velocity (if `momentum` is not 0)
    CK_STEP_ADAM,     // states: first moment, second moment, largest second moment (if `keepsMaximum`)
    CK_STEP_LAMB,     // states: first moment, second moment, direction (out); the value stays
    CK_STEP_DESCEND,  // value -= learningRate · gradient
    CK_STEP_AVERAGE,  // value += (1 - momentum) · (gradient - value)
    CK_STEP_SCALE     // value *= learningRate
};

typedef struct {
    int kind;
    int isNesterov, isFirst, isDecoupled, keepsMaximum, isCentered;
    double learningRate, weightDecay, momentum, dampening, beta1, beta2, epsilon;
    int64_t step;  // from 1
} ck_step;

void ck_step_run(int dtype, const ck_step *settings, size_t n, const void *gradient, void *const *states, void *value);

#endif
