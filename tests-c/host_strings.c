/* Host strings: separators, ports, brackets of IPv6, other ways to write an address, errors. */
#include <arpa/inet.h>
#include <string.h>

#include "support/check.h"
#include "support/hosts.h"
#include "support/logs.h"

static void empty_list_is_empty(void) {
    dpl_addrlist_t *list = dpl_addrlist_create("80");
    dpl_addr_t *addr;

    REQUIRE(list, "a list is made");
    CHECK_INT(dpl_addrlist_count(list), 0, "it has no host");
    CHECK_INT(available(list), 0, "none is available");
    CHECK(text_is(list, ""), "its text is empty");
    CHECK_STATUS(dpl_addrlist_get_nth(list, 0, &addr), DPL_ENOENT, "there is no nth");
    CHECK_STATUS(dpl_addrlist_get_rand(list, &addr), DPL_ENOENT, "there is none at random");
    CHECK(named(list, "127.0.0.1", "80") == NULL, "there is none by name");
    dpl_addrlist_free(list);
}

static void separators_and_ports_are_understood(void) {
    dpl_addrlist_t *list = list_of(";127.0.0.1:81;127.0.0.2:82,127.0.0.3:83 127.0.0.4, ;");

    CHECK_INT(dpl_addrlist_count(list), 4, "four hosts, however separated");
    CHECK(named(list, "127.0.0.1", "81"), "the first");
    CHECK(named(list, "127.0.0.2", "82"), "the second");
    CHECK(named(list, "127.0.0.3", "83"), "the third");
    CHECK(named(list, "127.0.0.4", "80"), "the fourth, with the list's default port");
    CHECK(named(list, "127.0.0.4", "81") == NULL, "a host at another port is another host");
    dpl_addrlist_free(list);
}

static void default_port_is_the_lists(void) {
    dpl_addrlist_t *list = dpl_addrlist_create_from_str("443", "127.0.0.1");

    REQUIRE(list, "a list with default port 443 is made");
    CHECK(text_is(list, "127.0.0.1:443"), "its host has that port");
    dpl_addrlist_free(list);
    list = dpl_addrlist_create(NULL);
    REQUIRE(list, "a list without a default port is made");
    CHECK_STATUS(dpl_addrlist_add_from_str(list, "127.0.0.1"), DPL_SUCCESS, "a host is added");
    CHECK(text_is(list, "127.0.0.1:80"), "it has port 80");
    dpl_addrlist_free(list);
}

static void brackets_enclose_ipv6(void) {
    dpl_addrlist_t *list = list_of("[::1]:8080");
    dpl_addr_t *addr = NULL;

    REQUIRE(dpl_addrlist_get_nth(list, 0, &addr) == DPL_SUCCESS, "it has a host");
    CHECK_INT(addr->h->h_addrtype, AF_INET6, "of IPv6");
    CHECK_INT(addr->h->h_length, 16, "with an address of 16 bytes");
    CHECK(memcmp(addr->h->h_addr_list[0], &in6addr_loopback, 16) == 0, "the loopback's");
    CHECK_STR(addr->portstr, "8080", "the port follows the last colon");
    dpl_addrlist_free(list);
    list = list_of("[::1]");
    REQUIRE(dpl_addrlist_get_nth(list, 0, &addr) == DPL_SUCCESS, "one without a port");
    CHECK_STR(addr->portstr, "80", "has the default port");
    dpl_addrlist_free(list);
}

/* Which status an impossible port has is not documented, except that the host is not added. */
static void impossible_port_is_refused(void) {
    static const char *const hosts[] = {"127.0.0.1:b",  "127.0.0.1:0", "127.0.0.1:70000",
                                        "127.0.0.1:-1", "127.0.0.1:",  "http://127.0.0.1:80"};

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        dpl_addrlist_t *list = list_of("127.0.0.2");

        CHECK(dpl_addrlist_add_from_str(list, hosts[i]) != DPL_SUCCESS, "%s is refused", hosts[i]);
        CHECK_INT(dpl_addrlist_count(list), 1, "and not in the list");
        dpl_addrlist_free(list);
    }
}

