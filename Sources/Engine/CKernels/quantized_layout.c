#include "quantized.h"
#include <math.h>
#include <string.h>

void ck_q_quantize(size_t n, const float *x, float scale, int zero, uint8_t *out) {
    float low = (float)-zero, high = (float)(255 - zero);
    for (size_t i = 0; i < n; i++) {
        float value = x[i] / scale;
        value = value != value ? 0 : value < low ? low : value > high ? high : value;
        out[i] = (uint8_t)((int)rintf(value) + zero);
    }
}

void ck_q_dequantize(size_t n, const uint8_t *x, float scale, int zero, float *out) {
    for (size_t i = 0; i < n; i++) out[i] = (float)((int)x[i] - zero) * scale;
}

void ck_q_lookup(size_t n, const uint8_t *x, const uint8_t *table, uint8_t *out) {
    for (size_t i = 0; i < n; i++) out[i] = table[x[i]];
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
                    memcpy(row, image + ((size_t)top * w->width + (size_t)left) * w->channels, run);
                } else {
                    for (size_t kx = 0; kx < w->kernel; kx++) {
                        ptrdiff_t column = left + (ptrdiff_t)kx;
                        uint8_t *pixel = row + kx * w->channels;
                        if (column < 0 || column >= (ptrdiff_t)w->width) memset(pixel, zero, w->channels);
                        else memcpy(pixel, image + ((size_t)top * w->width + (size_t)column) * w->channels, w->channels);
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
                out[(y * w->outWidth + x) * w->channels + c] = (uint8_t)rintf((float)sum / area);
            }
}

void ck_q_transpose(size_t channels, size_t plane, const uint8_t *x, uint8_t *out) {
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < plane; i++) out[i * channels + c] = x[c * plane + i];
}
