// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The compiled matching automata (security/apparmor/match.c, aa_dfa_unpack() and verify_dfa()).
 * Kernels have trusted automata that led them astray, so each is checked here in full before one
 * sees it.
 */
struct blob_dfa {
    size_t states;
    const uint8_t *accept; /* a big-endian u32 per state, within the blob */
};

enum blob_accept2 {
    BLOB_ACCEPT2_NEEDED,
    BLOB_ACCEPT2_REFUSED,
};

/* Returns NULL when the automaton is sound, else what is wrong with it. */
const char *blob_dfa_check(const uint8_t *data, size_t len, enum blob_accept2 accept2,
                           struct blob_dfa *ret);
uint32_t blob_dfa_accept(const struct blob_dfa *dfa, size_t state);
