#include <droplet_conn.h>
#include <stdio.h>

int main(void) {
    dpl_addrlist_t *hosts = dpl_addrlist_create_from_str(NULL, "127.0.0.1:80 127.0.0.2:80");

    /* Nobody changes the list between these two calls. */
    dpl_addrlist_lock(hosts);
    printf("%u of %u hosts are available\n", dpl_addrlist_count_avail_nolock(hosts),
           dpl_addrlist_count_nolock(hosts));
    dpl_addrlist_unlock(hosts);
    dpl_addrlist_free(hosts);
    return 0;
}
