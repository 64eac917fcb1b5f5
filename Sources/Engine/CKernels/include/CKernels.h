#ifndef MLOPS_CKERNELS_H
#define MLOPS_CKERNELS_H
#endif
