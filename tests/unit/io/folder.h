// A folder of a test's own, removed with all that lies in it.
#ifndef SYNCBUS_TESTS_UNIT_IO_FOLDER_H
#define SYNCBUS_TESTS_UNIT_IO_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

// Makes the folder `path` from its template, which ends in six capital letters to be replaced.
static inline int folder_make(char *path)
{
    return mkdtemp(path) != NULL ? 0 : -1;
}

static inline int folder_remove_entry(const char *path, const struct stat *status, int kind,
                                      struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

// Removes the folder with its contents.
static inline int folder_remove(const char *path)
{
    return nftw(path, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
