// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

/* Scope-bound release: `_cleanup_(foo_freep) struct foo *f = NULL;` */
#define _cleanup_(function) __attribute__((__cleanup__(function)))
#define _printf_(text, first) __attribute__((__format__(__printf__, text, first)))
#define _unused_ __attribute__((unused))
#define _must_check_ __attribute__((warn_unused_result))

/* Yields the pointer and forgets it, so that the cleanup of this scope leaves
 * it alone. */
#define TAKE_PTR(pointer)                               \
    ({                                                  \
        __typeof__(pointer) *take_place_ = &(pointer);  \
        __typeof__(pointer) take_value_ = *take_place_; \
        *take_place_ = NULL;                            \
        take_value_;                                    \
    })

#define TAKE_FD(fd)                     \
    ({                                  \
        int *take_place_ = &(fd);       \
        int take_value_ = *take_place_; \
        *take_place_ = -1;              \
        take_value_;                    \
    })

/* Defines `<function>p`, the form that _cleanup_ wants, from a function that
 * accepts NULL. */
#define DEFINE_CLEANUP(type, function)          \
    static inline void function##p(type *place) \
    {                                           \
        function(*place);                       \
    }

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define container_of(pointer, type, member) \
    ((type *) (void *) ((char *) (pointer) -offsetof(type, member)))

static inline void freep(void *place)
{
    free(*(void **) place);
}

static inline void closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
