// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/label.h"

#include <stddef.h>
#include <string.h>

static const char STACK_SEPARATOR[] = "//&";

static const char NULL_PROFILE[] = "//null-";

typedef bool (*profile_fn)(const char *profile, size_t len, const char *name);

/* The profile itself, or below it: children, hats and null profiles are "name//…". */
static bool profile_is(const char *profile, size_t len, const char *name)
{
    size_t size = strlen(name);

    return len >= size && memcmp(profile, name, size) == 0 &&
           (len == size || (len >= size + 2 && memcmp(profile + size, "//", 2) == 0));
}

static bool profile_is_learnt(const char *profile, size_t len, const char *name)
{
    size_t size = strlen(name);

    return profile_is(profile, len, name) &&
           !memmem(profile + size, len - size, STACK_SEPARATOR, strlen(STACK_SEPARATOR)) &&
           memmem(profile + size, len - size, NULL_PROFILE, strlen(NULL_PROFILE));
}

/*
 * One profile of a stack. That of another policy namespace (":ns:p", ":ns://p") has nothing to do
 * with ours of that name, but is taken for it: the price of a mistake is a delay.
 */
static bool component_has(const char *component, size_t len, profile_fn is, const char *name)
{
    if (is(component, len, name))
        return true;

    const char *end = len && component[0] == ':' ? memchr(component + 1, ':', len - 1) : NULL;
    if (!end)
        return false;
    size_t skip = (size_t) (end + 1 - component);
    if (len >= skip + 2 && memcmp(component + skip, "//", 2) == 0 &&
        is(component + skip + 2, len - skip - 2, name))
        return true;
    return is(component + skip, len - skip, name);
}

/* A label without its mode. */
static bool stack_has(const char *label, size_t len, profile_fn is, const char *name)
{
    /* A name could hold the separator. */
    if (component_has(label, len, is, name))
        return true;
    for (;;) {
        const char *end = memmem(label, len, STACK_SEPARATOR, strlen(STACK_SEPARATOR));
        size_t size = end ? (size_t) (end - label) : len;
        if (component_has(label, size, is, name))
            return true;
        if (!end)
            return false;
        label += size + strlen(STACK_SEPARATOR);
        len -= size + strlen(STACK_SEPARATOR);
    }
}

static size_t line_length(const char *label)
{
    size_t len = strlen(label);

    return len && label[len - 1] == '\n' ? len - 1 : len;
}

/* Length without the last " (mode)", which names may hold as well. */
static size_t label_length(const char *label, size_t len)
{
    if (len == 0 || label[len - 1] != ')')
        return len;
    const char *open = memrchr(label, '(', len);
    return open && open > label && open[-1] == ' ' ? (size_t) (open - 1 - label) : len;
}

static bool label_has(const char *label, profile_fn is, const char *name)
{
    size_t len = line_length(label);

    if (!*name)
        return false;
    /* A bare name may end in what looks like a mode. */
    return stack_has(label, label_length(label, len), is, name) || stack_has(label, len, is, name);
}

bool policy_label_uses(const char *label, const char *name)
{
    return label_has(label, profile_is, name);
}

bool policy_label_learnt(const char *label, const char *name)
{
    return label_has(label, profile_is_learnt, name);
}

static bool text_is(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(text, word, len) == 0;
}

bool policy_label_is_unconfined(const char *label)
{
    size_t len = line_length(label), without_mode = label_length(label, len);

    return text_is(label, len, "unconfined") ||
           text_is(label + without_mode, len - without_mode, " (unconfined)");
}

bool policy_label_may_complain(const char *label)
{
    size_t len = line_length(label), without_mode = label_length(label, len);
    const char *mode = label + without_mode;

    return text_is(mode, len - without_mode, " (complain)") ||
           text_is(mode, len - without_mode, " (mixed)");
}
