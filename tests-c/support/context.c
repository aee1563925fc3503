#include "support/context.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/certificate.h"
#include "support/clock.h"
#include "support/scratch.h"

dpl_ctx_t *context_from_text(const char *text) {
    char path[256];
    FILE *file;

    snprintf(path, sizeof path, "%s/test.profile", scratch_dir());
    file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return dpl_ctx_new(scratch_dir(), "test");
}

dpl_ctx_t *context_over(const char *hosts, const char *more) {
    char tls[256] = "";
    char slow[64] = "";
    char text[16 * 1024];

    /* Under valgrind a handshake may take seconds. */
    if (patience(5) > 5 && !strstr(more, "connection_timeout"))
        snprintf(slow, sizeof slow, "connection_timeout = %d\n", (int)patience(5));
    if (tls_wanted())
        snprintf(tls, sizeof tls, "use_https = true\nssl_ca_list = \"%s\"\n", authority_file());
    snprintf(text, sizeof text, "%s%shost = \"%s\"\npricing_dir = \"\"\n%s\n", tls, slow, hosts, more);
    return context_from_text(text);
}

dpl_ctx_t *context_over_servers(struct server *const servers[], int n, const char *more) {
    char hosts[4096] = "";

    for (int i = 0; i < n; i++) {
        strcat(hosts, i ? ";" : "");
        strcat(hosts, server_name(servers[i]));
    }
    return context_over(hosts, more);
}

dpl_ctx_t *context_over_server(struct server *server, const char *more) {
    return context_over_servers(&server, 1, more);
}

static bool is_entry_of(const dpl_addr_t *addr, const struct server *server) {
    return strcmp(addr->portstr, server_port(server)) == 0 &&
           strstr(server_name(server), addr->host) != NULL;
}

long blacklisted_until(dpl_ctx_t *ctx, const struct server *server) {
    dpl_addr_t *addr;
    long until = 0;

    dpl_addrlist_lock(ctx->addrlist);
    LIST_FOREACH (addr, &ctx->addrlist->addr_list, list)
        if (is_entry_of(addr, server))
            until = addr->blacklist_expire_timestamp;
    dpl_addrlist_unlock(ctx->addrlist);
    return until > 0 && until <= time(NULL) ? 0 : until;
}

unsigned hosts_available(dpl_ctx_t *ctx) {
    unsigned n;

    dpl_addrlist_lock(ctx->addrlist);
    n = dpl_addrlist_count_avail_nolock(ctx->addrlist);
    dpl_addrlist_unlock(ctx->addrlist);
    return n;
}

int open_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}
