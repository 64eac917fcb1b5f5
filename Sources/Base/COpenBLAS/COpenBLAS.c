#include "COpenBLAS.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef void (*sgemm_function)(int, int, int, int, int, int, float, const float *, int, const float *, int, float,
                               float *, int);
typedef void (*dgemm_function)(int, int, int, int, int, int, double, const double *, int, const double *, int, double,
                               double *, int);
enum { row_major = 101, no_transpose = 111, transpose = 112 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static sgemm_function sgemm;
static dgemm_function dgemm;
static char error[512];

// The kernels for what the processor can do. OpenBLAS itself goes by a list of models and gives those that are younger than
// it the kernels of 2004, which are ten times slower.
static const char *core(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return __builtin_cpu_is("amd") ? "Zen" : "Haswell";
#endif
    return NULL;
}

static void load(void) {
    // One product uses one thread: the engine partitions the work itself, and results stay bitwise the same.
    setenv("OPENBLAS_NUM_THREADS", "1", 0);
    const char *chosen = getenv("OPENBLAS_CORETYPE") ? NULL : core();
    if (chosen) setenv("OPENBLAS_CORETYPE", chosen, 1);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    // It was read while the library was opened; programs that we start choose for themselves.
    if (chosen) unsetenv("OPENBLAS_CORETYPE");
    if (!library) {
        snprintf(error, sizeof error, "%s", dlerror());
        return;
    }
    void (*set_threads)(int) = (void (*)(int))dlsym(library, "openblas_set_num_threads");
    sgemm = (sgemm_function)dlsym(library, "cblas_sgemm");
    dgemm = (dgemm_function)dlsym(library, "cblas_dgemm");
    if (!sgemm || !dgemm || !set_threads) {
        snprintf(error, sizeof error, "libopenblas.so.0 lacks cblas_sgemm, cblas_dgemm or openblas_set_num_threads");
        sgemm = NULL;
        return;
    }
    set_threads(1);
}

int mlops_blas_load(void) {
    pthread_once(&once, load);
    return sgemm ? 0 : -1;
}

const char *mlops_blas_error(void) { return error; }

void mlops_sgemm(int transA, int transB, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                 int ldb, float beta, float *c, int ldc) {
    sgemm(row_major, transA ? transpose : no_transpose, transB ? transpose : no_transpose, m, n, k, alpha, a, lda, b,
          ldb, beta, c, ldc);
}

void mlops_dgemm(int transA, int transB, int m, int n, int k, double alpha, const double *a, int lda, const double *b,
                 int ldb, double beta, double *c, int ldc) {
    dgemm(row_major, transA ? transpose : no_transpose, transB ? transpose : no_transpose, m, n, k, alpha, a, lda, b,
          ldb, beta, c, ldc);
}
