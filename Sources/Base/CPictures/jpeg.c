#include "pictures.h"
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// After stdio.h, which it needs.
#include <jerror.h>
#include <jpeglib.h>

#define FUNCTIONS(X)                                                                                      \
    X(jpeg_std_error) X(jpeg_CreateDecompress) X(jpeg_destroy_decompress) X(jpeg_mem_src)                 \
    X(jpeg_read_header) X(jpeg_start_decompress) X(jpeg_read_scanlines) X(jpeg_finish_decompress)

#define POINTER(name) static __typeof__(&name) do_##name;
FUNCTIONS(POINTER)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char loadError[512];

static void load(void) {
    // The library of the headers' version: their structures differ.
    void *library = dlopen(JPEG_LIB_VERSION >= 80 ? "libjpeg.so.8" : "libjpeg.so.62", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(loadError, sizeof loadError, "%s", dlerror());
        return;
    }
#define FIND(name)                                                                       \
    if (!(do_##name = (__typeof__(&name))dlsym(library, #name)))                         \
        snprintf(loadError, sizeof loadError, "libjpeg lacks " #name);
    FUNCTIONS(FIND)
}

int mlops_jpeg_load(char *error, size_t errorSize) {
    pthread_once(&once, load);
    if (!loadError[0]) return 0;
    snprintf(error, errorSize, "%s", loadError);
    return -1;
}

typedef struct {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char *error;
    size_t errorSize;
    uint8_t *row;  // of CMYK
} decoder;

static void fail(j_common_ptr info) {
    decoder *state = info->client_data;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    snprintf(state->error, state->errorSize, "%s", text);
    longjmp(state->jump, 1);
}

/// Bytes that are missing make an error; oddities that lose nothing do not.
static void warn(j_common_ptr info, int level) {
    if (level >= 0) return;
    int code = info->err->msg_code;
    if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE)
        fail(info);
}

/// A small progressive file can ask for any number of passes over a large picture.
static void limitScans(j_common_ptr info) {
    decoder *state = info->client_data;
    if (((j_decompress_ptr)info)->input_scan_number <= 200) return;
    snprintf(state->error, state->errorSize, "it has more than 200 scans");
    longjmp(state->jump, 1);
}

/// CMYK to red, green, blue, as if printed; Adobe's programs write the complements.
static void convertRow(const decoder *state, size_t width, uint8_t *out) {
    uint8_t flip = state->info.saw_Adobe_marker ? 0 : 255;
    for (size_t x = 0; x < width; x++) {
        unsigned key = state->row[4 * x + 3] ^ flip;
        for (int c = 0; c < 3; c++) out[3 * x + c] = (uint8_t)(((state->row[4 * x + c] ^ flip) * key + 127) / 255);
    }
}

static int decode(decoder *state, const uint8_t *bytes, size_t count, size_t maximumPixels, mlops_picture *picture) {
    j_decompress_ptr info = &state->info;
    if (setjmp(state->jump)) return -1;
    do_jpeg_CreateDecompress(info, JPEG_LIB_VERSION, sizeof *info);
    info->client_data = state;
    info->mem->max_memory_to_use = 512 << 20;  // a progressive picture is kept whole
    state->progress.progress_monitor = limitScans;
    info->progress = &state->progress;
    do_jpeg_mem_src(info, bytes, count);
    do_jpeg_read_header(info, TRUE);
    if (!mlops_picture_fits(info->image_width, info->image_height, maximumPixels, state->error, state->errorSize))
        return -1;
    switch (info->jpeg_color_space) {
    case JCS_GRAYSCALE: info->out_color_space = JCS_GRAYSCALE; break;
    case JCS_CMYK:
    case JCS_YCCK: info->out_color_space = JCS_CMYK; break;
    default: info->out_color_space = JCS_RGB; break;
    }
    do_jpeg_start_decompress(info);
    int isCMYK = info->out_color_space == JCS_CMYK;
    picture->width = info->output_width;
    picture->height = info->output_height;
    picture->channels = info->out_color_space == JCS_GRAYSCALE ? 1 : 3;
    size_t stride = (size_t)picture->width * picture->channels;
    picture->pixels = calloc(picture->height, stride);
    if (isCMYK) state->row = calloc(picture->width, 4);
    if (!picture->pixels || (isCMYK && !state->row)) {
        snprintf(state->error, state->errorSize, "there is no memory for its pixels");
        return -1;
    }
    while (info->output_scanline < info->output_height) {
        uint8_t *out = picture->pixels + info->output_scanline * stride;
        JSAMPROW row = isCMYK ? state->row : out;
        do_jpeg_read_scanlines(info, &row, 1);
        if (isCMYK) convertRow(state, picture->width, out);
    }
    do_jpeg_finish_decompress(info);
    return 0;
}

int mlops_jpeg_decode(const uint8_t *bytes, size_t count, size_t maximumPixels, mlops_picture *picture, char *error,
                      size_t errorSize) {
    decoder *state = calloc(1, sizeof *state);
    if (!state) {
        snprintf(error, errorSize, "there is no memory to decode it");
        return -1;
    }
    state->error = error;
    state->errorSize = errorSize;
    state->info.err = do_jpeg_std_error(&state->errors);
    state->info.client_data = state;
    state->errors.error_exit = fail;
    state->errors.emit_message = warn;
    int code = decode(state, bytes, count, maximumPixels, picture);
    if (state->info.mem) do_jpeg_destroy_decompress(&state->info);
    free(state->row);
    free(state);
    return code;
}
