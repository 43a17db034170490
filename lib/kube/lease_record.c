// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/lease_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"

void lease_record_done(struct lease_record *record)
{
    free(record->holder);
    free(record->acquired_at);
    free(record->renewed_at);
    free(record->resource_version);
    *record = (struct lease_record){0};
}

static int decode_text(const cJSON *spec, const char *key, char **into, struct error *err)
{
    const cJSON *value = json_get(spec, key);

    if (value && !cJSON_IsNull(value) && !cJSON_IsString(value))
        return error_set(err, -EINVAL, "spec.%s must be a string", key);
    free(*into);
    *into = xstrdup(cJSON_IsString(value) ? value->valuestring : "");
    return 0;
}

static int decode_count(const cJSON *spec, const char *key, int64_t *into, struct error *err)
{
    const cJSON *value = json_get(spec, key);
    int64_t number = 0;

    if (value && !cJSON_IsNull(value)) {
        number = json_int(value, -1);
        if (number < 0 || number > INT32_MAX)
            return error_set(err, -EINVAL, "spec.%s must be an integer from 0 to %d", key,
                             INT32_MAX);
    }
    *into = number;
    return 0;
}

int lease_record_decode(const cJSON *lease, struct lease_record *ret, struct error *err)
{
    const cJSON *spec = json_get(lease, "spec");
    const char *version = json_string(lease, "metadata", "resourceVersion");
    _cleanup_lease_record_ struct lease_record record = {0};
    int r;

    if (!version)
        return error_set(err, -EINVAL, "the Lease has no metadata.resourceVersion");
    if (spec && !cJSON_IsNull(spec) && !cJSON_IsObject(spec))
        return error_set(err, -EINVAL, "spec must be an object");
    record.resource_version = xstrdup(version);
    r = decode_text(spec, "holderIdentity", &record.holder, err);
    if (r == 0)
        r = decode_text(spec, "acquireTime", &record.acquired_at, err);
    if (r == 0)
        r = decode_text(spec, "renewTime", &record.renewed_at, err);
    if (r == 0)
        r = decode_count(spec, "leaseDurationSeconds", &record.duration_s, err);
    if (r == 0)
        r = decode_count(spec, "leaseTransitions", &record.transitions, err);
    if (r < 0)
        return r;
    *ret = record;
    record = (struct lease_record){0};
    return 0;
}

bool lease_record_equal(const struct lease_record *a, const struct lease_record *b)
{
    return a->duration_s == b->duration_s && a->transitions == b->transitions &&
           strcmp(a->holder, b->holder) == 0 && strcmp(a->acquired_at, b->acquired_at) == 0 &&
           strcmp(a->renewed_at, b->renewed_at) == 0;
}

static void add_time(cJSON *spec, const char *key, const char *value)
{
    json_add(spec, key, value && value[0] ? cJSON_CreateString(value) : cJSON_CreateNull());
}

cJSON *lease_record_encode(const struct lease_record *record, const char *ns, const char *name)
{
    cJSON *lease = cJSON_CreateObject();
    cJSON *metadata, *spec;

    json_add_string(lease, "apiVersion", "coordination.k8s.io/v1");
    json_add_string(lease, "kind", "Lease");
    metadata = json_add_object(lease, "metadata");
    json_add_string(metadata, "namespace", ns);
    json_add_string(metadata, "name", name);
    if (record->resource_version)
        json_add_string(metadata, "resourceVersion", record->resource_version);
    spec = json_add_object(lease, "spec");
    json_add_string(spec, "holderIdentity", record->holder);
    json_add_int(spec, "leaseDurationSeconds", record->duration_s);
    json_add_int(spec, "leaseTransitions", record->transitions);
    add_time(spec, "acquireTime", record->acquired_at);
    add_time(spec, "renewTime", record->renewed_at);
    return lease;
}

char *lease_time(int64_t realtime_ms)
{
    char seconds[CLOCK_TIME_SIZE];
    int64_t ms = (realtime_ms % 1000 + 1000) % 1000;

    clock_format(realtime_ms, seconds);
    /* "…:59Z" becomes "…:59.123000Z". */
    return xasprintf("%.*s.%03d000Z", (int) strlen(seconds) - 1, seconds, (int) ms);
}
