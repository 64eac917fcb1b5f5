#define TEMPLATE "random.template.h"
#include "expand.h"

// One copy for every processor: a seed means the same numbers everywhere.
#define ONE_COPY(name, ...)                                  \
    do {                                                     \
        if (dtype == CK_F32) name##_f32_0(__VA_ARGS__);      \
        else name##_f64_0(__VA_ARGS__);                      \
    } while (0)

void ck_uniform(int dtype, uint64_t seed, size_t first, size_t n, double low, double high, void *out) {
    ONE_COPY(uniform, seed, first, n, low, high, out);
}

void ck_normal(int dtype, uint64_t seed, size_t first, size_t n, double mean, double deviation, void *out) {
    ONE_COPY(normal, seed, first, n, mean, deviation, out);
}

void ck_dropout_mask(int dtype, uint64_t seed, size_t first, size_t n, double p, double scale, void *out) {
    ONE_COPY(dropoutMask, seed, first, n, p, scale, out);
}