/* It may mean [::1]:80, and [::1:80]. */
static void ambiguous_ipv6_is_refused(void) {
    dpl_addrlist_t *list = list_of("127.0.0.2");

    logs_collect();
    CHECK_STATUS(dpl_addrlist_add_from_str(list, "::1:80"), DPL_EINVAL, "::1:80 is refused");
    CHECK_INT(logs_with("write [::1:80], or [::1]:80"), 1, "the log says how to write it");
    CHECK_STATUS(dpl_addrlist_add_from_str(list, "::1"), DPL_SUCCESS, "::1 is not");
    CHECK_STATUS(dpl_addrlist_add(list, "::1:80", "80"), DPL_SUCCESS, "nor ::1:80 with a port");
    CHECK_INT(dpl_addrlist_count(list), 3, "both are in the list");
    dpl_addrlist_free(list);
}

/* Profiles have the ends of URLs in them, and the line ends of Windows. */
static void what_follows_a_port_has_no_effect(void) {
    static const char *const hosts[] = {"127.0.0.1:81/", "127.0.0.1:81/b:82", "127.0.0.1:81x"};
    dpl_addrlist_t *list;

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        logs_collect();
        list = list_of(hosts[i]);
        CHECK(text_is(list, "127.0.0.1:81"), "%s is 127.0.0.1:81", hosts[i]);
        CHECK_STR(named(list, "127.0.0.1", "81")->portstr, "81", "its port is written so");
        CHECK_INT(logs_with(hosts[i]), 1, "and the log warns of it");
        dpl_addrlist_free(list);
    }
    logs_collect();
    list = list_of("127.0.0.1/;127.0.0.2:82\r");
    CHECK(named(list, "127.0.0.1", "80"), "a slash without a port is passed over");
    CHECK(named(list, "127.0.0.2", "82"), "so is a carriage return");
    CHECK_INT(logs_count(), 1, "which nobody is warned of");
    dpl_addrlist_free(list);
    list = list_of("\r");
    CHECK(text_is(list, ""), "a carriage return alone is no host");
    dpl_addrlist_free(list);
}

static void address_may_be_written_in_other_ways(void) {
    static const char *const hosts[] = {"127.1",       "0x7f000001",         "2130706433",
                                        "[127.0.0.1]", "[::ffff:127.0.0.1]", "127.0.0.1."};
    dpl_addrlist_t *list = list_of("127.0.0.1:81");

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        CHECK_STATUS(dpl_addrlist_blacklist(list, hosts[i], "81", 100), DPL_SUCCESS, "%s is out",
                     hosts[i]);
        CHECK_INT(available(list), 0, "which is the host");
        CHECK_STATUS(dpl_addrlist_add(list, hosts[i], "81"), DPL_SUCCESS, "it is added");
        CHECK_INT(dpl_addrlist_count(list), 1, "and is there already");
        CHECK_INT(available(list), 1, "which brings it back");
        CHECK(named(list, hosts[i], "081") == named(list, "127.0.0.1", "81"), "by name");
    }
    dpl_addrlist_free(list);
}

static void unknown_host_is_refused(void) {
    dpl_addrlist_t *list = list_of("127.0.0.1");
    char name[65];

    memset(name, 'x', 64); /* longer than a label may be: not even asked for */
    name[64] = '\0';
    CHECK_STATUS(dpl_addrlist_add(list, name, "80"), DPL_FAILURE, "it cannot be added");
    CHECK_STATUS(dpl_addrlist_add_from_str(list, name), DPL_FAILURE, "nor as part of a string");
    CHECK_STATUS(dpl_addrlist_blacklist(list, name, "80", 1), DPL_ENOENT, "nor blacklisted");
    CHECK_STATUS(dpl_addrlist_unblacklist(list, name, "80"), DPL_ENOENT, "nor lifted");
    CHECK_INT(dpl_addrlist_count(list), 1, "the list is as it was");
    CHECK(dpl_addrlist_create_from_str("80", name) == NULL, "a list of it alone is none");
    dpl_addrlist_free(list);
}

int main(void) {
    test_begin("host_strings");
    RUN(empty_list_is_empty);
    RUN(separators_and_ports_are_understood);
    RUN(default_port_is_the_lists);
    RUN(brackets_enclose_ipv6);
    RUN(impossible_port_is_refused);
    RUN(ambiguous_ipv6_is_refused);
    RUN(what_follows_a_port_has_no_effect);
    RUN(address_may_be_written_in_other_ways);
    RUN(unknown_host_is_refused);
    return test_end();
}
