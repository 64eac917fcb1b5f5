#ifndef MLOPS_PICTURES_H
#define MLOPS_PICTURES_H

#include "CPictures.h"

int mlops_png_load(char *error, size_t errorSize);
int mlops_png_decode(const uint8_t *bytes, size_t count, size_t maximumPixels, mlops_picture *picture, char *error,
                     size_t errorSize);
int mlops_jpeg_load(char *error, size_t errorSize);
int mlops_jpeg_decode(const uint8_t *bytes, size_t count, size_t maximumPixels, mlops_picture *picture, char *error,
                      size_t errorSize);

/// Whether a picture of these sizes may be decoded; otherwise the reason is in `error`.
int mlops_picture_fits(size_t width, size_t height, size_t maximumPixels, char *error, size_t errorSize);

#endif
