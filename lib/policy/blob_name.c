// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob_name.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/utf8.h"

#define SEPARATOR "//"
#define LEARNT_PREFIX "null-"

bool blob_name_printable(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (iscntrl((unsigned char) name[i]))
            return false;
    }
    return utf8_valid(name, len);
}

static const char *check_component(const char *text, size_t len, bool top)
{
    if (len == 0)
        return "a part of it is empty";
    if (text[0] == '&')
        return "//& joins the profiles of a stack";
    if (!top && strncmp(text, LEARNT_PREFIX, strlen(LEARNT_PREFIX)) == 0)
        return "the kernel uses //null- for what it learns in complain mode";
    return NULL;
}

const char *blob_name_check(const char *name, size_t len)
{
    if (len == 0)
        return "it is empty";
    if (len > BLOB_NAME_MAX)
        return "it is too long";
    if (!blob_name_printable(name, len))
        return "it has control characters or is not UTF-8";
    if (name[0] == ' ' || name[len - 1] == ' ')
        return "it begins or ends with a blank";
    if (name[0] == ':')
        return "profiles in namespaces are not supported: remove the :namespace: prefix";
    if (strcmp(name, "unconfined") == 0)
        return "the kernel uses that word for tasks without a profile";

    for (const char *part = name;;) {
        const char *end = strstr(part, SEPARATOR);
        const char *problem =
            check_component(part, end ? (size_t) (end - part) : strlen(part), part == name);

        if (problem || !end)
            return problem;
        part = end + strlen(SEPARATOR);
    }
}

bool blob_name_reserved(const char *name)
{
    return strncmp(name, BLOB_NAME_RESERVED, strlen(BLOB_NAME_RESERVED)) == 0;
}

size_t blob_name_parent(const char *name)
{
    size_t parent = 0;

    for (const char *end = strstr(name, SEPARATOR); end;
         end = strstr(end + strlen(SEPARATOR), SEPARATOR))
        parent = (size_t) (end - name);
    return parent;
}
