// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "controller/opinion.h"
#include "controller/profiles.h"
#include "controller/validator.h"
#include "lib/kube/client.h"
#include "lib/kube/informer.h"

/*
 * Forms the controller's opinion of each revision: reads its text, which nobody keeps in memory,
 * and has it compiled. A revision that is new goes first. One that has an opinion for other kernels
 * or of another compiler keeps it until there is a new one; these come one after the other, with
 * pauses of thrice the time that each took, as there may be many and nobody waits for them.
 *
 * An opinion that the status has for just this text, compiler and kernels is taken over: a restart
 * compiles nothing.
 */
struct reviews;

struct reviews_options {
    struct kube_client *client;
    const struct kube_informer *profiles;
    struct validator *validator;
    /* There is a new opinion of the profile. */
    void (*decided)(void *userdata, const char *profile);
    void *userdata;
};

/* All of the options are borrowed. */
struct reviews *reviews_new(const struct reviews_options *options);
/* Cancels what is under way; before the validator and the client. */
void reviews_free(struct reviews *reviews);
DEFINE_CLEANUP(struct reviews *, reviews_free)

/*
 * What there is of the profile, and asks for what there is not. `status`: its status as it is, or
 * NULL. The opinion is borrowed until the loop goes on. Returns for how many milliseconds it may be
 * worth waiting for a first opinion; 0: not.
 */
uint64_t reviews_look(struct reviews *reviews, const struct kube_object *profile,
                      const struct profile_spec *spec, const cJSON *status, struct opinion *ret);
void reviews_forget(struct reviews *reviews, const char *profile);
/* Profiles whose opinion is outstanding. */
size_t reviews_pending(const struct reviews *reviews);
