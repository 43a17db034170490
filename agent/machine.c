// SPDX-License-Identifier: Apache-2.0
#include "agent/machine.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"

/* As GOARCH, which is what kubernetes.io/arch has. */
static const char *architecture(const char *machine)
{
    if (strcmp(machine, "x86_64") == 0)
        return "amd64";
    if (strcmp(machine, "aarch64") == 0)
        return "arm64";
    return machine;
}

int machine_labels(const struct utsname *machine, const char *name, const struct strv *flags,
                   cJSON **ret, struct error *err)
{
    _cleanup_json_ cJSON *labels = cJSON_CreateObject();

    json_add_string(labels, "kubernetes.io/hostname", name);
    json_add_string(labels, "kubernetes.io/os", "linux");
    json_add_string(labels, "kubernetes.io/arch", architecture(machine->machine));
    for (size_t i = 0; i < flags->len; i++) {
        const char *label = flags->items[i], *equals = strchr(label, '=');
        _cleanup_free_ char *key = equals ? xstrndup(label, (size_t) (equals - label)) : NULL;

        if (!key || !*key)
            return error_set(err, -EINVAL, "--node-label takes KEY=VALUE, not \"%s\"", label);
        cJSON_DeleteItemFromObjectCaseSensitive(labels, key);
        json_add_string(labels, key, equals + 1);
    }
    *ret = TAKE_PTR(labels);
    return 0;
}
