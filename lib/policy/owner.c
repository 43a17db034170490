// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/owner.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/cleanup.h"

static int compare_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static bool older(const struct owner_claim *a, const struct owner_claim *b)
{
    if (a->created_ms != b->created_ms)
        return a->created_ms < b->created_ms;

    int order = compare_text(a->uid, b->uid);
    if (order == 0) /* without a cluster no object has a uid */
        order = compare_text(a->object, b->object);
    return order < 0;
}

const char *const owner_runtimes[OWNER_RUNTIMES] = {"cri-containerd.apparmor.d", "docker-default",
                                                    "crio-default"};

bool owner_is_runtimes(const char *name)
{
    for (size_t i = 0; i < OWNER_RUNTIMES; i++)
        if (strcmp(name, owner_runtimes[i]) == 0)
            return true;
    return false;
}

/* With a version, an instance or a program behind what they begin with. */
static bool is_another_programs(const char *name)
{
    static const char *const prefixes[] = {
        "containers-default-",
        "crio-default-",
        "lxc-",
        "lxd-",
        "incus-",
        "libvirt-",
        "snap.",
        "snap-",
        "nerdctl-default",
        "podman-default",
        "buildkit-default",
    };

    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

enum owner_foreign owner_classify(const char *name, const char *attachment)
{
    return *name == '/' || !attachment || strcmp(name, attachment) != 0 ||
                   owner_is_runtimes(name) || is_another_programs(name)
               ? OWNER_FOREIGN_PROTECTED
               : OWNER_FOREIGN_PLAIN;
}

static bool may_own(const struct owner_claim *claim, enum owner_foreign foreign)
{
    return claim->selects && !claim->deleting &&
           (foreign == OWNER_FOREIGN_NONE || (foreign == OWNER_FOREIGN_PLAIN && claim->adopts));
}

/* Lower is better. */
static int rank(const struct owner_claim *claim, enum owner_foreign foreign)
{
    if (may_own(claim, foreign))
        return claim->incumbent ? 0 : 1;
    return claim->incumbent ? 2 : 3;
}

ptrdiff_t owner_decide(const struct owner_claim *claims, size_t count, enum owner_foreign foreign)
{
    ptrdiff_t best = -1;

    /* An incumbent's name is not foreign. */
    for (size_t i = 0; i < count; i++)
        if (claims[i].incumbent)
            foreign = OWNER_FOREIGN_NONE;
    for (size_t i = 0; i < count; i++) {
        int own = rank(&claims[i], foreign);
        if (own == 3)
            continue;
        if (best >= 0) {
            int other = rank(&claims[best], foreign);
            if (own > other || (own == other && !older(&claims[i], &claims[best])))
                continue;
        }
        best = (ptrdiff_t) i;
    }
    return best;
}

#define CONFLICT_JOINT " belongs to AppArmorProfile "
#define CONFLICT_END " on this node"

char *owner_conflict_text(const char *name, const char *object)
{
    return xasprintf("profile %s" CONFLICT_JOINT "%s" CONFLICT_END, name, object);
}

/* A profile's name may hold anything, an object's neither space nor joint. */
char *owner_conflict_object(const char *text)
{
    const char *object = NULL;

    for (const char *at = text; (at = strstr(at, CONFLICT_JOINT)); at++)
        object = at + strlen(CONFLICT_JOINT);
    size_t len = object ? strcspn(object, " ") : 0;
    return len > 0 && strcmp(object + len, CONFLICT_END) == 0 ? xstrndup(object, len) : NULL;
}
