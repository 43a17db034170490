// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/label.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * "name\nlabel". Whatever else the label is: it uses its own text as a name, goes on to use a name
 * when a mode or a stack follows, and never uses what it does not contain.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = xstrndup((const char *) data, size);
    char *label = strchr(text, '\n');

    if (!label)
        return 0;
    *label++ = '\0';
    size_t len = strlen(label);
    bool uses = *text && policy_label_uses(label, text);
    if (uses && !strstr(label, text))
        abort();
    if (!len || label[len - 1] == '\n')
        return 0;

    _cleanup_free_ char *mode = xasprintf("%s (enforce)\n", label);
    _cleanup_free_ char *child = xasprintf("%s//kid (complain)", label);
    _cleanup_free_ char *stack = xasprintf("x//&%s//&y (mixed)", label);
    if (!policy_label_uses(label, label) || !policy_label_uses(mode, label) ||
        !policy_label_uses(child, label))
        abort();
    /* A name that holds the separator itself is seen at the start alone. */
    if (!strstr(label, "//&") && label[0] != '&' && label[len - 1] != '/' &&
        !policy_label_uses(stack, label))
        abort();
    return 0;
}
