/* Unit "conn" as the host would have it. */
#include "poison.h"

extern void *dpl_default_conn_ctx;
void *dpl_default_conn_ctx = NULL;

POISON(dpl_blacklist_host);
POISON(dpl_conn_open_file);
POISON(dpl_conn_open_host);
POISON(dpl_conn_pool_destroy);
POISON(dpl_conn_pool_init);
POISON(dpl_conn_release);
POISON(dpl_conn_terminate);
POISON(dpl_conn_writev_all);
POISON(dpl_try_connect);
