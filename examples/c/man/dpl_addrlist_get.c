#include <droplet_conn.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    dpl_addrlist_t *hosts = dpl_addrlist_create_from_str(NULL, "127.0.0.1:80 127.0.0.2:80");
    char *text = dpl_addrlist_get(hosts);
    dpl_addr_t *host;

    printf("%u hosts: %s\n", dpl_addrlist_count(hosts), text);
    dpl_addrlist_lock(hosts); /* for as long as `host` is used */
    if (dpl_addrlist_get_nth(hosts, 5, &host) != DPL_SUCCESS) /* the second one: 5 modulo 2 */
        return 1;
    host = dpl_addrlist_get_byname_nolock(hosts, "127.0.0.2", "80");
    dpl_addrlist_unlock(hosts);
    free(text);
    dpl_addrlist_free(hosts);
    return !host;
}
