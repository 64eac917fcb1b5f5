#include "pictures.h"
#include <dlfcn.h>
#include <png.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The functions of libpng that are used, by the names that they have there.
#define FUNCTIONS(X)                                                                                              \
    X(png_create_read_struct) X(png_create_info_struct) X(png_destroy_read_struct) X(png_set_longjmp_fn)          \
    X(png_set_read_fn) X(png_get_io_ptr) X(png_get_error_ptr) X(png_error) X(png_set_user_limits)                 \
    X(png_set_chunk_malloc_max) X(png_set_chunk_cache_max) X(png_read_info) X(png_get_image_width)                \
    X(png_get_image_height) X(png_get_color_type) X(png_set_expand) X(png_set_scale_16) X(png_set_strip_alpha)    \
    X(png_set_interlace_handling) X(png_read_update_info) X(png_get_rowbytes) X(png_get_channels) X(png_read_row) \
    X(png_read_end)

#define POINTER(name) static __typeof__(&name) do_##name;
FUNCTIONS(POINTER)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char loadError[512];

static void load(void) {
    void *library = dlopen("libpng16.so.16", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(loadError, sizeof loadError, "%s", dlerror());
        return;
    }
#define FIND(name)                                                                       \
    if (!(do_##name = (__typeof__(&name))dlsym(library, #name)))                         \
        snprintf(loadError, sizeof loadError, "libpng16.so.16 lacks " #name);
    FUNCTIONS(FIND)
}

int mlops_png_load(char *error, size_t errorSize) {
    pthread_once(&once, load);
    if (!loadError[0]) return 0;
    snprintf(error, errorSize, "%s", loadError);
    return -1;
}

typedef struct {
    const uint8_t *bytes;
    size_t left;
} source;

typedef struct {
    char *text;
    size_t size;
} message;

static void readBytes(png_structp png, png_bytep out, size_t count) {
    source *from = do_png_get_io_ptr(png);
    if (count > from->left) do_png_error(png, "it is cut short");
    memcpy(out, from->bytes, count);
    from->bytes += count;
    from->left -= count;
}

static void fail(png_structp png, png_const_charp text) {
    message *out = do_png_get_error_ptr(png);
    snprintf(out->text, out->size, "%s", text);
    longjmp(*do_png_set_longjmp_fn(png, longjmp, sizeof(jmp_buf)), 1);
}

static void ignore(png_structp png, png_const_charp text) { (void)png, (void)text; }

/// What `decode` may leave behind when libpng jumps out of it.
typedef struct {
    png_structp png;
    png_infop info;
    source from;
} decoder;

static int decode(decoder *state, size_t maximumPixels, mlops_picture *picture, char *error, size_t errorSize) {
    png_structp png = state->png;
    if (setjmp(*do_png_set_longjmp_fn(png, longjmp, sizeof(jmp_buf)))) return -1;
    do_png_set_read_fn(png, &state->from, readBytes);
    do_png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);  // the check below names the sizes
    // Text, profiles and the like are not used: little memory is enough for them.
    do_png_set_chunk_malloc_max(png, 1 << 20);
    do_png_set_chunk_cache_max(png, 16);
    do_png_read_info(png, state->info);
    picture->width = do_png_get_image_width(png, state->info);
    picture->height = do_png_get_image_height(png, state->info);
    if (!mlops_picture_fits(picture->width, picture->height, maximumPixels, error, errorSize)) return -1;
    do_png_set_expand(png);  // palettes to colours, grey of 1, 2, 4 bits to 8
    do_png_set_scale_16(png);
    do_png_set_strip_alpha(png);
    int passes = do_png_set_interlace_handling(png);
    do_png_read_update_info(png, state->info);
    picture->channels = do_png_get_channels(png, state->info);
    size_t stride = (size_t)picture->width * picture->channels;
    if ((picture->channels != 1 && picture->channels != 3) || do_png_get_rowbytes(png, state->info) != stride)
        do_png_error(png, "its samples cannot be brought to 8 bits");
    // Cleared, because a row of an interlaced picture is filled in passes.
    picture->pixels = calloc(picture->height, stride);
    if (!picture->pixels) do_png_error(png, "there is no memory for its pixels");
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < picture->height; y++) do_png_read_row(png, picture->pixels + y * stride, NULL);
    do_png_read_end(png, NULL);
    return 0;
}

int mlops_png_decode(const uint8_t *bytes, size_t count, size_t maximumPixels, mlops_picture *picture, char *error,
                     size_t errorSize) {
    message out = {error, errorSize};
    decoder state = {.from = {bytes, count}};
    state.png = do_png_create_read_struct(PNG_LIBPNG_VER_STRING, &out, fail, ignore);
    state.info = state.png ? do_png_create_info_struct(state.png) : NULL;
    int code = -1;
    if (state.info) code = decode(&state, maximumPixels, picture, error, errorSize);
    else snprintf(error, errorSize, "libpng does not start; its headers were of version %s", PNG_LIBPNG_VER_STRING);
    if (state.png) do_png_destroy_read_struct(&state.png, &state.info, NULL);
    return code;
}
