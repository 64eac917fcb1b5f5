#include "CLibgit2.h"
