/* Unit "addrlist" as the host would have it. */
#include "poison.h"

POISON(dpl_addr_get_ident);
POISON(dpl_addrlist_add);
POISON(dpl_addrlist_add_from_str);
POISON(dpl_addrlist_add_nolock);
POISON(dpl_addrlist_blacklist);
POISON(dpl_addrlist_clear_nolock);
POISON(dpl_addrlist_count);
POISON(dpl_addrlist_count_avail_nolock);
POISON(dpl_addrlist_count_nolock);
POISON(dpl_addrlist_create);
POISON(dpl_addrlist_create_from_str);
POISON(dpl_addrlist_free);
POISON(dpl_addrlist_get);
POISON(dpl_addrlist_get_byip_nolock);
POISON(dpl_addrlist_get_byname_nolock);
POISON(dpl_addrlist_get_nth);
POISON(dpl_addrlist_get_rand);
POISON(dpl_addrlist_lock);
POISON(dpl_addrlist_refresh_blacklist_nolock);
POISON(dpl_addrlist_remove_nolock);
POISON(dpl_addrlist_set_from_str);
POISON(dpl_addrlist_unblacklist);
POISON(dpl_addrlist_unlock);
