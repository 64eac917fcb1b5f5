#ifndef MLOPS_CPICTURES_H
#define MLOPS_CPICTURES_H

#include <stddef.h>
#include <stdint.h>

/// PNG and JPEG through libpng and libjpeg. Each library is opened by the first picture of its kind, so that a command
/// without pictures never pays for loading it. No state is shared: any number of threads may decode at once.

typedef enum { MLOPS_PNG, MLOPS_JPEG } mlops_picture_kind;

/// Rows of `width · channels` bytes, the top one first. Channels: 1 grey, 3 red, green, blue; 16-bit samples are rounded to 8,
/// alpha is dropped, a palette looked up, CMYK converted.
typedef struct {
    uint32_t width, height;
    int channels;
    uint8_t *pixels;
} mlops_picture;

/// 0 once the library of `kind` is loaded; otherwise -1 with the reason in `error`.
int mlops_picture_load(mlops_picture_kind kind, char *error, size_t errorSize);

/// Decodes the file `bytes` of `kind`, whose library is loaded. 0 with `picture` to be released, or -1 with the reason in `error`.
/// A picture of more than `maximumPixels` is refused before memory is asked for.
int mlops_picture_decode(mlops_picture_kind kind, const uint8_t *bytes, size_t count, size_t maximumPixels,
                         mlops_picture *picture, char *error, size_t errorSize);
void mlops_picture_release(mlops_picture *picture);

#endif
