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

void ck_max_pool_last(int dtype, const ck_window *window, const void *image, void *out, int32_t *index) {
    DISPATCH(maxPoolLast, window, image, out, index);
}

void ck_max_pool_last_gradient(int dtype, const ck_window *window, const void *g, const int32_t *index, void *image) {
    DISPATCH(maxPoolLastGradient, window, g, index, image);
}

void ck_max_pool_last_picked(int dtype, const ck_window *window, const void *image, const int32_t *index, void *out) {
    DISPATCH(maxPoolLastPicked, window, image, index, out);
}

void ck_avg_pool_last(int dtype, const ck_window *window, int countPadding, const void *image, void *out) {
    DISPATCH(avgPoolLast, window, countPadding, image, out);
}

void ck_avg_pool_last_gradient(int dtype, const ck_window *window, int countPadding, const void *g, void *image) {
    DISPATCH(avgPoolLastGradient, window, countPadding, g, image);
}
