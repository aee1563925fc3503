/* Unit "httpreply" as the host would have it, but for its reader (reply.c). */
#include "poison.h"

POISON(dpl_connection_close);
POISON(dpl_location);
POISON(dpl_map_http_status);
POISON(dpl_read_http_reply_buffered);
POISON(dpl_read_http_reply_ext);
