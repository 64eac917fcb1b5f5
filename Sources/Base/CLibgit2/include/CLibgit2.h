#ifndef MLOPS_CLIBGIT2_H
#define MLOPS_CLIBGIT2_H
#include <git2.h>

/// Loads libgit2 and starts it, once; 0, or -1 if that cannot be done. No function of `git2.h` may be called before.
int mlops_git_load(void);

/// Why `mlops_git_load` failed.
const char *mlops_git_load_error(void);

/// Makes libgit2 open repositories that use the `extensions.<name>` in `names`; 0, or a libgit2 error code.
int mlops_git_accept_extensions(const char *const *names, size_t count);
#endif
