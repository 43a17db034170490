// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

/* A folder of the test's own, for the test alone to write and for everybody to read. */
static char scratch[] = "/tmp/unit-test-XXXXXX";

static inline void scratch_make(void)
{
    alloc_init();
    cr_assert_not_null(mkdtemp(scratch));
    cr_assert_eq(chmod(scratch, 0755), 0);
}

static inline int scratch_remove_entry(const char *path, const struct stat *st _unused_,
                                       int flag _unused_, struct FTW *ftw _unused_)
{
    return remove(path);
}

static inline void scratch_remove(void)
{
    nftw(scratch, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The caller frees it. */
static inline char *scratch_path(const char *name)
{
    return xasprintf("%s/%s", scratch, name);
}

/* With the folders on the way. */
static inline void scratch_put(const char *name, const char *content, mode_t mode)
{
    _cleanup_free_ char *path = scratch_path(name);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), mode, NULL), 0);
}
