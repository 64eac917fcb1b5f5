#ifndef MLOPS_COPENBLAS_H
#define MLOPS_COPENBLAS_H

/// Row-major products of OpenBLAS. The library is opened by the first call, so that a command without products never
/// pays for loading it; each product runs on the calling thread alone.

/// 0 once OpenBLAS is loaded; otherwise -1, and `mlops_blas_error()` says why.
int mlops_blas_load(void);
const char *mlops_blas_error(void);

/// C = alpha · op(A) op(B) + beta · C. A is [m, k] (or [k, m] if `transA`), B is [k, n] (or [n, k] if `transB`).
/// Requires a successful `mlops_blas_load`.
void mlops_sgemm(int transA, int transB, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
                 int ldb, float beta, float *c, int ldc);
void mlops_dgemm(int transA, int transB, int m, int n, int k, double alpha, const double *a, int lda, const double *b,
                 int ldb, double beta, double *c, int ldc);

#endif
