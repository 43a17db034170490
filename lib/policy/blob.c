// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/blob.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/base/utf8.h"
#include "lib/policy/blob_name.h"
#include "lib/policy/blob_pdb.h"
#include "lib/policy/blob_reader.h"

/* security/apparmor/policy_unpack.c and include/policy_unpack.h */
enum {
    PROFILES_MAX = 1000,
    ABI_MASK = 0x3ff,
    ABI_MIN = 5,
    ABI_MAX = 9,
    VERSION_FORCE_COMPLAIN = 0x800,
    FLAG_HAT = 1,
    MODE_MAX = POLICY_USER - POLICY_ENFORCE,
    RLIMITS_MAX = 16,
    SIGNAL_MAX = 64,
};

struct decoder {
    struct blob_reader reader;
    struct blob *blob;
    struct map *names;            /* of all profiles so far */
    struct blob_profile *profile; /* the record being read, or NULL */
    struct error *err;
};

static int refuse(struct decoder *decoder, const char *what)
{
    const struct blob_profile *profile = decoder->profile;

    if (profile && profile->name)
        return error_set(decoder->err, -EBADMSG, "compiled policy: profile '%s', byte %zu: %s",
                         profile->name, decoder->reader.pos, what);
    return error_set(decoder->err, -EBADMSG, "compiled policy: byte %zu: %s", decoder->reader.pos,
                     what);
}

static int refuse_name(struct decoder *decoder, const char *name, const char *what)
{
    /* Nothing is quoted that a status or a terminal would stumble over. */
    enum { QUOTED_MAX = 200 };
    size_t len = strlen(name);

    if (!blob_name_printable(name, len))
        return error_set(decoder->err, -EBADMSG, "the name of profile number %zu: %s: rename it",
                         decoder->blob->count, what);
    return error_set(decoder->err, -EBADMSG, "profile name '%.*s%s': %s: rename it",
                     (int) utf8_cut(name, len, QUOTED_MAX), name, len > QUOTED_MAX ? "..." : "",
                     what);
}

/* --- the parts of a record, in their order --- */

static int read_version(struct decoder *decoder, bool *ret_force_complain)
{
    struct blob_reader *reader = &decoder->reader;
    struct blob_span namespace;
    uint32_t version;

    if (!blob_take_u32(reader, "version", &version))
        return refuse(decoder, "a profile's version is missing");
    if ((version & ABI_MASK) < ABI_MIN || (version & ABI_MASK) > ABI_MAX)
        return refuse(decoder, "the format's version is unknown");
    decoder->profile->version_offset = reader->pos - sizeof(version);
    decoder->profile->digest_offset = reader->pos;
    if (blob_take_string(reader, "namespace", &namespace))
        return refuse(decoder, "it names a namespace, which would move all profiles of a load: "
                               "remove the :namespace: prefix");
    *ret_force_complain = version & VERSION_FORCE_COMPLAIN;
    return 0;
}

static int read_name(struct decoder *decoder)
{
    struct blob_profile *profile = decoder->profile;
    struct blob_span name;

    if (!blob_take(&decoder->reader, BLOB_CODE_STRUCT, "profile") ||
        !blob_take_string(&decoder->reader, NULL, &name))
        return refuse(decoder, "a profile's name is missing");
    if (memchr(name.data, '\0', name.len))
        return refuse(decoder, "a profile's name holds a NUL");
    profile->name = xstrndup((const char *) name.data, name.len);

    const char *problem = blob_name_check(profile->name, name.len);
    if (problem)
        return refuse_name(decoder, profile->name, problem);
    if (!map_set(decoder->names, profile->name, profile->name))
        return error_set(decoder->err, -EBADMSG,
                         "profile '%s' is defined twice (a child profile and a profile of the same "
                         "full name count as two): rename one",
                         profile->name);
    profile->child = blob_name_parent(profile->name) > 0;
    return 0;
}

