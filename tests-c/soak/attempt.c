#include "soak/attempt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "soak/pattern.h"
#include "soak/plant.h"
#include "support/clock.h"

struct site sites[CONTEXTS];

/* ---- a connection -------------------------------------------------------------------- */

static void open_host(struct worker *self, struct site *site, dpl_conn_t **conn) {
    char host[64];
    char *port;

    strcpy(host, site->hosts[random_below(&self->random, (uint64_t)site->n_hosts)]);
    port = strrchr(host, ':');
    *port++ = '\0';
    *conn = dpl_conn_open_host(site->ctx, AF_INET, host, port);
}

static dpl_status_t try_connect(struct site *site, dpl_conn_t **conn) {
    dpl_req_t *req = dpl_req_new(site->ctx);
    dpl_status_t status;

    dpl_req_rm_behavior(req, DPL_BEHAVIOR_VIRTUAL_HOSTING);
    status = dpl_try_connect(site->ctx, req, conn);
    dpl_req_free(req);
    return status;
}

static void connect_cancellable(struct worker *self, struct site *site, dpl_conn_t **conn) {
    uint64_t use = dplx_use_new();

    self->cancelled = false;
    self->use = use;
    *conn = dplx_connect_cancellable(site->ctx, NULL, use, CONNECT_S * 1000);
}

/* Stores it, or returns why there is none. */
static enum outcome connect_to(struct worker *self, struct site *site, enum way_in way,
                               dpl_conn_t **conn) {
    static const char *const calls[WAYS_IN] = {"dpl_try_connect", "dplx_connect",
                                               "dplx_connect_cancellable", "dpl_conn_open_host"};
    dpl_status_t status = DPL_FAILURE;

    *conn = NULL;
    call_begins(self->slot, calls[way], CONNECT_S + MOST_WAIT_MS / 1000.0);
    if (way == TRY_CONNECT)
        status = try_connect(site, conn);
    if (way == CONNECT)
        *conn = dplx_connect(site->ctx, CONNECT_S * 1000);
    if (way == CONNECT_CANCELLABLE)
        connect_cancellable(self, site, conn);
    if (way == OPEN_HOST)
        open_host(self, site, conn);
    call_ends(self->slot);
    if (*conn)
        return DONE;
    if (status == DPL_ELIMIT || strstr(dplx_last_error(), "n_conn_max"))
        return AT_LIMIT;
    return status == DPL_ESYS || status == DPL_ENOMEM ? LOCAL : NO_CONNECTION;
}

/* ---- the request --------------------------------------------------------------------- */

static dpl_status_t write_request(struct worker *self, dpl_conn_t *conn, const struct plan *plan) {
    char head[256];
    int len = snprintf(head, sizeof head,
                       "%s /%016" PRIx64 "/%zu HTTP/1.1\r\nHost: soak\r\nContent-Length: %zu\r\n\r\n",
                       plan->is_head ? "HEAD" : plan->up ? "PUT" : "GET", plan->token, plan->down,
                       plan->up);
    struct iovec iov[2] = {{.iov_base = head, .iov_len = (size_t)len},
                           {.iov_base = self->body, .iov_len = plan->up}};
    dpl_status_t status;

    pattern_fill(pattern_of_request(plan->token), 0, self->body, plan->up);
    if (plan->up > 0 || plan->way_in == TRY_CONNECT) {
        call_begins(self->slot, "dpl_conn_writev_all", 3 * WRITE_S);
        status = dpl_conn_writev_all(conn, iov, 2, WRITE_S);
    } else {
        call_begins(self->slot, "dplx_conn_write", 3 * WRITE_S);
        status = dplx_conn_write(conn, head, (size_t)len, WRITE_S * 1000);
    }
    call_ends(self->slot);
    return status;
}

/* ---- the reply ----------------------------------------------------------------------- */

struct reply {
    const struct plan *plan;
    int status; /* 0: none */
    bool is_complete;
    char token[32], length[32], sum[32], received[64];
    size_t got;
    uint64_t sum_of_got;
    bool differs; /* a byte is not the one that the token demands */
};

