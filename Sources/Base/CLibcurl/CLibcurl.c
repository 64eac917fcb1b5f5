#include "CLibcurl.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>

// The header turns calls of these into type checks; here the plain functions are wanted.
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define FUNCTIONS(each)                                                                                                \
    each(easy_init) each(easy_cleanup) each(easy_setopt) each(easy_getinfo) each(easy_strerror) each(slist_append)     \
        each(slist_free_all) each(multi_init) each(multi_cleanup) each(multi_add_handle) each(multi_remove_handle)     \
            each(multi_perform) each(multi_poll) each(multi_wakeup) each(multi_info_read) each(multi_setopt)

#define DECLARE(name) static __typeof__(&curl_##name) name;
FUNCTIONS(DECLARE)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int is_loaded;
static char error[512];

static void *find(void *library, const char *name) {
    void *symbol = dlsym(library, name);
    if (!symbol) snprintf(error, sizeof error, "libcurl.so.4 lacks %s", name);
    return symbol;
}

static void load(void) {
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(error, sizeof error, "%s", dlerror());
        return;
    }
#define FIND(name)                                                                                                     \
    name = (__typeof__(&curl_##name))find(library, "curl_" #name);                                                     \
    if (!name) return;
    FUNCTIONS(FIND)
    __typeof__(&curl_global_init) initialise = (__typeof__(&curl_global_init))find(library, "curl_global_init");
    if (!initialise) return;
    CURLcode code = initialise(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) {
        snprintf(error, sizeof error, "libcurl does not start: %s", easy_strerror(code));
        return;
    }
    is_loaded = 1;
}

int mlops_curl_load(void) {
    pthread_once(&once, load);
    return is_loaded ? 0 : -1;
}

const char *mlops_curl_load_error(void) { return error; }

CURL *mlops_curl_easy_create(void) { return easy_init(); }

void mlops_curl_easy_destroy(CURL *easy) { easy_cleanup(easy); }

CURLcode mlops_curl_set_long(CURL *easy, CURLoption option, long value) { return easy_setopt(easy, option, value); }

CURLcode mlops_curl_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
    return easy_setopt(easy, option, value);
}

CURLcode mlops_curl_set_text(CURL *easy, CURLoption option, const char *value) {
    return easy_setopt(easy, option, value);
}

CURLcode mlops_curl_set_pointer(CURL *easy, CURLoption option, void *value) { return easy_setopt(easy, option, value); }

CURLcode mlops_curl_set_callback(CURL *easy, CURLoption option, mlops_curl_callback callback) {
    return easy_setopt(easy, option, callback);
}

CURLcode mlops_curl_set_seek_callback(CURL *easy, mlops_curl_seek_callback callback) {
    return easy_setopt(easy, CURLOPT_SEEKFUNCTION, callback);
}

CURLcode mlops_curl_set_headers(CURL *easy, struct curl_slist *headers) {
    return easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
}

long mlops_curl_get_long(CURL *easy, CURLINFO info) {
    long value = -1;
    return easy_getinfo(easy, info, &value) == CURLE_OK ? value : -1;
}

const char *mlops_curl_describe(CURLcode code) { return easy_strerror(code); }

struct curl_slist *mlops_curl_list_append(struct curl_slist *list, const char *line) {
    return slist_append(list, line);
}

void mlops_curl_list_free(struct curl_slist *list) { slist_free_all(list); }

CURLM *mlops_curl_multi_create(void) {
    CURLM *multi = multi_init();
    if (!multi) return NULL;
    multi_setopt(multi, CURLMOPT_MAXCONNECTS, 64L);
    // A connection has up to three descriptors while its host is looked up; where they are few, transfers wait for each other.
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 256)
        multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, limit.rlim_cur < 36 ? 1L : (long)(limit.rlim_cur - 24) / 6);
    return multi;
}

void mlops_curl_multi_destroy(CURLM *multi) { multi_cleanup(multi); }

CURLMcode mlops_curl_multi_add(CURLM *multi, CURL *easy) { return multi_add_handle(multi, easy); }

CURLMcode mlops_curl_multi_remove(CURLM *multi, CURL *easy) { return multi_remove_handle(multi, easy); }

int mlops_curl_multi_perform(CURLM *multi) {
    int running = 0;
    multi_perform(multi, &running);
    return running;
}

void mlops_curl_multi_wait(CURLM *multi, int milliseconds) { multi_poll(multi, NULL, 0, milliseconds, NULL); }

void mlops_curl_multi_wake(CURLM *multi) { multi_wakeup(multi); }

CURL *mlops_curl_multi_next_finished(CURLM *multi, CURLcode *result) {
    int remaining = 0;
    for (CURLMsg *message; (message = multi_info_read(multi, &remaining));)
        if (message->msg == CURLMSG_DONE) {
            *result = message->data.result;
            return message->easy_handle;
        }
    return NULL;
}
