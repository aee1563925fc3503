/* Requests and the heads that they are sent with. */
#include <stdlib.h>
#include <string.h>

#include "droplet_conn.h"
#include "support/check.h"
#include "support/context.h"
#include "support/logs.h"

static dpl_ctx_t *context(const char *more) {
    char text[500];
    dpl_ctx_t *ctx;

    snprintf(text, sizeof text, "host = 127.0.0.1:9\naccess_key = AK\nsecret_key = \"SK:x\"\n%s\n",
             more);
    ctx = context_from_text(text);
    REQUIRE(ctx, "a context is made");
    return ctx;
}

/* The head of a request, with a NUL after it; "" if there is none. */
static const char *head_of(dpl_req_t *req, const dpl_dict_t *headers, const dpl_dict_t *query) {
    static char text[1000];
    unsigned int len = 0;

    if (dpl_req_gen_http_request(req->ctx, req, headers, query, text, sizeof text - 1, &len) !=
        DPL_SUCCESS)
        len = 0;
    text[len] = '\0';
    return text;
}

static void check_path(dpl_ctx_t *ctx, const char *resource, const char *path) {
    dpl_req_t *req = dpl_req_new(ctx);
    char expected[200];

    snprintf(expected, sizeof expected, "GET %s HTTP/1.1\r\n", path);
    CHECK_STATUS(dpl_req_set_resource(req, resource), DPL_SUCCESS, "%s is set", resource);
    CHECK_STR(head_of(req, NULL, NULL), expected, "the request line of %s", resource);
    dpl_req_free(req);
}

static void resources_lie_below_the_base_path(void) {
    dpl_ctx_t *ctx = context("");
    dpl_ctx_t *deep = context("base_path = /some/base");
    dpl_ctx_t *strict = context("encode_slashes = true");
    dpl_ctx_t *plain = context("url_encoding = false");

    check_path(ctx, "/", "/");
    check_path(ctx, "a b/c?d", "/a%20b/c%3Fd");
    check_path(ctx, "/a//b/", "/a//b/");
    check_path(deep, "x", "/some/base/x");
    check_path(deep, "/", "/some/base");
    check_path(strict, "/a/b", "/a%2Fb");
    check_path(plain, "/a%20b", "/a%20b");
    dpl_ctx_free(ctx);
    dpl_ctx_free(deep);
    dpl_ctx_free(strict);
    dpl_ctx_free(plain);
}

static void heads_have_fields_and_queries(void) {
    dpl_ctx_t *ctx = context("");
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_dict_t *headers = dpl_dict_new(1), *query = dpl_dict_new(1);
    const char *head = "PUT /r?acl;x&n=1 HTTP/1.1\r\nX-A: 1\r\nHost: h.example:81\r\n";
    unsigned int len = 0;
    char text[200];

    dpl_req_set_method(req, DPL_METHOD_PUT);
    dpl_req_set_resource(req, "r");
    dpl_req_set_subresource(req, "acl");
    dpl_req_add_subresource(req, "x");
    dpl_req_set_host(req, "h.example");
    dpl_req_set_port(req, "81");
    CHECK_STATUS(dpl_add_host_to_headers(req, headers), DPL_SUCCESS, "Host is added");
    dpl_dict_add(headers, "X-A", "1", 0);
    dpl_dict_add(query, "n", "1", 0);
    CHECK_STR(head_of(req, headers, query), head, "the head");
    CHECK_STATUS(dpl_req_gen_http_request(ctx, req, headers, query, text, (int)strlen(head), &len),
                 DPL_SUCCESS, "a buffer of just its size");
    CHECK_INT(len, (long)strlen(head), "its length");
    CHECK_STATUS(
        dpl_req_gen_http_request(ctx, req, headers, query, text, (int)strlen(head) - 1, &len),
        DPL_FAILURE, "a buffer that is too small");
    dpl_req_free(req);
    dpl_dict_free(headers);
    dpl_dict_free(query);
    dpl_ctx_free(ctx);
}

/* As the original writes it. */
static void an_empty_query_is_one(void) {
    dpl_ctx_t *ctx = context("");
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_dict_t *query = dpl_dict_new(13);

    dpl_req_set_resource(req, "x");
    CHECK_STR(head_of(req, NULL, NULL), "GET /x HTTP/1.1\r\n", "no query");
    CHECK_STR(head_of(req, NULL, query), "GET /x? HTTP/1.1\r\n", "a query without parameters");
    dpl_req_set_subresource(req, "acl");
    CHECK_STR(head_of(req, NULL, query), "GET /x?acl HTTP/1.1\r\n", "and a subresource");
    dpl_dict_free(query);
    dpl_req_free(req);
    dpl_ctx_free(ctx);
}

