/*
 * Refers to every name of Droplet's that the library defines. Part of -ldroplet_conn.
 *
 * Real programs call dpl_put() and its like, never a function of ours. The linker then leaves a shared library
 * out (--as-needed, which Debian and Ubuntu make the default) and takes nothing from an archive, and Droplet
 * goes on with its own connections. This object is linked in whatever the program calls, and needs us.
 *
 * All names, since --gc-sections drops from the archive what nobody refers to: a program that is linked
 * statically with us and shared with Droplet would run on some of our functions and on some of Droplet's.
 */
#define NAME(name) extern const char name[];
#include NAMES
/*
 * One of our own. A command that names Droplet's archive before ours, by mistake, takes all others from there: by
 * this one we come in as well, and the linker reports them as defined twice.
 */
NAME(dplx_version)
#undef NAME

#define NAME(name) name,
static const char *const names[] = {
#include NAMES
    NAME(dplx_version)
};

/* Does nothing. A constructor is a root of --gc-sections to every linker, and here it leads to the names. */
__attribute__((constructor)) static void need(void) {
    __asm__ volatile("" : : "r"(names));
}
