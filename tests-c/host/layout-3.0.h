/*
 * struct dpl_ctx of Droplet 3.0; included by droplet.h only. -DDROPLET_LAYOUT_2014_06 and
 * -DDROPLET_LAYOUT_2015_04 choose its older revisions.
 */

struct dpl_ctx {
    int n_conn_buckets;
    int n_conn_max;
    int n_conn_max_hits;
    int conn_idle_time;
    int conn_timeout;
    int read_timeout;
    int write_timeout;
    int use_https;
    dpl_addrlist_t *addrlist;
    int cur_host;
    int blacklist_expiretime;
    char *base_path;
    char *access_key;
    char *secret_key;
    unsigned char aws_auth_sign_version;
    char aws_region[32];
    char *ssl_cert_file;
    char *ssl_key_file;
    char *ssl_password;
    char *ssl_ca_list;
    char *ssl_crl_list;
    int cert_verif;
    const SSL_METHOD *ssl_method;
    char *ssl_cipher_list;
    int ssl_comp;
    unsigned int trace_level;
    int trace_buffers;
    int trace_binary;
    char *pricing;
    unsigned int read_buf_size;
    char *encrypt_key;
    int encode_slashes;
#ifndef DROPLET_LAYOUT_2014_06
    int empty_folder_emulation;
#endif
    int keep_alive;
    int url_encoding;
    int max_redirects;
#if !defined DROPLET_LAYOUT_2014_06 && !defined DROPLET_LAYOUT_2015_04
    int preserve_root_path;
#endif
    uint32_t enterprise_number;
    struct dpl_backend_s *backend;
    int header_size;
    dpl_vec_t *request_pricing;
    dpl_vec_t *data_pricing[3];
    SSL_CTX *ssl_ctx;
    BIO *ssl_bio;
    struct dpl_conn **conn_buckets;
    int n_conn_fds;
    dpl_dict_t *cwds;
    char *cur_bucket;
    char *droplet_dir;
    char *profile_name;
    char *pricing_dir;
    FILE *event_log;
    dpl_trace_func_t trace_func;
    pthread_mutex_t lock;
    int canary;
    void *backend_ctx;
};

#define DROPLET_CTX_AT(member, at) \
    DROPLET_ASSERT(offsetof(struct dpl_ctx, member) == (at), #member)

/* What an older revision lacks in front of backend. */
#ifdef DROPLET_LAYOUT_2014_06
#define DROPLET_MAX_REDIRECTS_AT 228
#define DROPLET_LACKS 8
#elif defined DROPLET_LAYOUT_2015_04
#define DROPLET_MAX_REDIRECTS_AT 232
#define DROPLET_LACKS 8
#else
#define DROPLET_MAX_REDIRECTS_AT 232
#define DROPLET_LACKS 0
#endif

DROPLET_ASSERT(sizeof(struct dpl_ctx) == 400 - DROPLET_LACKS + sizeof(pthread_mutex_t), "dpl_ctx");
DROPLET_CTX_AT(n_conn_buckets, 0);
DROPLET_CTX_AT(use_https, 28);
DROPLET_CTX_AT(addrlist, 32);
DROPLET_CTX_AT(cur_host, 40);
DROPLET_CTX_AT(blacklist_expiretime, 44);
DROPLET_CTX_AT(aws_region, 73);
DROPLET_CTX_AT(cert_verif, 152);
DROPLET_CTX_AT(trace_level, 180);
DROPLET_CTX_AT(read_buf_size, 200);
DROPLET_CTX_AT(max_redirects, DROPLET_MAX_REDIRECTS_AT);
DROPLET_CTX_AT(backend, 248 - DROPLET_LACKS);
DROPLET_CTX_AT(ssl_ctx, 296 - DROPLET_LACKS);
DROPLET_CTX_AT(conn_buckets, 312 - DROPLET_LACKS);
DROPLET_CTX_AT(n_conn_fds, 320 - DROPLET_LACKS);
DROPLET_CTX_AT(trace_func, 376 - DROPLET_LACKS);
DROPLET_CTX_AT(lock, 384 - DROPLET_LACKS);
DROPLET_CTX_AT(canary, 384 - DROPLET_LACKS + sizeof(pthread_mutex_t));
DROPLET_CTX_AT(backend_ctx, 392 - DROPLET_LACKS + sizeof(pthread_mutex_t));
