#include <droplet_conn.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    dpl_addrlist_t *hosts = dpl_addrlist_create_from_str("80", "127.0.0.1, [::1]:8080");
    char *text = dpl_addrlist_get(hosts);

    if (!hosts || !text)
        return 1;
    puts(text); /* 127.0.0.1:80,[::1]:8080, or the other way round */
    free(text);
    dpl_addrlist_free(hosts);
    return 0;
}