static void fields_are_made_of_what_is_asked(void) {
    dpl_ctx_t *ctx = context("");
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_dict_t *headers = dpl_dict_new(13);
    dpl_range_t range = {5, DPL_UNDEF}, none = {DPL_UNDEF, DPL_UNDEF};
    dpl_condition_t condition = {.n_conds = 2};

    condition.conds[0].type = DPL_CONDITION_IF_MODIFIED_SINCE;
    condition.conds[0].time = 1000000000;
    condition.conds[1].type = DPL_CONDITION_IF_NONE_MATCH;
    memset(condition.conds[1].etag, 'e', DPL_ETAG_SIZE);
    CHECK_STATUS(dpl_add_range_to_headers(&range, headers), DPL_SUCCESS, "a range");
    CHECK_STR(dpl_dict_get_value(headers, "Range"), "bytes=5-", "open at its end");
    CHECK_STATUS(dpl_add_range_to_headers(&none, headers), DPL_EINVAL, "no range");
    CHECK_STATUS(dpl_add_condition_to_headers(&condition, headers), DPL_SUCCESS, "conditions");
    CHECK_STR(dpl_dict_get_value(headers, "If-Modified-Since"), "Sun, 09 Sep 2001 01:46:40 GMT",
              "a date");
    CHECK_INT((long)strlen(dpl_dict_get_value(headers, "If-None-Match")), DPL_ETAG_SIZE, "an etag");
    condition.n_conds = 11;
    CHECK_STATUS(dpl_add_condition_to_headers(&condition, headers), DPL_EINVAL, "too many");
    CHECK_STATUS(dpl_add_basic_authorization_to_headers(req, headers), DPL_SUCCESS, "a password");
    CHECK_STR(dpl_dict_get_value(headers, "Authorization"), "Basic QUs6U0s6eA==", "encoded");
    dpl_req_set_host(req, "::1");
    dpl_req_set_port(req, "80");
    dpl_add_host_to_headers(req, headers);
    CHECK_STR(dpl_dict_get_value(headers, "Host"), "[::1]", "an IPv6 address stands in brackets");
    dpl_req_free(req);
    dpl_dict_free(headers);
    dpl_ctx_free(ctx);
}

static void conditions_and_ranges_of_every_kind(void) {
    dpl_dict_t *headers = dpl_dict_new(13);
    const dpl_range_t range = {1, 2};
    dpl_condition_t condition = {.n_conds = 3};

    condition.conds[0].type = DPL_CONDITION_IF_UNMODIFIED_SINCE;
    condition.conds[0].time = 0;
    condition.conds[1].type = DPL_CONDITION_IF_MATCH;
    strcpy(condition.conds[1].etag, "tag");
    condition.conds[2].type = (dpl_condition_type_t)7;
    CHECK_STATUS(dpl_add_condition_to_headers(&condition, headers), DPL_SUCCESS, "conditions");
    CHECK_STR(dpl_dict_get_value(headers, "If-Unmodified-Since"), "Thu, 01 Jan 1970 00:00:00 GMT",
              "a date");
    CHECK_STR(dpl_dict_get_value(headers, "If-Match"), "tag", "an etag");
    CHECK_INT(dpl_dict_count(headers), 2, "and nothing of an unknown kind");
    CHECK_STATUS(dpl_add_content_range_to_headers(&range, headers), DPL_SUCCESS, "a range");
    CHECK_STR(dpl_dict_get_value(headers, "Content-Range"), "bytes=1-2", "of what is sent");
    CHECK_STATUS(dpl_add_range_to_headers_internal(&range, "X-Range", headers), DPL_SUCCESS,
                 "another");
    CHECK_STR(dpl_dict_get_value(headers, "X-Range"), "bytes=1-2", "in a field of any name");
    CHECK_STATUS(dpl_add_range_to_headers_internal(&range, NULL, headers), DPL_EINVAL, "no name");
    dpl_dict_free(headers);
}

static void what_a_request_lacks_is_left_out(void) {
    dpl_ctx_t *ctx = context_from_text("host = 127.0.0.1:9\n");
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_dict_t *headers = dpl_dict_new(13);

    CHECK_STATUS(dpl_add_host_to_headers(req, headers), DPL_SUCCESS, "no host");
    CHECK_STATUS(dpl_add_basic_authorization_to_headers(req, headers), DPL_SUCCESS, "no keys");
    CHECK_INT(dpl_dict_count(headers), 0, "no field");
    dpl_req_free(req);
    dpl_dict_free(headers);
    dpl_ctx_free(ctx);
}

