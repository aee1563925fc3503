#include <droplet_conn.h>
#include <stdio.h>

int main(void) {
    dpl_status_t status = dplx_ctx_set_wait(NULL, 0);

    printf("%s: %s\n", dplx_status_text(status), dplx_last_error());
    return status != DPL_EINVAL;
}
