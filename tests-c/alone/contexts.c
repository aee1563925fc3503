/* Contexts from dictionaries and profiles, requests over http and https, and misuse. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/clock.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/logs.h"
#include "support/scratch.h"

/* Names and values, up to a NULL name. */
static dpl_dict_t *dictionary(const char *const variables[]) {
    dpl_dict_t *dict = dpl_dict_new(13);

    for (; *variables; variables += 2)
        REQUIRE(dpl_dict_add(dict, variables[0], variables[1], 0) == DPL_SUCCESS, "%s is added",
                variables[0]);
    return dict;
}

static dpl_ctx_t *context_of(const char *const variables[]) {
    dpl_dict_t *dict = dictionary(variables);
    dpl_ctx_t *ctx = dpl_ctx_new_from_dict(dict);

    dpl_dict_free(dict);
    return ctx;
}

static void dictionary_makes_a_context(void) {
    struct server *server = server_start((struct server_options){.id = 1, .tls = TLS_NEVER});
    dpl_ctx_t *ctx = context_of((const char *[]){
        "host", server_name(server), "access_key", "a b#\"\\", "droplet_dir", "/some/folder",
        "profile_name", "x", "ssl_cert_file", "c.pem", "pricing_dir", "", NULL});

    REQUIRE(ctx, "a context is made");
    CHECK_STR(ctx->access_key, "a b#\"\\", "values are taken as they are");
    CHECK_STR(ctx->droplet_dir, "/some/folder", "droplet_dir");
    CHECK_STR(ctx->profile_name, "x", "profile_name");
    CHECK_STR(ctx->ssl_cert_file, "/some/folder/c.pem", "which relative paths begin with");
    CHECK_INT(dpl_header_size, DPL_DEFAULT_HEADER_SIZE, "dpl_header_size is the context's");
    CHECK_STR(*(const char **)ctx->backend, "s3", "the backend has its name");
    CHECK(ctx->cwds && dpl_dict_count(ctx->cwds) == 0, "no bucket has a current folder");
    CHECK_STR(ctx->cur_bucket, "", "no bucket is the current one");
    CHECK(answered(ctx, 7), "a request is answered");
    CHECK_INT(ctx->n_conn_fds, 1, "the connection is counted");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void dictionary_sets_up_https(void) {
    struct server *server = server_start((struct server_options){.id = 1, .tls = TLS_ALWAYS});
    /* The order in which the dictionary keeps them does not matter. */
    dpl_ctx_t *ctx = context_of((const char *[]){"host", server_name(server), "use_https", "true",
                                                 "ssl_ca_list", authority_file(), NULL});
    dpl_ctx_t *stranger =
        context_of((const char *[]){"host", server_name(server), "use_https", "true", NULL});
    dpl_ctx_t *careless = context_of((const char *[]){"host", server_name(server), "use_https",
                                                      "true", "cert_verif", "false", NULL});

    REQUIRE(ctx && stranger && careless, "contexts are made");
    CHECK(answered(ctx, 1), "a request is answered");
    CHECK(answered(ctx, 2), "and one more");
    CHECK(EVENTUALLY(server_accepted(server) == 1), "over one connection");
    CHECK(!answered(stranger, 3), "who does not know the authority is not answered");
    CHECK(answered(careless, 4), "unless it does not care");
    dpl_ctx_free(ctx);
    dpl_ctx_free(stranger);
    dpl_ctx_free(careless);
    server_stop(server);
}

static void https_has_a_port_of_its_own(void) {
    dpl_ctx_t *ctx = context_of((const char *[]){"host", "127.0.0.1", "use_https", "true", NULL});
    char *hosts;

    REQUIRE(ctx, "a context is made");
    hosts = dpl_addrlist_get(ctx->addrlist);
    CHECK_STR(hosts, "127.0.0.1:443", "use_https counts wherever it stands in a dictionary");
    free(hosts);
    dpl_ctx_free(ctx);
    ctx = context_from_text("host = 127.0.0.1\nuse_https = true\n");
    REQUIRE(ctx, "a context is made");
    hosts = dpl_addrlist_get(ctx->addrlist);
    CHECK_STR(hosts, "127.0.0.1:80", "and in a profile for what follows");
    free(hosts);
    dpl_ctx_free(ctx);
}

static void password_opens_the_key(void) {
    static const char open_key[] =
        "use_https = true\nhost = 127.0.0.1\nssl_password = \"open me\"\n";
    const char *identity = client_identity_file(); /* another one at each call */
    char path[512];
    char text[1024];
    FILE *file = fopen(identity, "r");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

    REQUIRE(key && fclose(file) == 0, "there is a key");
    snprintf(path, sizeof path, "%s/locked.pem", scratch_dir());
    file = fopen(path, "w");
    REQUIRE(file &&
                PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (const unsigned char *)"open me",
                                     7, NULL, NULL) == 1 &&
                fclose(file) == 0,
            "it is written with a password");
    EVP_PKEY_free(key);

    snprintf(text, sizeof text, "%sssl_cert_file = %s\nssl_key_file = locked.pem\n", open_key,
             identity);
    dpl_ctx_t *ctx = context_from_text(text);
    CHECK(ctx != NULL, "a context is made with the password");
    CHECK(ctx && SSL_CTX_check_private_key(ctx->ssl_ctx) == 1, "it has the key");
    dpl_ctx_free(ctx);
    logs_collect();
    CHECK(!context_from_text("use_https = true\nhost = 127.0.0.1\nssl_key_file = locked.pem\n"),
          "but not without");
    CHECK_INT(logs_with(":3: ssl_key_file: the key is encrypted, and ssl_password is not set"), 1,
              "reported");
    CHECK(!context_from_text(
              "use_https = true\nhost = 127.0.0.1\nssl_key_file = locked.pem\nssl_password = x\n"),
          "nor with another");
    CHECK_INT(logs_with(":3: ssl_key_file: "), 2, "reported");
    CHECK_INT(logs_count(), 2, "and no more");
}

