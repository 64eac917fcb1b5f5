#ifndef MLOPS_CLIBCURL_H
#define MLOPS_CLIBCURL_H
#include <curl/curl.h>
#endif
