// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/policy/blob_reader.h"

/*
 * An automaton with what belongs to it: the table of permissions that newer kernels take, start
 * states, and the names that it leads to (security/apparmor/policy_unpack.c, unpack_pdb() and
 * verify_profile(); older kernels inline the same).
 */
enum blob_pdb_kind {
    BLOB_PDB_XMATCH, /* which programs a profile attaches to */
    BLOB_PDB_POLICY, /* rules other than files'; not optional once begun */
    BLOB_PDB_FILE,
};

/* Returns NULL when it is absent or sound, else what is wrong with it. */
const char *blob_pdb_read(struct blob_reader *reader, enum blob_pdb_kind kind, bool *ret_present);
