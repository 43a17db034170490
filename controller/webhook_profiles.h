// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "controller/admission.h"
#include "controller/declared.h"
#include "controller/profile_users.h"
#include "controller/validator.h"

/*
 * AppArmorProfiles before they are stored: what no node could load is refused, with the line and
 * what to do; what may not be what is meant is told. Never in the way: an update that leaves the
 * spec as it is, one of an object that is being deleted, and what cannot be decided in time.
 */
struct webhook_profiles;

/* The annotation of an object that takes over the profiles of the one that it names. */
#define WEBHOOK_PROFILES_REPLACES "apparmor.io/replaces"

struct webhook_profiles_options {
    struct validator *validator;
    const struct declared *declared;
    struct profile_users *users;
};

/* The options' parts are borrowed. */
struct webhook_profiles *webhook_profiles_new(const struct webhook_profiles_options *options);
/* What has been asked is answered with an error. */
void webhook_profiles_free(struct webhook_profiles *webhook);
DEFINE_CLEANUP(struct webhook_profiles *, webhook_profiles_free)

#define WEBHOOK_PROFILES_PATHS 1
void webhook_profiles_paths(struct webhook_profiles *webhook,
                            struct admission_webhook ret[static WEBHOOK_PROFILES_PATHS]);