static int read_attachment(struct decoder *decoder)
{
    struct blob_reader *reader = &decoder->reader;
    struct blob_profile *profile = decoder->profile;
    struct blob_span text;
    bool xmatch;
    uint32_t length;

    if (blob_take_string(reader, "rename", &text))
        return refuse(decoder, "it renames another profile");
    if (blob_take_string(reader, "attach", &text)) {
        if (memchr(text.data, '\0', text.len))
            return refuse(decoder, "its attachment holds a NUL");
        profile->attachment = xstrndup((const char *) text.data, text.len);
    }

    const char *problem = blob_pdb_read(reader, BLOB_PDB_XMATCH, &xmatch);
    if (problem)
        return refuse(decoder, problem);
    if (xmatch && !blob_take_u32(reader, NULL, &length))
        return refuse(decoder, "the length of its attachment is missing");

    /* Kernels compare a profile without an xmatch with the path of the program. */
    bool path_name = profile->name[0] == '/';
    profile->attaches = !profile->child && (xmatch || path_name);
    if (!profile->attaches) {
        free(profile->attachment);
        profile->attachment = NULL;
    } else if (!profile->attachment && path_name) {
        profile->attachment = xstrdup(profile->name);
    }
    return 0;
}

static int read_optional_strings(struct decoder *decoder)
{
    struct blob_reader *reader = &decoder->reader;
    struct blob_span text;
    uint32_t number;

    (void) blob_take_string(reader, "disconnected", &text);
    (void) blob_take_string(reader, "disconnected_ipc", &text);
    if (blob_take_u32(reader, "kill", &number) && (number < 1 || number > SIGNAL_MAX))
        return refuse(decoder, "its kill signal is unknown");
    (void) blob_take_u32(reader, "error", &number);
    return 0;
}

static int read_flags(struct decoder *decoder, bool force_complain)
{
    struct blob_reader *reader = &decoder->reader;
    struct blob_profile *profile = decoder->profile;
    uint32_t flags, mode, audit, path_flags;

    if (!blob_take(reader, BLOB_CODE_STRUCT, "flags") || !blob_take_u32(reader, NULL, &flags) ||
        !blob_take_u32(reader, NULL, &mode))
        return refuse(decoder, "its flags are missing");
    profile->mode_offset = reader->pos - sizeof(mode);
    if (mode > MODE_MAX)
        return refuse(decoder, "its mode is unknown");
    if (!blob_take_u32(reader, NULL, &audit) || !blob_take(reader, BLOB_CODE_STRUCT_END, NULL))
        return refuse(decoder, "its flags are not understood");
    (void) blob_take_u32(reader, "path_flags", &path_flags);

    profile->hat = flags & FLAG_HAT;
    profile->mode = force_complain ? POLICY_COMPLAIN : POLICY_ENFORCE + mode;
    return 0;
}

static bool take_words(struct blob_reader *reader, size_t count)
{
    uint32_t word;

    while (count > 0 && blob_take_u32(reader, NULL, &word))
        count--;
    return count == 0;
}

static int read_capabilities(struct decoder *decoder)
{
    struct blob_reader *reader = &decoder->reader;

    if (!take_words(reader, 4))
        return refuse(decoder, "its capabilities are missing");
    if (blob_take(reader, BLOB_CODE_STRUCT, "caps64") &&
        (!take_words(reader, 4) || !blob_take(reader, BLOB_CODE_STRUCT_END, NULL)))
        return refuse(decoder, "its upper capabilities are not understood");
    if (blob_take(reader, BLOB_CODE_STRUCT, "capsx") &&
        (!take_words(reader, 2) || !blob_take(reader, BLOB_CODE_STRUCT_END, NULL)))
        return refuse(decoder, "its extended capabilities are not understood");
    return 0;
}

static bool take_ends(struct blob_reader *reader)
{
    return blob_take(reader, BLOB_CODE_ARRAY_END, NULL) &&
           blob_take(reader, BLOB_CODE_STRUCT_END, NULL);
}

static int read_xattrs(struct decoder *decoder)
{
    struct blob_reader *reader = &decoder->reader;
    struct blob_span name;
    uint16_t count;

    if (!blob_take(reader, BLOB_CODE_STRUCT, "xattrs"))
        return 0;
    if (!blob_take_array(reader, NULL, &count))
        return refuse(decoder, "its xattrs are not understood");
    for (uint16_t i = 0; i < count; i++) {
        if (!blob_take_string(reader, NULL, &name))
            return refuse(decoder, "its xattrs are not understood");
    }
    if (!take_ends(reader))
        return refuse(decoder, "its xattrs are not understood");
    if (count > 0 && !decoder->profile->child)
        decoder->profile->attaches = true;
    return 0;
}

