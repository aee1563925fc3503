/* Profiles: a context's variables, from defaults and a text file. */
#include "droplet.h"
#include "tls.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STRING_MAX = 256 };

#define LOG_ERROR(ctx, ...) dpl_log(ctx, DPL_ERROR, "profile.c", __func__, __LINE__, __VA_ARGS__)

/* ---- variables: each setter says whether it took the value ------------------------- */

#define NUMBER(variable, field) \
    static bool set_##variable(dpl_ctx_t *ctx, const char *value) { \
        ctx->field = atoi(value); \
        return true; \
    }

#define STRING(variable, field) \
    static bool set_##variable(dpl_ctx_t *ctx, const char *value) { \
        free(ctx->field); \
        ctx->field = strdup(value); \
        return ctx->field != NULL; \
    }

#define BOOLEAN(variable, field) \
    static bool set_##variable(dpl_ctx_t *ctx, const char *value) { \
        bool yes = strcasecmp(value, "true") == 0; \
        ctx->field = yes; \
        return yes || strcasecmp(value, "false") == 0; \
    }

BOOLEAN(use_https, use_https)
BOOLEAN(cert_verif, cert_verif)
BOOLEAN(url_encoding, url_encoding)
NUMBER(blacklist_expiretime, blacklist_expiretime)
NUMBER(connection_timeout, conn_timeout)
NUMBER(read_timeout, read_timeout)
NUMBER(write_timeout, write_timeout)
NUMBER(read_buf_size, read_buf_size)
NUMBER(header_size, header_size)
NUMBER(enterprise_number, enterprise_number)
STRING(pricing_dir, pricing_dir)
STRING(ssl_ca_list, ssl_ca_list)
STRING(ssl_crl_list, ssl_crl_list)

static bool set_host(dpl_ctx_t *ctx, const char *value) {
    if (ctx->addrlist)
        return false; /* given twice */
    ctx->addrlist = dpl_addrlist_create_from_str(ctx->use_https ? "443" : "80", value);
    return ctx->addrlist != NULL;
}

static bool set_port(dpl_ctx_t *ctx, const char *value) {
    dpl_log(ctx, DPL_WARNING, "profile.c", __func__, __LINE__, "port %s is ignored", value);
    return true;
}

/* Only whether it needs hosts is ever asked. As in Droplet, a backend is a constant, by which a layout is told. */
static struct dpl_backend_s {
    const char *name;
} s3 = {"s3"}, posix = {"posix"};

static bool set_backend(dpl_ctx_t *ctx, const char *value) {
    ctx->backend = strcmp(value, posix.name) == 0 ? &posix : &s3;
    return true;
}

static char *from_droplet_dir(dpl_ctx_t *ctx, const char *path) {
    char *whole = NULL;

    if (path[0] == '/')
        return strdup(path);
    return asprintf(&whole, "%s/%s", ctx->droplet_dir, path) < 0 ? NULL : whole;
}

static bool set_ssl_cert_file(dpl_ctx_t *ctx, const char *value) {
    free(ctx->ssl_cert_file);
    return (ctx->ssl_cert_file = from_droplet_dir(ctx, value)) != NULL;
}

static bool set_ssl_key_file(dpl_ctx_t *ctx, const char *value) {
    free(ctx->ssl_key_file);
    return (ctx->ssl_key_file = from_droplet_dir(ctx, value)) != NULL;
}

static const struct variable {
    const char *name;
    bool (*set)(dpl_ctx_t *, const char *);
} variables[] = {
    {"use_https", set_use_https},
    {"cert_verif", set_cert_verif},
    {"host", set_host},
    {"port", set_port},
    {"backend", set_backend},
    {"blacklist_expiretime", set_blacklist_expiretime},
    {"connection_timeout", set_connection_timeout},
    {"read_timeout", set_read_timeout},
    {"write_timeout", set_write_timeout},
    {"read_buf_size", set_read_buf_size},
    {"header_size", set_header_size},
    {"enterprise_number", set_enterprise_number},
    {"url_encoding", set_url_encoding},
    {"pricing_dir", set_pricing_dir},
    {"ssl_ca_list", set_ssl_ca_list},
    {"ssl_crl_list", set_ssl_crl_list},
    {"ssl_cert_file", set_ssl_cert_file},
    {"ssl_key_file", set_ssl_key_file},
};

static dpl_status_t set_variable(dpl_ctx_t *ctx, const char *name, const char *value) {
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        if (strcmp(variables[i].name, name) != 0)
            continue;
        if (variables[i].set(ctx, value))
            return DPL_SUCCESS;
        LOG_ERROR(ctx, "value of %s refused: %s", name, value);
        return DPL_FAILURE;
    }
    LOG_ERROR(ctx, "no such variable: %s", name);
    return DPL_FAILURE;
}

/* ---- the text ---------------------------------------------------------------------- */

