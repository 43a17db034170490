// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

#include "lib/base/alloc.h"
#include "lib/kube/lease_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever is accepted as a Lease's record is written as one that says the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_lease_record_ struct lease_record record = {0}, again = {0};
    _cleanup_json_ cJSON *json = NULL, *encoded = NULL;

    alloc_init();
    if (json_parse((const char *) data, size, &json, NULL) < 0 ||
        lease_record_decode(json, &record, NULL) < 0)
        return 0;
    encoded = lease_record_encode(&record, "ns", "name");
    if (lease_record_decode(encoded, &again, NULL) < 0 || !lease_record_equal(&record, &again))
        abort();
    return 0;
}