static void unusable_dictionaries_are_told_of(void) {
    dpl_dict_t *dict = dictionary((const char *[]){"host", "127.0.0.1", NULL});

    logs_collect();
    CHECK(!dpl_ctx_new_from_dict(NULL), "no dictionary");
    CHECK_INT(logs_with("dpl_ctx_new_from_dict: the dictionary is NULL"), 1, "reported");

    dpl_value_t number = {.ptr = &number, .type = DPL_VALUE_VOIDPTR};
    dpl_dict_add_value(dict, "read_timeout", &number, 0);
    CHECK(!dpl_ctx_new_from_dict(dict), "a pointer for a string");
    CHECK_INT(logs_with("dictionary: read_timeout: not a string"), 1, "reported");

    dpl_value_t *value = dpl_dict_get(dict, "read_timeout")->val;
    dpl_dict_get(dict, "read_timeout")->val = NULL;
    CHECK(!dpl_ctx_new_from_dict(dict), "NULL for a value");
    CHECK_INT(logs_with("dictionary: read_timeout: not a string"), 2, "reported");
    dpl_dict_get(dict, "read_timeout")->val = value;

    dpl_dict_var_t *var = dpl_dict_get(dict, "read_timeout");
    char *key = var->key;
    var->key = NULL;
    CHECK(!dpl_ctx_new_from_dict(dict), "NULL for a name");
    CHECK_INT(logs_with("dictionary: a variable without a name"), 1, "reported");
    var->key = key;
    dpl_dict_remove(dict, var);

    dpl_sbuf_t *text = dpl_sbuf_new_from_str("a key");
    dpl_sbuf_add(text, "\0b", 2);
    dpl_value_t with_nul = {.string = text, .type = DPL_VALUE_STRING};
    dpl_dict_add_value(dict, "access_key", &with_nul, 0);
    dpl_sbuf_free(text);
    CHECK(!dpl_ctx_new_from_dict(dict), "a NUL in a string");
    CHECK_INT(logs_with("dictionary: access_key: a NUL byte"), 1, "reported");
    dpl_dict_remove(dict, dpl_dict_get(dict, "access_key"));

    dpl_dict_add(dict, "no_such_variable", "1", 0);
    CHECK(!dpl_ctx_new_from_dict(dict), "a name that is none");
    CHECK_INT(logs_with("dictionary: no such variable: 'no_such_variable'"), 1, "reported");
    CHECK_INT(logs_count(), 6, "and no more");
    dpl_dict_free(dict);
}

static void context_may_be_freed_twice(void) {
    dpl_ctx_t *ctx = context_of((const char *[]){"host", "127.0.0.1", NULL});
    dpl_ctx_t *own = calloc(1, sizeof *own);

    REQUIRE(ctx, "a context is made");
    logs_collect();
    dpl_ctx_free(ctx);
    CHECK_INT(logs_count(), 0, "freed");
    dpl_ctx_free(ctx);
    CHECK_INT(logs_with("dpl_ctx_free: this context was freed before"), 1, "freed again: reported");
    dpl_ctx_free(own);
    CHECK_INT(logs_with("dpl_ctx_free: "), 2, "one of the program's own: reported");
    dpl_ctx_free(NULL);
    CHECK_INT(logs_count(), 2, "none: nothing to tell");
    free(own);
}