static void nothing_smuggles_in_a_field(void) {
    dpl_ctx_t *ctx = context("url_encoding = false");
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_dict_t *bad = dpl_dict_new(1);

    dpl_req_set_resource(req, "/r");
    dpl_dict_add(bad, "X", "1\r\nEvil: 1", 0);
    CHECK_STR(head_of(req, bad, NULL), "", "by a value");
    CHECK_STR(head_of(req, NULL, bad), "", "by a parameter");
    dpl_req_set_resource(req, "/r HTTP/1.1\nEvil: 1\n");
    CHECK_STR(head_of(req, NULL, NULL), "", "by a resource");
    dpl_req_free(req);
    dpl_dict_free(bad);
    dpl_ctx_free(ctx);
}

static void program_reads_what_it_set(void) {
    dpl_ctx_t *ctx = context("");
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_condition_t condition = {.n_conds = 1};

    CHECK(req->ctx == ctx, "the context");
    CHECK_INT(req->behavior_flags, DPL_BEHAVIOR_VIRTUAL_HOSTING | DPL_BEHAVIOR_KEEP_ALIVE,
              "behavior of a new request");
    dpl_req_rm_behavior(req, DPL_BEHAVIOR_VIRTUAL_HOSTING);
    dpl_req_add_behavior(req, DPL_BEHAVIOR_MD5);
    CHECK_INT(req->behavior_flags, DPL_BEHAVIOR_MD5 | DPL_BEHAVIOR_KEEP_ALIVE, "behavior");
    dpl_req_set_bucket(req, "bucket");
    dpl_req_set_bucket(req, "a longer bucket");
    CHECK_STR(req->bucket, "a longer bucket", "strings are replaced");
    CHECK_STATUS(dpl_req_add_subresource(req, "acl"), DPL_SUCCESS, "a subresource");
    CHECK_STR(req->subresource, "acl", "the first");
    dpl_req_set_src_resource_ext(req, "x", 0);
    CHECK_STR(req->src_resource, "x", "src_resource");
    dpl_req_set_content_type(req, "a/b");
    CHECK_STR(req->content_type, "a/b", "content_type");
    dpl_req_set_data(req, "abc", 3);
    CHECK(req->data_enabled && req->data_len == 3 && !strcmp(req->data_buf, "abc"), "data");
    dpl_req_add_range(req, 1, 2);
    CHECK(req->range_enabled && req->range.start == 1 && req->range.end == 2, "range");
    dpl_req_set_condition(req, &condition);
    CHECK_INT(req->condition.n_conds, 1, "condition");
    CHECK_STATUS(dpl_req_set_object_type(req, DPL_FTYPE_REG), DPL_SUCCESS, "object type");
    CHECK_INT(req->object_type, DPL_FTYPE_REG, "object_type");
    CHECK_STATUS(dpl_req_add_metadatum(req, "Key", "value"), DPL_SUCCESS, "metadata");
    CHECK_STR(dpl_dict_get_value(req->metadata, "Key"), "value", "a metadatum");
    dpl_req_free(req);
    dpl_ctx_free(ctx);
}

