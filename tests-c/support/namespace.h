/*
 * A network, and names, of a case's own, in namespaces of Linux. Each has to be asked for before
 * the case has any thread, and is false, with a line that says so, where the kernel does not permit
 * it.
 */
#ifndef SUPPORT_NAMESPACE_H
#define SUPPORT_NAMESPACE_H

#include <stdbool.h>

/* Loopback only. What is set in /proc/sys/net counts there alone. */
bool own_network(void);
bool set_of_network(const char *path, const char *value);
bool add_ipv6_address(const char *address); /* to the loopback interface */

/* Connects to this IPv4 address end as a route of this type has it (RTN_PROHIBIT, rtnetlink(7)). */
bool route_in_network(const char *address, unsigned char type);

/* In the calling thread, and those that it makes, this system call fails so from now on. */
bool forbid_call(long number, int error);

/* Only the names of this text are known, lines as in hosts(5). */
bool own_names(const char *hosts);

/* Other names from now on. */
void names_become(const char *hosts);

#endif
