// SPDX-License-Identifier: Apache-2.0
#include "agent/confinement.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/label.h"
#include "lib/policy/owner.h"
#include "lib/policy/pod_profile.h"

#define RUNTIME_DEFAULT "RuntimeDefault"
#define LOCALHOST "Localhost/"

char *confinement_asked(const cJSON *pod, const cJSON *container)
{
    struct pod_profile profile = pod_profile_of(pod, container);

    if (profile.type == POD_PROFILE_LOCALHOST)
        return xasprintf("%s%s", LOCALHOST, profile.name);
    if (profile.type == POD_PROFILE_RUNTIME_DEFAULT && !pod_container_is_privileged(container))
        return xstrdup(RUNTIME_DEFAULT);
    return NULL;
}

const char *confinement_profile(const char *asked)
{
    return strncmp(asked, LOCALHOST, strlen(LOCALHOST)) == 0 ? asked + strlen(LOCALHOST) : NULL;
}

/* Some have their version at the end. */
static bool is_runtime_default(const char *label)
{
    static const char *const versioned[] = {"crio-default-", "containers-default-"};

    for (size_t i = 0; i < OWNER_RUNTIMES; i++)
        if (policy_label_uses(label, owner_runtimes[i]))
            return true;
    for (size_t i = 0; i < ARRAY_SIZE(versioned); i++)
        if (strncmp(label, versioned[i], strlen(versioned[i])) == 0 &&
            isdigit((unsigned char) label[strlen(versioned[i])]))
            return true;
    return false;
}

bool confinement_holds(const char *asked, const char *label)
{
    const char *profile = confinement_profile(asked);

    /* In whatever mode: that is the profile's own matter. */
    if (profile && policy_label_uses(label, profile))
        return true;
    return !policy_label_is_unconfined(label) && !(profile && is_runtime_default(label));
}
