// Includes TEMPLATE once for each float type and each level of the processor. In the template `T` is the type, `NAME(x)`
// the name of this copy, and `KERNEL` goes before each function.

#include "names.h"

#define LANES 16

#define T float
#define IS_F32 1
#define IS_FAST 0
#define NAME(x) x##_f32_0
#define KERNEL static
#include "math.template.h"
#include TEMPLATE
#undef NAME
#undef KERNEL
#undef IS_FAST

#if MLOPS_X86
#define IS_FAST 1
#define NAME(x) x##_f32_1
#define KERNEL __attribute__((target("avx2,fma"))) static
#include "math.template.h"
#include TEMPLATE
#undef NAME
#undef KERNEL

#define NAME(x) x##_f32_2
#define KERNEL __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))) static
#include "math.template.h"
#include TEMPLATE
#undef NAME
#undef KERNEL
#undef IS_FAST
#endif
#undef T
#undef IS_F32

#define T double
#define IS_F32 0
#define IS_FAST 0
#define NAME(x) x##_f64_0
#define KERNEL static
#include "math.template.h"
#include TEMPLATE
#undef NAME
#undef KERNEL
#undef IS_FAST

#if MLOPS_X86
#define IS_FAST 1
#define NAME(x) x##_f64_1
#define KERNEL __attribute__((target("avx2,fma"))) static
#include "math.template.h"
#include TEMPLATE
#undef NAME
#undef KERNEL
#undef IS_FAST
#endif
#undef T
#undef IS_F32
