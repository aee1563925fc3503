#include <droplet_conn.h>
#include <stdio.h>

#if DPLX_VERSION_NUMBER < 1000 /* 0.1.0 */
#error "droplet_conn.h is too old"
#endif

int main(void) {
    printf("built with %s, runs with %s\n", DPLX_VERSION, dplx_version());
    return 0;
}
