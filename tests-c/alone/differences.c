/* Differences from the original that are on purpose: the table in docs/compatibility.md. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "support/ends.h"

/* The original takes its end for the end of the string. */
static void buffers_may_hold_a_nul(void) {
    dpl_sbuf_t *sbuf = dpl_sbuf_new(1);
    char written[10] = "";
    FILE *file = tmpfile();

    REQUIRE(file, "a file is made");
    dpl_sbuf_add(sbuf, "a\0b", 3);
    dpl_sbuf_print(file, sbuf);
    rewind(file);
    CHECK_INT((long)fread(written, 1, sizeof written, file), 3, "all of it is printed");
    CHECK(!memcmp(written, "a\0b", 3), "with the NUL");
    CHECK_STATUS(dpl_sbuf_url_encode(sbuf), DPL_SUCCESS, "it is encoded");
    CHECK_STR(dpl_sbuf_get_str(sbuf), "a%00b", "with the NUL");
    fclose(file);
    dpl_sbuf_free(sbuf);
}

/* There a reply without other fields gives no dictionary, and its connection is closed. */
static void a_length_alone_keeps_the_connection(void) {
    struct ends ends = begin(false, "");
    struct reply reply;

    request(&ends);
    say(&ends, HELLO);
    reply = receive(&ends, 1);
    CHECK(reply.headers && dpl_dict_count(reply.headers) == 0, "an empty dictionary");
    CHECK_INT(reply.closes, 0, "the connection may be used again");
    forget(&reply);
    dpl_conn_release(ends.conn);
    end(&ends);
}

/* There it is used again, and fails when the server has closed it. */
static void a_reply_of_http_1_0_closes(void) {
    struct ends ends = begin(false, "");
    struct reply reply;

    request(&ends);
    say(&ends, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    reply = receive(&ends, 1);
    CHECK_INT(reply.closes, 1, "without keep-alive the connection is closed");
    forget(&reply);
    dpl_conn_release(ends.conn);
    request(&ends);
    say(&ends, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
    reply = receive(&ends, 1);
    CHECK_INT(reply.closes, 0, "with it it is not");
    forget(&reply);
    dpl_conn_release(ends.conn);
    end(&ends);
}

static void blanks_around_a_value_are_no_part_of_it(void) {
    struct ends ends = begin(false, "");
    struct reply reply;

    request(&ends);
    say(&ends, OK "ETag:  \"a b\"\t \r\nContent-Length: 5\r\n\r\nhello");
    reply = receive(&ends, 1);
    CHECK_STR(dpl_dict_get_value(reply.headers, "etag"), "\"a b\"", "a value");
    forget(&reply);
    dpl_conn_release(ends.conn);
    end(&ends);
}

/* There it is the method of one version, which OpenSSL has deprecated. */
static void versions_are_a_range_of_the_context(void) {
    dpl_ctx_t *ctx =
        context_from_text("use_https = true\nhost = 127.0.0.1\nssl_method = TLSv1.2\n");

    REQUIRE(ctx, "a context is made");
    CHECK(ctx->ssl_method == TLS_method(), "the method is that of any version");
    CHECK_INT(SSL_CTX_get_min_proto_version(ctx->ssl_ctx), TLS1_2_VERSION, "from this one");
    CHECK_INT(SSL_CTX_get_max_proto_version(ctx->ssl_ctx), TLS1_2_VERSION, "to this one");
    dpl_ctx_free(ctx);
}

/* There it is "Mon, 01 Jan 1 00:00:00 GMT", which is no date of HTTP. */
static void years_have_four_digits(void) {
    dpl_condition_t condition = {.n_conds = 1,
                                 .conds[0] = {.type = DPL_CONDITION_IF_MODIFIED_SINCE,
                                              .time = -62135596800}};
    dpl_dict_t *headers = dpl_dict_new(1);

    CHECK_STATUS(dpl_add_condition_to_headers(&condition, headers), DPL_SUCCESS, "it is added");
    CHECK_STR(dpl_dict_get_value(headers, "If-Modified-Since"), "Mon, 01 Jan 0001 00:00:00 GMT",
              "the first year");
    dpl_dict_free(headers);
}

/* There the first frees the dictionary, and the second uses freed memory. */
static void copying_never_frees_the_target(void) {
    dpl_dict_t *dict = dpl_dict_new(3);

    dpl_dict_add(dict, "a", "1", 0);
    dpl_dict_add(dict, "b", "2", 0);
    CHECK_STATUS(dpl_dict_copy(dict, NULL), DPL_SUCCESS, "nothing is copied");
    CHECK_INT(dpl_dict_count(dict), 2, "the dictionary is the caller's");
    CHECK_STATUS(dpl_dict_copy(dict, dict), DPL_SUCCESS, "it is copied onto itself");
    CHECK_INT(dpl_dict_count(dict), 2, "with the same entries");
    CHECK_STR(dpl_dict_get_value(dict, "a"), "1", "and values");
    CHECK_STR(dpl_dict_get_value(dict, "b"), "2", "all of them");
    dpl_dict_free(dict);
}

static char last_line[4096];
static int n_lines;

static void take_line(dpl_ctx_t *ctx, dpl_log_level_t level, const char *message) {
    (void)ctx, (void)level;
    n_lines++;
    snprintf(last_line, sizeof last_line, "%s", message);
}

/* There they begin with the thread's number, and end with a newline that makes an empty line. */
static void errors_of_openssl_have_a_line_each(void) {
    dpl_set_log_func(take_line);
    CHECK(!BIO_new_file("/no/such/file", "r"), "an error happens");
    dpl_ssl_perror(NULL, "a.c", "f", 7, "BIO_new_file");
    CHECK(strncmp(last_line, "error: a.c:7: f: BIO_new_file failed with error:", 48) == 0,
          "it begins with what was tried");
    CHECK(!strchr(last_line, '\n'), "and is one line");
}

/* The original logs the state of OpenSSL's random numbers there, at the level `info`. */
static void the_beginning_is_not_logged(void) {
    dpl_set_log_func(take_line);
    CHECK_STATUS(dpl_init(), DPL_SUCCESS, "dpl_init");
    CHECK_INT(n_lines, 0, "without a word");
}

int main(void) {
    test_begin("differences");
    RUN(buffers_may_hold_a_nul);
    RUN(a_length_alone_keeps_the_connection);
    RUN(a_reply_of_http_1_0_closes);
    RUN(blanks_around_a_value_are_no_part_of_it);
    RUN(versions_are_a_range_of_the_context);
    RUN(years_have_four_digits);
    RUN(copying_never_frees_the_target);
    RUN(errors_of_openssl_have_a_line_each);
    RUN(the_beginning_is_not_logged);
    return test_end();
}
