#include <droplet_conn.h>
#include <stdio.h>

int main(void) {
    dpl_addrlist_t *hosts = dpl_addrlist_create("80");

    if (dpl_addrlist_add(hosts, "127.0.0.1", NULL) != DPL_SUCCESS ||
        dpl_addrlist_add(hosts, "127.0.0.2", "8080") != DPL_SUCCESS ||
        dpl_addrlist_set_from_str(hosts, "127.0.0.3") != DPL_SUCCESS)
        fprintf(stderr, "%s\n", dplx_last_error());
    printf("%u host\n", dpl_addrlist_count(hosts)); /* 1 host */
    dpl_addrlist_free(hosts);
    return 0;
}
