// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/strv.h"
#include "lib/kube/client.h"

/*
 * Which pods ask for profiles, of all in the cluster. They are not followed, since that would keep
 * all of them in memory for what is asked once in a while: they are listed, page by page, once for
 * all that are asked about meanwhile.
 */
struct profile_users;
struct profile_users_query;

/* Pods that an answer names. */
#define PROFILE_USERS_NAMED 5

struct profile_users_answer {
    size_t count;      /* of pods */
    struct strv named; /* "namespace/name", the first of them */
    bool complete;     /* all pods have been looked at */
};

/* Comes once, from the loop. */
typedef void (*profile_users_fn)(void *userdata, const struct profile_users_answer *answer);

struct profile_users *profile_users_new(struct kube_client *client);
/* What has been asked must have been cancelled. Before the client. */
void profile_users_free(struct profile_users *users);
DEFINE_CLEANUP(struct profile_users *, profile_users_free)

/* The names are copied. */
struct profile_users_query *profile_users_find(struct profile_users *users,
                                               const struct strv *profiles, profile_users_fn fn,
                                               void *userdata);
/* `fn` is not called. NULL is accepted; not from after the callback. */
void profile_users_cancel(struct profile_users_query *query);

/* A pod that has not ended asks for one of the profiles, or a child of one. */
bool profile_users_match(const cJSON *pod, const struct strv *profiles);
