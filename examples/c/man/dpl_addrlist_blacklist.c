#include <droplet_conn.h>
#include <stdio.h>

int main(void) {
    dpl_addrlist_t *hosts = dpl_addrlist_create_from_str(NULL, "127.0.0.1:80 127.0.0.2:80");

    if (dpl_addrlist_blacklist(hosts, "127.0.0.1", "80", 60) != DPL_SUCCESS)
        return 1;
    printf("%u available\n", dpl_addrlist_count_avail_nolock(hosts)); /* 1 available */
    if (dpl_addrlist_unblacklist(hosts, "127.0.0.1", "80") != DPL_SUCCESS)
        return 1;
    printf("%u available\n", dpl_addrlist_count_avail_nolock(hosts)); /* 2 available */
    dpl_addrlist_free(hosts);
    return 0;
}
