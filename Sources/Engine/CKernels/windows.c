#define TEMPLATE "windows.template.h"
#include "expand.h"

void ck_im2col(int dtype, const ck_window *window, const void *image, void *columns) {
    DISPATCH(im2col, window, image, columns);
}

void ck_col2im(int dtype, const ck_window *window, const void *columns, void *image) {
    DISPATCH(col2im, window, columns, image);
}

void ck_max_pool(int dtype, const ck_window *window, const void *image, void *out, int32_t *index) {
    DISPATCH(maxPool, window, image, out, index);
}

void ck_avg_pool(int dtype, const ck_window *window, int countPadding, const void *image, void *out) {
    DISPATCH(avgPool, window, countPadding, image, out);
}

void ck_avg_pool_gradient(int dtype, const ck_window *window, int countPadding, const void *g, void *image) {
    DISPATCH(avgPoolGradient, window, countPadding, g, image);
}
