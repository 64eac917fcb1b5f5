#ifndef MLOPS_SUPERVISOR_H
#define MLOPS_SUPERVISOR_H

/// The life of a supervisor (`mlops_supervise`), in a process that was just forked with every signal blocked.
///
/// `report` gets the errno of what kept the program from starting, and closes as it starts; `control` carries the orders.
_Noreturn void mlops_be_supervisor(const char *path, char *const arguments[], char *const environment[],
                                   const char *directory, int report, int control, int output, int error);

#endif
