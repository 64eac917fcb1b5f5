#include "pictures.h"
#include <stdio.h>
#include <stdlib.h>

int mlops_picture_load(mlops_picture_kind kind, char *error, size_t errorSize) {
    return kind == MLOPS_PNG ? mlops_png_load(error, errorSize) : mlops_jpeg_load(error, errorSize);
}

int mlops_picture_fits(size_t width, size_t height, size_t maximumPixels, char *error, size_t errorSize) {
    if (width > 0 && height > 0 && width <= maximumPixels / height) return 1;
    snprintf(error, errorSize, "it has %zu×%zu pixels, expected 1 to %zu", width, height, maximumPixels);
    return 0;
}

int mlops_picture_decode(mlops_picture_kind kind, const uint8_t *bytes, size_t count, size_t maximumPixels,
                         mlops_picture *picture, char *error, size_t errorSize) {
    *picture = (mlops_picture){0};
    int code = (kind == MLOPS_PNG ? mlops_png_decode : mlops_jpeg_decode)(bytes, count, maximumPixels, picture, error,
                                                                        errorSize);
    if (code != 0) mlops_picture_release(picture);
    return code;
}

void mlops_picture_release(mlops_picture *picture) {
    free(picture->pixels);
    picture->pixels = NULL;
}