/* Reads one "variable = value" up to its newline or ';'. Returns the end, NULL if too long. */
static const char *read_statement(const char *text, char *name, char *value) {
    char *to = name;
    size_t len = 0;
    bool quoted = false;

    *name = *value = '\0';
    for (; *text && *text != '\n' && (quoted || *text != ';'); text++) {
        if (*text == '"') {
            quoted = !quoted;
        } else if (!quoted && *text == '#') {
            text += strcspn(text, "\n") - 1;
        } else if (!quoted && *text == '=' && to == name) {
            to = value;
            len = 0;
        } else if (quoted || !isblank((unsigned char)*text)) {
            if (len == STRING_MAX)
                return NULL;
            to[len++] = *text;
            to[len] = '\0';
        }
    }
    return *text ? text + 1 : text;
}

static dpl_status_t read_profile(dpl_ctx_t *ctx, const char *text) {
    char name[STRING_MAX + 1];
    char value[STRING_MAX + 1];

    while (*text) {
        text = read_statement(text, name, value);
        if (!text)
            return DPL_ENAMETOOLONG;
        if (*name && set_variable(ctx, name, value) != DPL_SUCCESS)
            return DPL_FAILURE;
    }
    return DPL_SUCCESS;
}

static char *file_text(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    if (!file)
        return NULL;
    if (getdelim(&text, &size, '\0', file) < 0 && text)
        *text = '\0';
    fclose(file);
    return text;
}

/* ---- a context's profile ----------------------------------------------------------- */

dpl_status_t dpl_profile_default(dpl_ctx_t *ctx) {
    ctx->n_conn_buckets = DPL_DEFAULT_N_CONN_BUCKETS;
    ctx->n_conn_max = DPL_DEFAULT_N_CONN_MAX;
    ctx->n_conn_max_hits = DPL_DEFAULT_N_CONN_MAX_HITS;
    ctx->conn_idle_time = DPL_DEFAULT_CONN_IDLE_TIME;
    ctx->conn_timeout = DPL_DEFAULT_CONN_TIMEOUT;
    ctx->read_timeout = DPL_DEFAULT_READ_TIMEOUT;
    ctx->write_timeout = DPL_DEFAULT_WRITE_TIMEOUT;
    ctx->blacklist_expiretime = DPL_DEFAULT_BLACKLIST_EXPIRETIME;
    ctx->read_buf_size = DPL_DEFAULT_READ_BUF_SIZE;
    ctx->header_size = DPL_DEFAULT_HEADER_SIZE;
    ctx->max_redirects = DPL_DEFAULT_MAX_REDIRECTS;
    ctx->enterprise_number = DPL_DEFAULT_ENTERPRISE_NUMBER;
    ctx->aws_auth_sign_version = DPL_DEFAULT_AWS_AUTH_SIGN_VERSION;
    strcpy(ctx->aws_region, DPL_DEFAULT_AWS_REGION);
    ctx->backend = &s3;
    ctx->cert_verif = 1;
    ctx->keep_alive = 1;
    ctx->url_encoding = 1;
    ctx->base_path = strdup(DPL_DEFAULT_BASE_PATH);
    ctx->ssl_cipher_list = strdup(DPL_DEFAULT_SSL_CIPHER_LIST);
    return ctx->base_path && ctx->ssl_cipher_list ? DPL_SUCCESS : DPL_ENOMEM;
}

dpl_status_t dpl_profile_load(dpl_ctx_t *ctx, const char *droplet_dir, const char *profile_name) {
    char path[DPL_MAXPATHLEN];
    char *text;
    dpl_status_t status = dpl_profile_default(ctx);

    if (status != DPL_SUCCESS)
        return status;
    ctx->droplet_dir = strdup(droplet_dir);
    ctx->profile_name = strdup(profile_name);
    snprintf(path, sizeof path, "%s/%s.profile", droplet_dir, profile_name);
    text = file_text(path);
    if (!text) {
        LOG_ERROR(ctx, "cannot read %s", path);
        return DPL_FAILURE;
    }
    status = read_profile(ctx, text);
    free(text);
    return status;
}

dpl_status_t dpl_profile_post(dpl_ctx_t *ctx) {
    if (!ctx->addrlist && ctx->backend != &posix) {
        LOG_ERROR(ctx, "the profile names no host");
        return DPL_EINVAL;
    }
    if (ctx->use_https && host_tls_init(ctx) != DPL_SUCCESS)
        return DPL_FAILURE;
    return dpl_conn_pool_init(ctx);
}

void dpl_profile_free(dpl_ctx_t *ctx) {
    dpl_conn_pool_destroy(ctx);
    if (ctx->addrlist)
        dpl_addrlist_free(ctx->addrlist);
    SSL_CTX_free(ctx->ssl_ctx);
    free(ctx->base_path);
    free(ctx->ssl_cert_file);
    free(ctx->ssl_key_file);
    free(ctx->ssl_ca_list);
    free(ctx->ssl_crl_list);
    free(ctx->ssl_cipher_list);
    free(ctx->pricing_dir);
    free(ctx->droplet_dir);
    free(ctx->profile_name);
}
