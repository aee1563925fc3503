#include "support/namespace.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/check.h"
#include "support/scratch.h"

static bool write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    bool good = file && fputs(text, file) >= 0;

    return file && fclose(file) == 0 && good;
}

/* A user that is not root becomes root, in a user namespace. */
static bool enter(int namespace) {
    unsigned user = getuid();
    unsigned group = getgid();
    char map[64];

    if (unshare(namespace) == 0)
        return true;
    if (unshare(namespace | CLONE_NEWUSER) != 0)
        return false;
    snprintf(map, sizeof map, "0 %u 1\n", user);
    if (!write_file("/proc/self/uid_map", map) || !write_file("/proc/self/setgroups", "deny"))
        return false;
    snprintf(map, sizeof map, "0 %u 1\n", group);
    return write_file("/proc/self/gid_map", map);
}

bool own_network(void) {
    struct ifreq loopback = {.ifr_name = "lo"};
    int fd;
    bool good;

    if (!enter(CLONE_NEWNET)) {
        check_skip("no network of its own is permitted here");
        return false;
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    good = ioctl(fd, SIOCSIFFLAGS, &loopback) == 0;
    close(fd);
    REQUIRE(good, "its loopback interface is up");
    return true;
}

bool set_of_network(const char *path, const char *value) {
    char whole[128];

    snprintf(whole, sizeof whole, "/proc/sys/net/%s", path);
    return write_file(whole, value);
}

bool add_ipv6_address(const char *address) {
    struct { /* in6_ifreq, whose header clashes with libc's */
        struct in6_addr address;
        uint32_t prefix_len;
        int interface;
        char rest[sizeof(struct ifreq)]; /* valgrind takes it for the struct of IPv4 */
    } request = {.prefix_len = 64, .interface = (int)if_nametoindex("lo")};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool good = inet_pton(AF_INET6, address, &request.address) == 1 &&
                ioctl(fd, SIOCSIFADDR, &request) == 0;

    close(fd);
    return good;
}

bool route_in_network(const char *address, unsigned char type) {
    struct {
        struct nlmsghdr header;
        struct rtmsg route;
        struct rtattr to;
        struct in_addr address;
    } message = {
        .header = {.nlmsg_len = sizeof message,
                   .nlmsg_type = RTM_NEWROUTE,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK},
        .route = {.rtm_family = AF_INET,
                  .rtm_dst_len = 32,
                  .rtm_table = RT_TABLE_MAIN,
                  .rtm_protocol = RTPROT_STATIC,
                  .rtm_scope = RT_SCOPE_UNIVERSE,
                  .rtm_type = type},
        .to = {.rta_len = RTA_LENGTH(sizeof(struct in_addr)), .rta_type = RTA_DST},
    };
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
    } answer = {.error = {.error = -1}};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    bool good;

    inet_pton(AF_INET, address, &message.address);
    good = send(fd, &message, sizeof message, 0) == sizeof message &&
           recv(fd, &answer, sizeof answer, 0) > 0 && answer.error.error == 0;
    close(fd);
    return good;
}

bool forbid_call(long number, int error) {
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof steps / sizeof *steps, .filter = steps};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0)
        return true;
    check_skip("no filter of system calls is permitted here");
    return false;
}

static const char *path_of(const char *name) {
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", scratch_dir(), name);
    return path;
}

static bool mount_over(const char *target, const char *name, const char *text) {
    return write_file(path_of(name), text) &&
           mount(path_of(name), target, "none", MS_BIND, NULL) == 0;
}

bool own_names(const char *hosts) {
    if (enter(CLONE_NEWNS) && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount_over("/etc/nsswitch.conf", "nsswitch.conf", "hosts: files\n") &&
        mount_over("/etc/hosts", "hosts", hosts))
        return true;
    check_skip("no names of its own are permitted here");
    return false;
}

void names_become(const char *hosts) {
    write_file(path_of("hosts"), hosts);
}
