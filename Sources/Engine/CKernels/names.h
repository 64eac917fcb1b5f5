#ifndef MLOPS_KERNEL_NAMES_H
#define MLOPS_KERNEL_NAMES_H

#include "CKernels.h"
#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#define MLOPS_X86 1
#else
#define MLOPS_X86 0
#endif

// Calls the copy of kernel `name` for `dtype` (f32 or f64) and this processor.
#if MLOPS_X86
#define DISPATCH(name, ...)                                   \
    do {                                                      \
        int level = ck_level();                               \
        if (dtype == CK_F32) {                                \
            if (level >= 2) name##_f32_2(__VA_ARGS__);        \
            else if (level == 1) name##_f32_1(__VA_ARGS__);   \
            else name##_f32_0(__VA_ARGS__);                   \
        } else {                                              \
            if (level >= 1) name##_f64_1(__VA_ARGS__);        \
            else name##_f64_0(__VA_ARGS__);                   \
        }                                                     \
    } while (0)
#else
#define DISPATCH(name, ...)                                  \
    do {                                                     \
        if (dtype == CK_F32) name##_f32_0(__VA_ARGS__);      \
        else name##_f64_0(__VA_ARGS__);                      \
    } while (0)
#endif

#endif
