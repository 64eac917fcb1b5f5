#ifndef MLOPS_CLIBCURL_H
#define MLOPS_CLIBCURL_H
#include <curl/curl.h>
#include <stddef.h>

// libcurl through plain functions: its own setters are variadic, which Swift cannot call, and the library with its thirty
// companions costs 6 ms at every start of the process, so it is loaded when the first transfer asks for it.

/// Loads and initialises libcurl once; 0, or -1 when it is not installed, with the reason in `mlops_curl_load_error`.
int mlops_curl_load(void);
const char *mlops_curl_load_error(void);

/// The signature of the callbacks for bodies and header lines.
typedef size_t (*mlops_curl_callback)(char *buffer, size_t size, size_t count, void *context);
/// The signature of the callback that rewinds an upload.
typedef int (*mlops_curl_seek_callback)(void *context, curl_off_t offset, int origin);

// All that follows needs a successful mlops_curl_load.
CURL *mlops_curl_easy_create(void);
void mlops_curl_easy_destroy(CURL *easy);
CURLcode mlops_curl_set_long(CURL *easy, CURLoption option, long value);
CURLcode mlops_curl_set_offset(CURL *easy, CURLoption option, curl_off_t value);
CURLcode mlops_curl_set_text(CURL *easy, CURLoption option, const char *value);
CURLcode mlops_curl_set_pointer(CURL *easy, CURLoption option, void *value);
CURLcode mlops_curl_set_callback(CURL *easy, CURLoption option, mlops_curl_callback callback);
CURLcode mlops_curl_set_seek_callback(CURL *easy, mlops_curl_seek_callback callback);
CURLcode mlops_curl_set_headers(CURL *easy, struct curl_slist *headers);
/// A fact of a transfer that is a `long`; -1 if unknown.
long mlops_curl_get_long(CURL *easy, CURLINFO info);
const char *mlops_curl_describe(CURLcode code);

/// `list` with `line` at its end, or NULL when memory is out (`list` stands then).
struct curl_slist *mlops_curl_list_append(struct curl_slist *list, const char *line);
void mlops_curl_list_free(struct curl_slist *list);

CURLM *mlops_curl_multi_create(void);
void mlops_curl_multi_destroy(CURLM *multi);
CURLMcode mlops_curl_multi_add(CURLM *multi, CURL *easy);
CURLMcode mlops_curl_multi_remove(CURLM *multi, CURL *easy);
/// Does what can be done without waiting; the count of transfers that still run.
int mlops_curl_multi_perform(CURLM *multi);
/// Waits up to `milliseconds` for something to do; another thread ends the wait with `mlops_curl_multi_wake`.
void mlops_curl_multi_wait(CURLM *multi, int milliseconds);
void mlops_curl_multi_wake(CURLM *multi);
/// The next finished transfer and its result, or NULL.
CURL *mlops_curl_multi_next_finished(CURLM *multi, CURLcode *result);

#endif
