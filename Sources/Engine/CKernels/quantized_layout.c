#include "quantized.h"
#include "quantized_round.h"
#include <string.h>

void ck_q_quantize(size_t n, const float *x, float scale, int zero, uint8_t *out) {
    float low = (float)-zero, high = (float)(255 - zero);
    for (size_t i = 0; i < n; i++) {
        float value = x[i] / scale;
        value = value == value ? value : 0;
        value = value < low ? low : value;
        value = value > high ? high : value;
        out[i] = (uint8_t)((int)CK_Q_ROUND(value) + zero);
    }
}

void ck_q_dequantize(size_t n, const uint8_t *x, float scale, int zero, float *out) {
    for (size_t i = 0; i < n; i++) out[i] = (float)((int)x[i] - zero) * scale;
}

void ck_q_lookup(size_t n, const uint8_t *x, const uint8_t *table, uint8_t *out) {
    for (size_t i = 0; i < n; i++) out[i] = table[x[i]];
}

// Runs of a window are a few bytes long: a call of memcpy for each costs more than the copy. Two copies of a fixed size that
// overlap do for any length between that size and its double.
static inline void copyRun(size_t n, const uint8_t *from, uint8_t *to) {
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        memcpy(to, from, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else if (n > 0) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}

void ck_q_im2col(const ck_q_window *w, const uint8_t *image, int zero, size_t stride, uint8_t *rows) {
    size_t run = w->kernel * w->channels;
    for (size_t y = 0; y < w->outHeight; y++)
        for (size_t x = 0; x < w->outWidth; x++) {
            uint8_t *row = rows + (y * w->outWidth + x) * stride;
            ptrdiff_t left = (ptrdiff_t)(x * w->step) - (ptrdiff_t)w->padding;
            int inside = left >= 0 && left + (ptrdiff_t)w->kernel <= (ptrdiff_t)w->width;
            for (size_t ky = 0; ky < w->kernel; ky++, row += run) {
                ptrdiff_t top = (ptrdiff_t)(y * w->step + ky) - (ptrdiff_t)w->padding;
                if (top < 0 || top >= (ptrdiff_t)w->height) {
                    memset(row, zero, run);
                } else if (inside) {
                    copyRun(run, image + ((size_t)top * w->width + (size_t)left) * w->channels, row);
                } else {
                    for (size_t kx = 0; kx < w->kernel; kx++) {
                        ptrdiff_t column = left + (ptrdiff_t)kx;
                        uint8_t *pixel = row + kx * w->channels;
                        if (column < 0 || column >= (ptrdiff_t)w->width) memset(pixel, zero, w->channels);
                        else copyRun(w->channels, image + ((size_t)top * w->width + (size_t)column) * w->channels, pixel);
                    }
                }
            }
        }
}

void ck_q_max_pool(const ck_q_window *w, const uint8_t *image, uint8_t *out) {
    for (size_t y = 0; y < w->outHeight; y++)
        for (size_t x = 0; x < w->outWidth; x++) {
            uint8_t *pixel = out + (y * w->outWidth + x) * w->channels;
            memset(pixel, 0, w->channels);
            for (size_t ky = 0; ky < w->kernel; ky++)
                for (size_t kx = 0; kx < w->kernel; kx++) {
                    const uint8_t *from = image + ((y * w->step + ky) * w->width + x * w->step + kx) * w->channels;
                    for (size_t c = 0; c < w->channels; c++) pixel[c] = pixel[c] > from[c] ? pixel[c] : from[c];
                }
        }
}

void ck_q_avg_pool(const ck_q_window *w, const uint8_t *image, uint8_t *out) {
    float area = (float)(w->kernel * w->kernel);
    for (size_t y = 0; y < w->outHeight; y++)
        for (size_t x = 0; x < w->outWidth; x++)
            for (size_t c = 0; c < w->channels; c++) {
                uint32_t sum = 0;
                for (size_t ky = 0; ky < w->kernel; ky++)
                    for (size_t kx = 0; kx < w->kernel; kx++)
                        sum += image[((y * w->step + ky) * w->width + x * w->step + kx) * w->channels + c];
                out[(y * w->outWidth + x) * w->channels + c] = (uint8_t)CK_Q_ROUND((float)sum / area);
            }
}

void ck_q_transpose(size_t channels, size_t plane, const uint8_t *x, uint8_t *out) {
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < plane; i++) out[i * channels + c] = x[c * plane + i];
}
