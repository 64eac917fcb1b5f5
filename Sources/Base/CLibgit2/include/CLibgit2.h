#ifndef MLOPS_CLIBGIT2_H
#define MLOPS_CLIBGIT2_H
#include <git2.h>

/// Makes libgit2 open repositories that use the `extensions.<name>` in `names`; 0, or a libgit2 error code.
int mlops_git_accept_extensions(const char *const *names, size_t count);
#endif