static void take_field(struct reply *reply, const char *name, const char *value) {
    static const struct {
        const char *name;
        size_t at, size;
    } fields[] = {
        {"X-Token", offsetof(struct reply, token), sizeof reply->token},
        {"X-Length", offsetof(struct reply, length), sizeof reply->length},
        {"X-Sum", offsetof(struct reply, sum), sizeof reply->sum},
        {"X-Received", offsetof(struct reply, received), sizeof reply->received},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (value && strcasecmp(name, fields[i].name) == 0)
            snprintf((char *)reply + fields[i].at, fields[i].size, "%s", value);
}

static void take_bytes(struct reply *reply, const void *data, size_t size) {
    if (!pattern_matches(reply->plan->token, reply->got, data, size))
        reply->differs = true;
    reply->sum_of_got = pattern_sum(reply->sum_of_got, data, size);
    reply->got += size;
}

/* Its status and its fields, then its body. Stops where the plan says, in the middle. */
static void read_in_steps(struct worker *self, dpl_conn_t *conn, struct reply *reply) {
    static const char *const names[] = {"x-token", "X-LENGTH", "X-Sum", "X-Received"};
    char buffer[64 * 1024];
    ssize_t n = 1;

    call_begins(self->slot, "dplx_reply_status", READ_S);
    reply->status = dplx_reply_status(conn, READ_S * 1000);
    call_ends(self->slot);
    if (reply->status < 0)
        reply->status = 0;
    for (size_t i = 0; reply->status > 0 && i < sizeof names / sizeof *names; i++)
        take_field(reply, names[i], dplx_reply_field(conn, names[i], 0));
    while (reply->status > 0 && n > 0 && (!reply->plan->leaving || reply->got == 0)) {
        call_begins(self->slot, "dplx_reply_read", READ_S);
        n = dplx_reply_read(conn, buffer, sizeof buffer, READ_S * 1000);
        call_ends(self->slot);
        if (n > 0 && reply->status == 200)
            take_bytes(reply, buffer, (size_t)n);
    }
    reply->is_complete = reply->status > 0 && n == 0;
}

static void read_whole(struct worker *self, dpl_conn_t *conn, struct reply *reply) {
    static const char *const names[] = {"x-token", "x-length", "x-sum", "x-received"};
    dpl_dict_t *fields = NULL;
    char *body = NULL;
    unsigned len = 0;
    dpl_status_t status;

    call_begins(self->slot, "dpl_read_http_reply_ext", 3 * READ_S);
    status = dpl_read_http_reply_ext(conn, !reply->plan->is_head, 0, &body, &len, &fields, NULL);
    call_ends(self->slot);
    for (size_t i = 0; fields && i < sizeof names / sizeof *names; i++)
        take_field(reply, names[i], dpl_dict_get_value(fields, names[i]));
    /* The call does not tell a status of 5xx from a reply that is cut short, but the latter has a body. */
    if (fields && dpl_dict_count(fields) > 0)
        reply->status = status == DPL_SUCCESS || strcmp(reply->length, "0") != 0 ? 200 : 503;
    if (fields && status == DPL_FAILURE && !*reply->token)
        reply->status = 503;
    reply->is_complete = status == DPL_SUCCESS;
    if (body && reply->status == 200)
        take_bytes(reply, body, len);
    free(body);
    if (fields)
        dpl_dict_free(fields);
}

static dpl_status_t on_field(void *arg, const char *name, const char *value) {
    take_field(arg, name, value);
    return DPL_SUCCESS;
}

static dpl_status_t on_bytes(void *arg, char *data, unsigned len) {
    struct reply *reply = arg;

    if (*reply->token) /* otherwise it is not the origin's: a proxy's error */
        take_bytes(reply, data, len);
    return DPL_SUCCESS;
}

static void read_by_callbacks(struct worker *self, dpl_conn_t *conn, struct reply *reply) {
    int status = 0;

    call_begins(self->slot, "dpl_read_http_reply_buffered", 3 * READ_S);
    reply->is_complete = dpl_read_http_reply_buffered(conn, !reply->plan->is_head, &status, on_field,
                                                      on_bytes, reply) == DPL_SUCCESS;
    call_ends(self->slot);
    if (!reply->is_complete && *reply->token)
        reply->status = 200; /* as far as is known */
    if (reply->is_complete)
        reply->status = status;
}

static bool is_right(const struct reply *reply) {
    const struct plan *plan = reply->plan;
    uint64_t up_sum = pattern_sum_of(pattern_of_request(plan->token), plan->up);
    char token[32], length[32], sum[32], received[64];

    snprintf(token, sizeof token, "%016" PRIx64, planted_token(plan->token));
    snprintf(length, sizeof length, "%zu", plan->down);
    snprintf(sum, sizeof sum, "%016" PRIx64, pattern_sum_of(plan->token, plan->down));
    snprintf(received, sizeof received, "%zu-%016" PRIx64, plan->up, up_sum);
    if (strcmp(reply->token, token) != 0 || strcmp(reply->length, length) != 0 ||
        strcmp(reply->sum, sum) != 0 || strcmp(reply->received, received) != 0 || reply->differs)
        return false;
    if (!reply->is_complete)
        return true; /* so far */
    return plan->is_head ? reply->got == 0
                         : reply->got == plan->down &&
                               reply->sum_of_got == pattern_sum_of(plan->token, plan->down);
}

static enum outcome judge(const struct reply *reply, bool may_be_stale) {
    if (reply->status == 0)
        return may_be_stale ? STALE : NO_REPLY;
    if (reply->status >= 500)
        return *reply->token && strtoull(reply->token, NULL, 16) != reply->plan->token ? WRONG
                                                                                       : SERVER_ERROR;
    if (reply->status >= 400)
        return *reply->token ? WRONG : REFUSED;
    if (reply->status != 200 || !is_right(reply))
        return WRONG;
    return reply->is_complete ? DONE : CUT_SHORT;
}

/* ---- all of it ----------------------------------------------------------------------- */

/* Prints one of the many failures while the servers fail. */
static void note_once_a_second(const char *error) {
    static atomic_long last;
    long now = (long)seconds_now();

    if (atomic_exchange(&last, now) != now)
        fprintf(stderr, "%ld: no connection: %s\n", now, error);
}

static void log_failure(enum outcome outcome, const struct plan *plan, const struct reply *reply,
                        const char *peer, const char *error) {
    bool is_wanted = outcome == DONE || outcome == CANCELLED || outcome == ABANDONED;

    if (outcome == NO_CONNECTION && !tally->calm)
        note_once_a_second(error);
    if (outcome != WRONG && (is_wanted || !tally->calm))
        return;
    fprintf(stderr,
            "%s: %s, token %016" PRIx64 ", %zu up, %zu down, head %d, way %d, reader %d, "
            "status %d, token %s, length %s, received %s, got %zu, complete %d, differs %d: %s\n",
            outcome_names[outcome], peer, plan->token, plan->up, plan->down, plan->is_head,
            plan->way_in, plan->reader, reply->status, reply->token, reply->length, reply->received,
            reply->got, reply->is_complete, reply->differs, error);
}

static void count_host(enum context context, const char *peer) {
    struct site *site = &sites[context];

    for (int i = 0; i < site->n_hosts; i++)
        if (strcmp(peer, site->hosts[i]) == 0)
            tally->served[context][i]++;
}

static void give_back(struct worker *self, dpl_conn_t *conn, bool terminate) {
    call_begins(self->slot, terminate ? "dpl_conn_terminate" : "dpl_conn_release", 0);
    (terminate ? dpl_conn_terminate : dpl_conn_release)(conn);
    call_ends(self->slot);
}

/* As Droplet does after a reply that is missing, broken or 5xx; its readers do it themselves. */
static void blame(struct worker *self, struct site *site, dpl_conn_t *conn, enum outcome outcome,
                  enum reader reader) {
    bool is_known = reader == WHOLE || self->cancelled;

    if (!is_known && (outcome == NO_REPLY || outcome == STALE || outcome == CUT_SHORT ||
                      outcome == SERVER_ERROR))
        dpl_blacklist_host(site->ctx, conn->host, conn->port);
}

static enum outcome exchange(struct worker *self, struct site *site, dpl_conn_t *conn,
                             const struct plan *plan, struct reply *reply, char *error, size_t size) {
    bool was_reused = conn->n_hits > 0;
    enum outcome outcome;
    dpl_status_t status;

    status = write_request(self, conn, plan);
    if (status != DPL_SUCCESS) {
        snprintf(error, size, "%s", dplx_last_error());
        return was_reused && status != DPL_ETIMEOUT ? STALE : NOT_WRITTEN;
    }
    if (plan->leaving == TERMINATE_EARLY || plan->leaving == RELEASE_EARLY)
        return ABANDONED;
    if (plan->reader == IN_STEPS)
        read_in_steps(self, conn, reply);
    if (plan->reader == WHOLE)
        read_whole(self, conn, reply);
    if (plan->reader == BY_CALLBACKS)
        read_by_callbacks(self, conn, reply);
    snprintf(error, size, "%s", dplx_last_error());
    outcome = judge(reply, was_reused && !strstr(error, "timed out"));
    blame(self, site, conn, outcome, plan->reader);
    return plan->leaving && outcome == CUT_SHORT ? ABANDONED : outcome;
}

static enum outcome attempt_on(struct worker *self, enum context context, dpl_conn_t *conn,
                               const struct plan *plan) {
    struct reply reply = {.plan = plan, .sum_of_got = PATTERN_SUM_OF_NOTHING};
    char peer[80], error[256] = "";
    enum outcome outcome;
    bool fails;

    snprintf(peer, sizeof peer, "%s:%s", conn->host, conn->port);
    outcome = exchange(self, &sites[context], conn, plan, &reply, error, sizeof error);
    fails = outcome != DONE;
    self->use = 0;
    if (plan->leaving)
        give_back(self, conn, plan->leaving == TERMINATE_EARLY || plan->leaving == TERMINATE_LATE);
    else
        give_back(self, conn, fails && random_below(&self->random, 2));
    if (outcome == DONE && plan->way_in != OPEN_HOST)
        count_host(context, peer);
    if (fails && outcome != WRONG && self->cancelled)
        outcome = CANCELLED;
    log_failure(outcome, plan, &reply, peer, error);
    return outcome;
}

enum outcome attempt(struct worker *self, enum context context, const struct plan *plan) {
    dpl_conn_t *conn;
    enum outcome outcome;

    self->cancelled = false;
    outcome = connect_to(self, &sites[context], plan->way_in, &conn);
    if (outcome == DONE) {
        outcome = attempt_on(self, context, conn, plan);
    } else {
        self->use = 0;
        if (self->cancelled)
            outcome = CANCELLED;
        log_failure(outcome, plan, &(struct reply){.plan = plan}, "", dplx_last_error());
    }
    tally->tries[outcome]++;
    if (outcome == DONE)
        tally->bytes += (long)(plan->up + plan->down);
    planted_leaks();
    return outcome;
}
