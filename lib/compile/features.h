// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/error.h"

/*
 * What a kernel's AppArmor can do, as the compiler takes it: the text that files of
 * /etc/apparmor.d/abi and /usr/share/apparmor-features are made of. A kernel shows it as a folder;
 * in whichever way it came, the same features are the same text and have the same id.
 */
struct features;

/* Bytes of a text. libapparmor itself takes no more than 8 KiB. */
#define FEATURES_MAX ((size_t) 64 * 1024)
/* Hex characters of an id and a NUL: the first 128 bits of the text's SHA-256. */
#define FEATURES_ID_SIZE 33

/* ConfigMaps of the operator's namespace have the texts of nodes' kernels: named by this prefix and
 * the id, with this label "true", and the text under this key. */
#define FEATURES_PREFIX "apparmor-features-"
#define FEATURES_LABEL "apparmor.io/features"
#define FEATURES_KEY "features"

/* Of a kernel's folder, or of a file with such a text. -ENOENT when there is nothing in it. */
_must_check_ int features_read(const char *path, struct features **ret, struct error *err);
/* -EINVAL: the text is empty or too long. */
_must_check_ int features_new(const char *text, size_t len, struct features **ret,
                              struct error *err);
struct features *features_ref(struct features *features);
void features_unref(struct features *features);
DEFINE_CLEANUP(struct features *, features_unref)

const char *features_id(const struct features *features);
/* What features_id() would be. */
void features_id_of(const char *text, size_t len, char ret[static FEATURES_ID_SIZE]);
/* A sealed file in memory with the text, so that a child reads what nobody can change. */
int features_fd(const struct features *features);
/* Appends the text. */
_must_check_ int features_text(const struct features *features, struct buf *out, struct error *err);
