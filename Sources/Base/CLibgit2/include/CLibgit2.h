#ifndef MLOPS_CLIBGIT2_H
#define MLOPS_CLIBGIT2_H
#include <git2.h>
#endif
