// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/strv.h"

/*
 * Certificates of a server whose clients are told what to trust, as an API server is in a webhook's
 * caBundle: an authority that signs one certificate and whose private key nobody keeps.
 */
struct certificate {
    char *authority; /* PEM, like the others */
    char *cert;
    char *key;
};

void certificate_done(struct certificate *certificate);
#define _cleanup_certificate_ _cleanup_(certificate_done)

/*
 * Makes both, on P-256. `hosts`: DNS names and IP addresses that clients may call the server by;
 * the first is the subject. The times are since the epoch.
 */
_must_check_ int certificate_make(const struct strv *hosts, int64_t not_before_ms,
                                  int64_t not_after_ms, struct certificate *ret, struct error *err);

struct certificate_facts {
    int64_t not_before_ms, not_after_ms;
    bool names_hosts; /* all of them */
};

/* Of the first certificate in PEM text. -EINVAL: there is none. */
_must_check_ int certificate_read(const char *cert, const struct strv *hosts,
                                  struct certificate_facts *ret, struct error *err);
