// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/error.h"
#include "lib/base/json.h"

/*
 * metav1.Status: how the API server says what went wrong, as the body of an answer and in-band in a
 * watch. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */

/* True when `json` is a Status object. */
bool status_is(const cJSON *json);

/* Fills `err` from the body of an answer that was no success; a body that is no Status (a proxy's
 * HTML page) gives the reason that belongs to the HTTP status. Returns err's code. */
int status_decode(int http_status, const char *body, size_t len, struct error *err);
/* As status_decode(), from a Status object that came with a watch event. */
int status_decode_json(const cJSON *status, struct error *err);
/* The negative errno that stands for an HTTP status. */
int status_errno(int http_status);
/* The server's resource version lies behind the one that was asked for. */
bool status_is_version_too_large(const struct error *err);
