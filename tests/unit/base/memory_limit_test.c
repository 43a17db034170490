// SPDX-License-Identifier: Apache-2.0
#include "lib/base/memory_limit.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"

static char folder[] = "/tmp/memory-limit-XXXXXX";

static void make_folder(void)
{
    alloc_init();
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    _cleanup_free_ char *v2 = xasprintf("%s/memory.max", folder);
    _cleanup_free_ char *v1 = xasprintf("%s/memory/memory.limit_in_bytes", folder);
    _cleanup_free_ char *memory = xasprintf("%s/memory", folder);

    unlink(v2);
    unlink(v1);
    rmdir(memory);
    rmdir(folder);
}

TestSuite(memory_limit, .init = make_folder, .fini = remove_folder);

static void put(const char *name, const char *text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    _cleanup_free_ char *memory = xasprintf("%s/memory", folder);

    if (strchr(name, '/'))
        mkdir(memory, 0755);
    cr_assert_eq(fs_write_unsynced(AT_FDCWD, path, text, strlen(text), 0644, NULL), 0);
}

Test(memory_limit, is_a_number_of_bytes_or_none)
{
    cr_assert_eq(memory_limit_parse("671088640\n"), 671088640);
    cr_assert_eq(memory_limit_parse("671088640"), 671088640);
    cr_assert_eq(memory_limit_parse("max\n"), UINT64_MAX);
    cr_assert_eq(memory_limit_parse(""), UINT64_MAX);
    cr_assert_eq(memory_limit_parse("-1\n"), UINT64_MAX);
    cr_assert_eq(memory_limit_parse("64M\n"), UINT64_MAX);
    cr_assert_eq(memory_limit_parse("99999999999999999999999\n"), UINT64_MAX);
}

Test(memory_limit, is_read_of_either_version)
{
    cr_assert_eq(memory_limit_read(folder), UINT64_MAX);
    put("memory/memory.limit_in_bytes", "9223372036854771712\n");
    cr_assert_eq(memory_limit_read(folder), UINT64_C(9223372036854771712));
    put("memory.max", "671088640\n");
    cr_assert_eq(memory_limit_read(folder), 671088640);
}
