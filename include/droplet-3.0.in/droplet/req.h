/* Requests. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_REQ_H__
#define __DROPLET_REQ_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

@functions crates/droplet/src/exports/request/mod.rs

#ifdef __cplusplus
}
#endif

#endif
