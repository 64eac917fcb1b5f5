#ifndef MLOPS_CZSTD_H
#define MLOPS_CZSTD_H
#include <zstd.h>
#endif
