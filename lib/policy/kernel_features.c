// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/kernel_features.h"

#include <string.h>

#include "lib/base/cleanup.h"

/* Kinds of rules and what a kernel that enforces them has one of (what apparmor_parser looks for).
 * All others are enforced by every kernel. */
static const struct {
    const char *word;
    const char *features[5];
} classes[] = {
    {"dbus", {"dbus"}},
    {"io_uring", {"io_uring"}},
    {"mount", {"mount"}},
    {"mqueue", {"ipc/posix_mqueue", "ipc/sysv_mqueue"}},
    {"network", {"network_v9", "network_v8", "network"}},
    {"pivot_root", {"mount"}},
    {"ptrace", {"ptrace"}},
    {"remount", {"mount"}},
    {"signal", {"signal"}},
    {"umount", {"mount"}},
    /* Without the finer one these become rules about sockets of that family. */
    {"unix", {"network/af_unix", "network_v9/af_unix", "network_v9", "network_v8", "network"}},
    {"userns", {"namespaces/mask/userns_create", "namespaces/userns_create"}},
};

struct place {
    const char *at, *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The next word, or a brace; false at the end. */
static bool next_token(struct place *place, const char **ret, size_t *ret_len)
{
    while (place->at < place->end && is_blank(*place->at))
        place->at++;
    if (place->at == place->end)
        return false;
    *ret = place->at;
    if (*place->at == '{' || *place->at == '}') {
        place->at++;
    } else {
        while (place->at < place->end && !is_blank(*place->at) && *place->at != '{' &&
               *place->at != '}')
            place->at++;
    }
    *ret_len = (size_t) (place->at - *ret);
    return true;
}

/* Moves into what follows the name in this block; false: it is not in it. `*ret_block`: it has
 * braces. */
static bool enter(struct place *place, const char *name, size_t len, bool *ret_block)
{
    const char *token;
    size_t token_len, depth = 0;

    while (next_token(place, &token, &token_len)) {
        if (*token == '{') {
            depth++;
        } else if (*token == '}') {
            if (depth-- == 0)
                return false;
        } else if (depth == 0 && token_len == len && memcmp(token, name, len) == 0) {
            struct place after = *place;

            *ret_block = next_token(&after, &token, &token_len) && *token == '{';
            if (*ret_block)
                *place = after;
            return true;
        }
    }
    return false;
}

bool kernel_features_have(const char *text, size_t len, const char *path)
{
    struct place place = {text, text + len};
    bool block = true;

    for (;;) {
        size_t part = strcspn(path, "/");

        if (!block || !enter(&place, path, part, &block))
            return false;
        if (path[part] == '\0')
            return true;
        path += part + 1;
    }
}

bool kernel_features_enforce(const char *text, size_t len, const struct policy_rule *rule)
{
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        if (!policy_rule_is(rule, classes[i].word))
            continue;
        for (size_t j = 0; j < ARRAY_SIZE(classes[i].features) && classes[i].features[j]; j++)
            if (kernel_features_have(text, len, classes[i].features[j]))
                return true;
        return false;
    }
    return true;
}