static int read_rlimits(struct decoder *decoder)
{
    struct blob_reader *reader = &decoder->reader;
    uint16_t count;
    uint64_t limit;

    if (!blob_take(reader, BLOB_CODE_STRUCT, "rlimits"))
        return 0;
    if (!take_words(reader, 1) || !blob_take_array(reader, NULL, &count) || count > RLIMITS_MAX)
        return refuse(decoder, "its rlimits are not understood");
    for (uint16_t i = 0; i < count; i++) {
        if (!blob_take_u64(reader, NULL, &limit))
            return refuse(decoder, "its rlimits are not understood");
    }
    return take_ends(reader) ? 0 : refuse(decoder, "its rlimits are not understood");
}

static int read_secmark(struct decoder *decoder)
{
    struct blob_reader *reader = &decoder->reader;
    struct blob_span label;
    uint16_t count;
    uint8_t audit, deny;

    if (!blob_take(reader, BLOB_CODE_STRUCT, "secmark"))
        return 0;
    if (!blob_take_array(reader, NULL, &count))
        return refuse(decoder, "its secmark rules are not understood");
    for (uint16_t i = 0; i < count; i++) {
        if (!blob_take_u8(reader, NULL, &audit) || !blob_take_u8(reader, NULL, &deny) ||
            !blob_take_string(reader, NULL, &label))
            return refuse(decoder, "its secmark rules are not understood");
    }
    return take_ends(reader) ? 0 : refuse(decoder, "its secmark rules are not understood");
}

static int read_network(struct decoder *decoder)
{
    struct blob_reader *reader = &decoder->reader;
    uint16_t families, mask;

    if (!blob_take_array(reader, "net_allowed_af", &families))
        return 0;
    for (size_t i = 0; i < (size_t) families * 3; i++) {
        if (!blob_take_u16(reader, NULL, &mask))
            return refuse(decoder, "its network rules are not understood");
    }
    if (!blob_take(reader, BLOB_CODE_ARRAY_END, NULL))
        return refuse(decoder, "its network rules are not understood");
    return 0;
}

static int read_rules(struct decoder *decoder)
{
    struct blob_reader *reader = &decoder->reader;
    const char *problem;
    bool present;

    if (blob_take(reader, BLOB_CODE_STRUCT, "policydb")) {
        problem = blob_pdb_read(reader, BLOB_PDB_POLICY, &present);
        if (problem)
            return refuse(decoder, problem);
        if (!blob_take(reader, BLOB_CODE_STRUCT_END, NULL))
            return refuse(decoder, "its rules are not understood");
    }
    problem = blob_pdb_read(reader, BLOB_PDB_FILE, &present);
    return problem ? refuse(decoder, problem) : 0;
}

static int read_data(struct decoder *decoder)
{
    struct blob_reader *reader = &decoder->reader;
    _cleanup_(map_freep) struct map *keys = map_new(NULL);
    struct blob_span key, value;

    if (!blob_take(reader, BLOB_CODE_STRUCT, "data"))
        return 0;
    while (blob_take_string(reader, NULL, &key)) {
        if (memchr(key.data, '\0', key.len) || !blob_take_bytes(reader, NULL, &value))
            return refuse(decoder, "its data is not understood");
        if (!map_set(keys, (const char *) key.data, decoder))
            return refuse(decoder, "its data holds a key twice");
    }
    if (!blob_take(reader, BLOB_CODE_STRUCT_END, NULL))
        return refuse(decoder, "its data is not understood");
    return 0;
}

static int read_body(struct decoder *decoder, bool force_complain)
{
    int r = read_attachment(decoder);
    if (r == 0)
        r = read_optional_strings(decoder);
    if (r == 0)
        r = read_flags(decoder, force_complain);
    if (r == 0)
        r = read_capabilities(decoder);
    if (r == 0)
        r = read_xattrs(decoder);
    if (r == 0)
        r = read_rlimits(decoder);
    if (r == 0)
        r = read_secmark(decoder);
    if (r == 0)
        r = read_network(decoder);
    if (r == 0)
        r = read_rules(decoder);
    if (r == 0)
        r = read_data(decoder);
    if (r == 0 && !blob_take(&decoder->reader, BLOB_CODE_STRUCT_END, NULL))
        r = refuse(decoder, "its end is not understood");
    return r;
}

static int read_record(struct decoder *decoder)
{
    struct blob *blob = decoder->blob;
    bool force_complain = false;

    if (blob->count == PROFILES_MAX)
        return refuse(decoder, "there are more than 1000 profiles: split the policy");
    blob->profiles = xreallocarray(blob->profiles, blob->count + 1, sizeof(*blob->profiles));
    decoder->profile = &blob->profiles[blob->count++];
    *decoder->profile = (struct blob_profile){.offset = decoder->reader.pos};

    int r = read_version(decoder, &force_complain);
    if (r == 0)
        r = read_name(decoder);
    if (r == 0)
        r = read_body(decoder, force_complain);
    decoder->profile->len = decoder->reader.pos - decoder->profile->offset;
    decoder->profile = NULL;
    return r;
}

