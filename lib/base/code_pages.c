// SPDX-License-Identifier: Apache-2.0
#include "lib/base/code_pages.h"

#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fs.h"

#define STATUS_MAX 16384

/* When it cannot be told, too. */
static bool is_traced(void)
{
    _cleanup_buf_ struct buf status = BUF_INIT(STATUS_MAX);

    return fs_read(AT_FDCWD, "/proc/self/status", &status, NULL) < 0 ||
           !strstr(buf_string(&status), "\nTracerPid:\t0\n");
}

/* What can be written to differs from its file: relocations are in it. */
static int forget_object(struct dl_phdr_info *object, size_t size _unused_, void *userdata _unused_)
{
    uintptr_t page = (uintptr_t) sysconf(_SC_PAGESIZE);

    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        uintptr_t start = (object->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_memsz) & ~(page - 1);

        /* The kernel's own, which is of no file, it does not do. */
        if (segment->p_type == PT_LOAD && !(segment->p_flags & PF_W) && start < end)
            madvise((void *) start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void code_pages_forget(void)
{
    if (!is_traced())
        dl_iterate_phdr(forget_object, NULL);
}