static void each_setter_sets_the_field_of_its_name(void) {
    dpl_ctx_t *ctx = context("");
    dpl_req_t *req = dpl_req_new(ctx);
    const dpl_condition_t condition = {.n_conds = 1, .conds[0].type = DPL_CONDITION_IF_MATCH};

#define CHECK_STRING(field)                                                                        \
    do {                                                                                           \
        CHECK_STATUS(dpl_req_set_##field(req, "a " #field), DPL_SUCCESS, #field " is set");        \
        CHECK_STR(req->field, "a " #field, "as " #field);                                          \
        CHECK_STATUS(dpl_req_set_##field(req, NULL), DPL_EINVAL, "not to NULL");                   \
    } while (0)
    CHECK_STRING(cache_control);
    CHECK_STRING(content_disposition);
    CHECK_STRING(content_encoding);
    CHECK_STRING(src_bucket);
    CHECK_STRING(src_subresource);
#undef CHECK_STRING
    dpl_req_set_location_constraint(req, 1);
    dpl_req_set_canned_acl(req, 2);
    dpl_req_set_storage_class(req, 3);
    dpl_req_set_copy_directive(req, 4);
    dpl_req_set_expires(req, 5000000000);
    dpl_req_set_copy_source_condition(req, &condition);
    CHECK_INT(req->location_constraint, 1, "location_constraint");
    CHECK_INT(req->canned_acl, 2, "canned_acl");
    CHECK_INT(req->storage_class, 3, "storage_class");
    CHECK_INT(req->copy_directive, 4, "copy_directive");
    CHECK_INT(req->expires, 5000000000, "expires");
    CHECK_INT(req->copy_source_condition.n_conds, 1, "copy_source_condition");
    CHECK_INT(req->copy_source_condition.conds[0].type, DPL_CONDITION_IF_MATCH, "and its type");
    CHECK_INT(req->condition.n_conds, 0, "which is not the condition");
    dpl_req_free(req);
    dpl_ctx_free(ctx);
}

static void requests_of_either_interface_are_alike(void) {
    dpl_ctx_t *ctx = context("");
    dpl_req_t *req = dplx_req_new(ctx, "bucket");

    CHECK_STATUS(dpl_req_add_metadatum(req, "Key", "value"), DPL_SUCCESS, "metadata");
    CHECK_STR(dpl_dict_get_value(req->metadata, "Key"), "value", "a metadatum");
    dpl_req_free(req);
    dpl_ctx_free(ctx);
}

static void metadata_are_freed_with_a_request_of_either_interface(void) {
    dpl_ctx_t *ctx = context("");
    dpl_req_t *req = dplx_req_new(ctx, "bucket");
    dpl_dict_t *metadata = dpl_dict_new(13);

    CHECK_STATUS(dpl_dict_add(metadata, "Key", "value", 0), DPL_SUCCESS, "a dictionary");
    CHECK_STATUS(dpl_req_add_metadata(req, metadata), DPL_SUCCESS, "metadata");
    dpl_dict_free(metadata);
    CHECK_STR(dpl_dict_get_value(req->metadata, "Key"), "value", "they are copied");
    dplx_req_free(req); /* valgrind sees a leak */
    dpl_ctx_free(ctx);
}

static void null_is_told_of(void) {
    dpl_ctx_t *ctx = context("");
    dpl_req_t *req = dpl_req_new(ctx);
    dpl_dict_t *headers = dpl_dict_new(1);
    char text[99];

    logs_collect();
    CHECK_STATUS(dpl_req_set_bucket(NULL, "x"), DPL_EINVAL, "no request");
    CHECK_STATUS(dpl_req_set_bucket(req, NULL), DPL_EINVAL, "no bucket");
    CHECK_STATUS(dpl_req_set_src_resource(req, NULL), DPL_EINVAL, "no source");
    CHECK_STATUS(dpl_req_add_metadatum(req, "k", NULL), DPL_EINVAL, "no value");
    dpl_req_set_method(NULL, DPL_METHOD_PUT);
    dpl_req_set_condition(req, NULL);
    CHECK_STATUS(dpl_add_host_to_headers(NULL, headers), DPL_EINVAL, "no request");
    CHECK_STATUS(dpl_add_range_to_headers(NULL, headers), DPL_EINVAL, "no range");
    CHECK_STATUS(dpl_add_condition_to_headers(&req->condition, NULL), DPL_EINVAL, "no headers");
    CHECK_STATUS(dpl_req_gen_http_request(NULL, req, NULL, NULL, text, 99, NULL), DPL_EINVAL,
                 "no context");
    CHECK_STATUS(dpl_req_gen_http_request(ctx, req, NULL, NULL, NULL, 99, NULL), DPL_EINVAL,
                 "no buffer");
    CHECK_STATUS(dpl_req_gen_http_request(ctx, req, NULL, NULL, text, -1, NULL), DPL_EINVAL,
                 "no length");
    CHECK_INT(logs_count(), 12, "each has its line in the log");
    CHECK_STATUS(dpl_req_set_resource(req, NULL), DPL_SUCCESS, "the base path");
    CHECK_STATUS(dpl_req_add_metadata(req, NULL), DPL_SUCCESS, "no metadata");
    dpl_req_set_method(req, (dpl_method_t)5);
    CHECK_STATUS(dpl_req_gen_http_request(ctx, req, NULL, NULL, text, 99, NULL), DPL_EINVAL,
                 "no such method");
    dpl_req_free(NULL);
    dpl_req_free(req);
    dpl_dict_free(headers);
    dpl_ctx_free(ctx);
}

int main(void) {
    test_begin("requests");
    RUN(resources_lie_below_the_base_path);
    RUN(heads_have_fields_and_queries);
    RUN(an_empty_query_is_one);
    RUN(fields_are_made_of_what_is_asked);
    RUN(conditions_and_ranges_of_every_kind);
    RUN(what_a_request_lacks_is_left_out);
    RUN(nothing_smuggles_in_a_field);
    RUN(program_reads_what_it_set);
    RUN(each_setter_sets_the_field_of_its_name);
    RUN(requests_of_either_interface_are_alike);
    RUN(metadata_are_freed_with_a_request_of_either_interface);
    RUN(null_is_told_of);
    return test_end();
}
