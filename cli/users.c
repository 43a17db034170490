// SPDX-License-Identifier: Apache-2.0
#include "cli/users.h"

#include <string.h>

#include "cli/values.h"
#include "lib/policy/pod_profile.h"

static void add_row(cJSON *rows, const cJSON *pod, const cJSON *container, const char *profile)
{
    cJSON *row = cJSON_CreateObject();

    json_add_string(row, "namespace", value_text(pod, "metadata", "namespace"));
    json_add_string(row, "pod", value_text(pod, "metadata", "name"));
    json_add_string(row, "container", value_text(container, "name"));
    json_add_string(row, "node", value_text(pod, "spec", "nodeName"));
    json_add_string(row, "phase", value_text(pod, "status", "phase"));
    json_add_string(row, "profile", profile);
    json_append(rows, row);
}

void users_add(cJSON *rows, const cJSON *pod, const struct strv *names)
{
    for (size_t i = 0; i < POD_CONTAINER_LISTS; i++) {
        const cJSON *container;

        cJSON_ArrayForEach(container, json_get(pod, "spec", pod_container_lists[i].spec))
        {
            struct pod_profile asked = pod_profile_of(pod, container);

            if (asked.type == POD_PROFILE_LOCALHOST && (!names || strv_contains(names, asked.name)))
                add_row(rows, pod, container, asked.name);
        }
    }
}
