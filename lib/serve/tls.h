// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/error.h"

/*
 * Whether OpenSSL can serve with this certificate chain and key. libwebsockets only tells that it
 * cannot; this says which file and why.
 */
_must_check_ int tls_check_pair(const char *cert, const char *key, struct error *err);
