// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/kube/client.h"

/*
 * Whether the sender of a bearer token may get a path of ours, as the API server has it: a
 * TokenReview says whose token it is, a SubjectAccessReview whether that user may `get` the path
 * (nonResourceURLs in RBAC). What it says is remembered for a while, a yes for a minute.
 *
 * Tokens that have not been seen before are asked about at a limited rate, so that who sends many
 * bad ones does not make this program flood the API server; past it they are refused unasked, and
 * users who are known already go on. What is remembered is bounded. Without an answer: no.
 */
struct kube_access;

struct kube_access_options {
    struct kube_client *client;
    const char *path; /* "/metrics" */
    /* The API server gives no answer, or may not be asked; once until it does again. For logs. */
    void (*failed)(void *userdata, const struct error *err);
    void *userdata;
};

struct kube_access *kube_access_new(const struct kube_access_options *options);
/* Refuses whoever still waits. Before the client. */
void kube_access_free(struct kube_access *access);
DEFINE_CLEANUP(struct kube_access *, kube_access_free)

/* The HTTP status of the answer: 200 (may), 401 (no valid token), 403 (may not), 429 (too many
 * tokens that are not known), 503 (the API server could not be asked); and why not. */
typedef void (*kube_access_fn)(void *userdata, unsigned http_status, const char *why);
/* `authorization` is the header of that name, "" when there is none. `fn` comes once, now or later.
 */
void kube_access_ask(struct kube_access *access, const char *authorization, kube_access_fn fn,
                     void *userdata);