/* --- the whole --- */

static int check_parents(struct decoder *decoder)
{
    for (size_t i = 0; i < decoder->blob->count; i++) {
        const struct blob_profile *profile = &decoder->blob->profiles[i];

        if (!profile->child)
            continue;
        _cleanup_free_ char *parent = xstrndup(profile->name, blob_name_parent(profile->name));
        if (!map_has(decoder->names, parent))
            return error_set(
                decoder->err, -EBADMSG,
                "profile '%s' is a child of '%s', which is not defined: define it, choose "
                "a name without //, or nest profiles one deep only (older compilers "
                "lose the outer names)",
                profile->name, parent);
    }
    return 0;
}

static int check_start(struct decoder *decoder)
{
    static const uint8_t COMPRESSED[] = {0x01, 0x03, 0x00}, ZSTD[] = {0x28, 0xb5, 0x2f, 0xfd};
    const struct blob_reader *reader = &decoder->reader;

    if (reader->len == 0)
        return refuse(decoder, "there is no profile in it");
    if (reader->len > BLOB_SIZE_MAX)
        return refuse(decoder, "it is larger than 16 MiB: split the policy");
    if ((reader->len >= sizeof(COMPRESSED) &&
         memcmp(reader->data, COMPRESSED, sizeof(COMPRESSED)) == 0) ||
        (reader->len >= sizeof(ZSTD) && memcmp(reader->data, ZSTD, sizeof(ZSTD)) == 0))
        return refuse(decoder, "it is compressed: compile it with -c0");
    return 0;
}

static int read_all(struct decoder *decoder)
{
    int r = check_start(decoder);

    while (r == 0 && decoder->reader.pos < decoder->reader.len)
        r = read_record(decoder);
    return r == 0 ? check_parents(decoder) : r;
}

int blob_decode(const void *data, size_t len, struct blob **ret, struct error *err)
{
    _cleanup_(blob_freep) struct blob *blob = xcalloc(1, sizeof(*blob));
    _cleanup_(map_freep) struct map *names = map_new(NULL);
    struct decoder decoder = {.reader = {.data = data, .len = len},
                              .blob = blob,
                              .names = names,
                              .err = err};

    int r = read_all(&decoder);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(blob);
    return 0;
}

void blob_free(struct blob *blob)
{
    if (!blob)
        return;
    for (size_t i = 0; i < blob->count; i++) {
        free(blob->profiles[i].name);
        free(blob->profiles[i].attachment);
    }
    free(blob->profiles);
    free(blob);
}

/* --- what is done with it --- */

const char *blob_profile_digest(const void *data, const struct blob_profile *profile,
                                enum digest_type type, char ret[static DIGEST_HEX_SIZE])
{
    /* security/apparmor/crypto.c, aa_calc_profile_hash() */
    const uint8_t *bytes = data;
    struct digest_part parts[] = {
        {bytes + profile->version_offset, sizeof(uint32_t)},
        {bytes + profile->digest_offset, profile->len - (profile->digest_offset - profile->offset)},
    };

    return digest_hex(type, parts, ARRAY_SIZE(parts), ret);
}

void blob_set_mode(void *data, struct blob *blob, enum policy_mode mode)
{
    uint8_t *bytes = data;

    if (mode == POLICY_MODE_UNSET)
        return;
    assert(mode >= POLICY_ENFORCE && mode <= POLICY_UNCONFINED);

    for (size_t i = 0; i < blob->count; i++) {
        struct blob_profile *profile = &blob->profiles[i];

        memset(bytes + profile->mode_offset, 0, sizeof(uint32_t));
        bytes[profile->mode_offset] = (uint8_t) (mode - POLICY_ENFORCE);
        bytes[profile->version_offset + 1] &= (uint8_t) ~(VERSION_FORCE_COMPLAIN >> 8);
        profile->mode = mode;
    }
}

enum policy_mode blob_mode(const struct blob *blob)
{
    if (blob->count == 0)
        return POLICY_MODE_UNSET;
    for (size_t i = 1; i < blob->count; i++) {
        if (blob->profiles[i].mode != blob->profiles[0].mode)
            return POLICY_MIXED;
    }
    return blob->profiles[0].mode;
}
