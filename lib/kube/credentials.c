// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"

#define CREDENTIAL_MAX (1024 * 1024)
/* The kubelet rotates a token when 80 % of its life has passed; client-go re-reads each minute,
 * too. */
#define REFRESH_MS (60 * 1000)

static void wipe(char *data, size_t len)
{
    if (data)
        explicit_bzero(data, len);
    free(data);
}

void credential_done(struct credential *credential)
{
    free(credential->path);
    wipe(credential->data, credential->len);
    *credential = (struct credential){0};
}

static int reread(struct credential *credential, const char *what, bool *changed, struct error *err)
{
    _cleanup_buf_ struct buf content = BUF_INIT(CREDENTIAL_MAX);
    int r;

    if (!credential->path)
        return 0;
    r = fs_read(AT_FDCWD, credential->path, &content, err);
    if (r < 0) {
        error_wrap(err, "%s", what);
        return r;
    }
    if (content.len == 0)
        return error_set(err, -ENODATA, "%s: \"%s\" is empty", what, credential->path);
    if (credential->data && credential->len == content.len &&
        memcmp(credential->data, content.data, content.len) == 0) {
        explicit_bzero(content.data, content.len);
        return 0;
    }
    wipe(credential->data, credential->len);
    credential->len = content.len;
    credential->data = buf_take(&content);
    *changed = true;
    return 0;
}

int credentials_refresh(struct kube_config *config, bool force, struct error *err)
{
    uint64_t now = clock_monotonic_ms();
    bool token_changed = false, tls_changed = false;
    int r;

    if (config->read_once && !force && now - config->read_at < REFRESH_MS)
        return 0;
    /* A certificate and its key are two files: a failure half-way is repaired by the next read. */
    r = reread(&config->token, "bearer token", &token_changed, err);
    if (r == 0)
        r = reread(&config->ca, "certificate authority", &tls_changed, err);
    if (r == 0)
        r = reread(&config->certificate, "client certificate", &tls_changed, err);
    if (r == 0)
        r = reread(&config->key, "client key", &tls_changed, err);
    config->generation += token_changed || tls_changed;
    config->tls_generation += tls_changed;
    if (r < 0)
        return r;
    config->read_once = true;
    config->read_at = now;
    return 0;
}

static char *basic_authorization(const struct kube_config *config)
{
    _cleanup_free_ char *plain =
        xasprintf("%s:%s", config->username, config->password ? config->password : "");
    size_t len = strlen(plain);
    _cleanup_free_ unsigned char *encoded = xmalloc(len / 3 * 4 + 5);

    EVP_EncodeBlock(encoded, (const unsigned char *) plain, (int) len);
    explicit_bzero(plain, len);
    return xasprintf("Basic %s", (const char *) encoded);
}

char *credentials_authorization(const struct kube_config *config)
{
    size_t len = config->token.len;

    if (config->token.data) {
        /* A file ends with a line feed, which would split the header. */
        while (len > 0 && isspace((unsigned char) config->token.data[len - 1]))
            len--;
        if (len > 0)
            return xasprintf("Bearer %.*s", (int) len, config->token.data);
    }
    return config->username ? basic_authorization(config) : NULL;
}
