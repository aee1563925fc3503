#include <droplet_conn.h>
#include <stdio.h>

int main(void) {
    struct hostent *host = gethostbyname("127.0.0.1");
    char text[53];

    if (!dpl_addr_get_ident(host, 80, text, sizeof text))
        return 1;
    puts(text); /* 127.0.0.1:80 */
    return 0;
}
