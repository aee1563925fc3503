/* What only libdroplet.so.0 has, without memory: contexts, dictionaries, requests, and replies with their fields
 * (support/exhaust.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/certificate.h"
#include "support/check.h"
#include "support/client.h"
#include "support/context.h"
#include "support/dplx.h"
#include "support/exhaust.h"
#include "support/loopback.h"
#include "support/scratch.h"

static struct server *server;
static dpl_ctx_t *ctx;
static dpl_dict_t *variables;

static void make_context(void) {
    char profile[600] = "";

    if (tls_wanted())
        snprintf(profile, sizeof profile, "use_https = true\nssl_ca_list = \"%s\"\n", authority_file());
    snprintf(strchr(profile, '\0'), 200, "host = %s\naccess_key = AK\nsecret_key = SK\n",
             server_name(server));
    ctx = dplx_ctx_new(profile);
    REQUIRE(ctx, "a context is made");
}

static void free_context(void) {
    if (hosts_available(ctx) != 1)
        complain("the host is blamed");
    dpl_ctx_free(ctx);
}

/* ---- contexts ------------------------------------------------------------------------ */

static bool read_profile(void) {
    dpl_ctx_t *made = dpl_ctx_new(scratch_dir(), "test");

    if (!made)
        return false;
    dpl_ctx_free(made);
    return true;
}

static void set_variables(void) {
    static const char *const texts[][2] = {{"host", "127.0.0.1:81"}, {"access_key", "AK"},
                                           {"droplet_dir", "/some"},  {"profile_name", "x"},
                                           {"pricing_dir", ""},       {"backend", "s3"}};

    variables = dpl_dict_new(13);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        REQUIRE(dpl_dict_add(variables, texts[i][0], texts[i][1], 0) == DPL_SUCCESS, "added");
}

static bool take_variables(void) {
    dpl_ctx_t *made = dpl_ctx_new_from_dict(variables);

    if (!made)
        return false;
    dpl_ctx_free(made);
    return true;
}

static void forget_variables(void) {
    dpl_dict_free(variables);
}

/* ---- dictionaries, buffers ------------------------------------------------------------- */

static bool fill_a_dictionary(dpl_dict_t *dict) {
    for (int i = 0; i < 20; i++) {
        char key[16];

        snprintf(key, sizeof key, "Key-%d", i);
        if (!succeeded(dpl_dict_add(dict, key, "a value", i % 2), "dpl_dict_add"))
            return false;
    }
    return succeeded(dpl_dict_add(dict, "Key-2", "another value", 0), "dpl_dict_add");
}

static bool use_dictionaries(void) {
    dpl_dict_t *dict = dpl_dict_new(5), *copy = NULL, *some = dpl_dict_new(5);
    bool done = dict && some && fill_a_dictionary(dict);
    int n = done ? 20 : 0;

    if (done) {
        copy = dpl_dict_dup(dict);
        done = copy && succeeded(dpl_dict_copy(copy, dict), "dpl_dict_copy") &&
               succeeded(dpl_dict_filter_prefix(some, dict, "Key-"), "dpl_dict_filter_prefix");
    }
    if (n && dpl_dict_count(dict) != n)
        complain("%d entries", dpl_dict_count(dict));
    if (done && strcmp(dpl_dict_get_value(copy, "Key-2"), "another value") != 0)
        complain("a value is lost");
    dpl_dict_free(dict);
    dpl_dict_free(copy);
    dpl_dict_free(some);
    return done;
}

static bool use_a_buffer(void) {
    dpl_sbuf_t *buffer = dpl_sbuf_new(2), *copy = NULL;
    bool done = buffer && succeeded(dpl_sbuf_add_str(buffer, "some text"), "dpl_sbuf_add_str") &&
                succeeded(dpl_sbuf_add_str_fmt(buffer, "%200d", 7), "dpl_sbuf_add_str_fmt") &&
                succeeded(dpl_sbuf_url_encode(buffer), "dpl_sbuf_url_encode");

    if (done) {
        copy = dpl_sbuf_dup(buffer);
        done = copy != NULL;
    }
    dpl_sbuf_free(buffer);
    dpl_sbuf_free(copy);
    return done;
}

/* ---- requests and replies --------------------------------------------------------------- */

static bool fill_a_request(dpl_req_t *req) {
    return succeeded(dpl_req_set_resource(req, "/a resource"), "dpl_req_set_resource") &&
           succeeded(dpl_req_set_bucket(req, "bucket"), "dpl_req_set_bucket") &&
           succeeded(dpl_req_set_subresource(req, "acl"), "dpl_req_set_subresource") &&
           succeeded(dpl_req_add_subresource(req, "x"), "dpl_req_add_subresource") &&
           succeeded(dpl_req_set_content_type(req, "text/plain"), "dpl_req_set_content_type") &&
           succeeded(dpl_req_add_metadatum(req, "Key", "value"), "dpl_req_add_metadatum") &&
           succeeded(dpl_req_add_range(req, 1, 9), "dpl_req_add_range") &&
           succeeded(dpl_req_set_host(req, "host"), "dpl_req_set_host") &&
           succeeded(dpl_req_set_port(req, "80"), "dpl_req_set_port");
}

static bool make_a_request(void) {
    char text[1000];
    unsigned int len = 0;
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_dict_t *headers = dpl_dict_new(5);
    bool done = req && headers && fill_a_request(req) &&
                succeeded(dpl_add_host_to_headers(req, headers), "dpl_add_host_to_headers") &&
                succeeded(dpl_add_basic_authorization_to_headers(req, headers),
                          "dpl_add_basic_authorization_to_headers") &&
                succeeded(dpl_req_gen_http_request(ctx, req, headers, headers, text, sizeof text, &len),
                          "dpl_req_gen_http_request");

    dpl_dict_free(headers);
    dpl_req_free(req);
    return done;
}

/* A reply that could not be read is no reply to the next request. */
static bool read_a_reply(void) {
    static long number;
    dpl_dict_t *fields = NULL;
    unsigned int len = 0;
    char *body = NULL;
    dpl_conn_t *conn;
    int closes = 0;
    bool done;

    conn = dplx_connect(ctx, LIMIT_MS);
    if (!conn)
        return false;
    done = succeeded(send_get(conn, ++number), "dpl_conn_writev_all") &&
           succeeded(dpl_read_http_reply(conn, 1, &body, &len, &fields, &closes), "dpl_read_http_reply");
    if (done && atol(dpl_dict_get_value(fields, "x-number")) != number)
        complain("the reply to another request");
    free(body);
    dpl_dict_free(fields);
    dpl_conn_release(conn);
    return done;
}

/* ---- cases ------------------------------------------------------------------------------- */

static const struct exhausted scenarios[] = {
    {"a profile", make_context, read_profile, NULL, free_context, 3},
    {"a profile in a dictionary", set_variables, take_variables, NULL, forget_variables, 3},
    {.name = "dictionaries", .act = use_dictionaries, .stride = 3},
    {.name = "a buffer", .act = use_a_buffer},
    {"a request", make_context, make_a_request, NULL, free_context, 0},
    {"a reply", make_context, read_a_reply, NULL, free_context, 7},
};

static void calls_end_without_memory(void) {
    server = server_answering(1);
    dpl_ctx_free(context_over_server(server, "access_key = AK\n")); /* writes the profile */
    exhaust_all(scenarios, sizeof scenarios / sizeof *scenarios);
    server_stop(server);
}

int main(void) {
    test_begin("memory");
    RUN(calls_end_without_memory);
    return test_end();
}