static void contexts_of_either_interface_are_freed_by_droplets(void) {
    dpl_ctx_t *ctx = dplx_ctx_new("host = 127.0.0.1");

    REQUIRE(ctx, "a context is made");
    CHECK(!ctx->cwds, "it has no current folders");
    logs_collect();
    dpl_ctx_free(ctx);
    CHECK_INT(logs_count(), 0, "dpl_ctx_free() frees it");
    dpl_ctx_free(ctx);
    CHECK_INT(logs_with("dpl_ctx_free: this context was freed before"), 1,
              "a second time is refused");
    dplx_ctx_free(ctx);
    CHECK(strstr(dplx_last_error(), "this context was freed before") != NULL,
          "and by dplx_ctx_free() too");
}

static void contexts_of_droplets_interface_are_not_freed_by_dplx(void) {
    struct server *server = server_start((struct server_options){.id = 1, .tls = TLS_NEVER});
    dpl_ctx_t *ctx = context_of((const char *[]){"host", server_name(server), NULL});

    REQUIRE(ctx, "a context is made");
    dplx_ctx_free(ctx);
    CHECK(strstr(dplx_last_error(), "or did not come from dplx_ctx_new()") != NULL,
          "dplx_ctx_free() refuses it");
    logs_collect();
    CHECK(ctx->cwds && dpl_dict_count(ctx->cwds) == 0, "it still has its folders");
    CHECK(answered(ctx, 1), "and answers requests");
    dpl_ctx_free(ctx);
    CHECK_INT(logs_count(), 0, "dpl_ctx_free() frees it");
    server_stop(server);
}

static int guarded;

static void *add_under_lock(void *ctx) {
    for (int i = 0; i < 1000; i++) {
        dpl_ctx_lock(ctx);
        guarded++;
        dpl_ctx_unlock(ctx);
    }
    return NULL;
}

static void lock_is_the_programs(void) {
    struct server *server = server_start((struct server_options){.id = 1, .tls = TLS_NEVER});
    dpl_ctx_t *ctx = context_of((const char *[]){"host", server_name(server), NULL});
    pthread_t threads[4];

    REQUIRE(ctx, "a context is made");
    dpl_ctx_lock(ctx);
    CHECK_INT(ctx->canary, 1, "the canary shows it");
    CHECK(answered(ctx, 1), "a request is answered while the program holds the lock");
    dpl_ctx_unlock(ctx);
    CHECK_INT(ctx->canary, 0, "until it is given back");
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, add_under_lock, ctx);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(guarded, 4000, "threads exclude each other");
    logs_collect();
    dpl_ctx_lock(NULL);
    dpl_ctx_unlock(NULL);
    CHECK_INT(logs_with("the context is NULL"), 2, "there is none of no context");
    dpl_ctx_free(ctx);
    server_stop(server);
}

static void program_may_replace_strings(void) {
    dpl_ctx_t *ctx = context_of((const char *[]){"host", "127.0.0.1", "access_key", "old", NULL});

    REQUIRE(ctx, "a context is made");
    free(ctx->access_key);
    ctx->access_key = strdup("new");
    free(ctx->cur_bucket);
    ctx->cur_bucket = strdup("bucket");
    dpl_ctx_free(ctx);
    CHECK(true, "they are freed with the context");
}

static void statuses_have_names(void) {
    CHECK_STR(dpl_status_str(DPL_SUCCESS), "DPL_SUCCESS", "0");
    CHECK_STR(dpl_status_str(DPL_ERANGEUNAVAIL), "DPL_ERANGEUNAVAIL", "the last");
    CHECK_STR(dpl_status_str((dpl_status_t)-22), "Unknown error", "one more");
    CHECK_STR(dpl_status_str((dpl_status_t)1), "Unknown error", "a positive number");
    CHECK_STR(dpl_status_str((dpl_status_t)0x80000000), "Unknown error", "the least");
    CHECK_STATUS(dpl_init(), DPL_SUCCESS, "dpl_init");
    dpl_free();
}

int main(void) {
    test_begin("contexts");
    RUN(dictionary_makes_a_context);
    RUN(dictionary_sets_up_https);
    RUN(https_has_a_port_of_its_own);
    RUN(password_opens_the_key);
    RUN(unusable_dictionaries_are_told_of);
    RUN(context_may_be_freed_twice);
    RUN(contexts_of_either_interface_are_freed_by_droplets);
    RUN(contexts_of_droplets_interface_are_not_freed_by_dplx);
    RUN(lock_is_the_programs);
    RUN(program_may_replace_strings);
    RUN(statuses_have_names);
    return test_end();
}
