// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/kube/client.h"
#include "lib/kube/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every answer that is no success is an error with a reason and a message; the first two bytes are
 * the HTTP status. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_error_ struct error err = {0}, in_band = {0};
    _cleanup_json_ cJSON *json = NULL;
    const char *text;
    int http_status;

    alloc_init();
    if (size < 2)
        return 0;
    http_status = 300 + (data[0] << 8 | data[1]) % 300;
    text = (const char *) data + 2;
    if (status_decode(http_status, text, size - 2, &err) >= 0 || err.code >= 0 || !err.reason ||
        !err.reason[0] || !err.message || err.http_status != http_status)
        abort();
    if (kube_error_is_transport(&err) || kube_error_is_not_found(&err) != (http_status == 404))
        abort();
    if (json_parse(text, size - 2, &json, NULL) < 0)
        return 0;
    if (status_decode_json(json, &in_band) >= 0 || in_band.http_status < 100 ||
        in_band.http_status > 999 || !in_band.reason)
        abort();
    return 0;
}
