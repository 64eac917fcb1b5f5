#ifndef MLOPS_CZLIB_H
#define MLOPS_CZLIB_H
#include <zlib.h>
#endif
