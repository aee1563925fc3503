/* The head of a request, as HTTP sends it. Generated from include/droplet-3.0.in and the Rust source; do not edit. */
#ifndef __DROPLET_HTTPREQUEST_H__
#define __DROPLET_HTTPREQUEST_H__ 1

#include <droplet.h>

#ifdef __cplusplus
extern "C" {
#endif

@functions crates/droplet/src/exports/httprequest.rs

#ifdef __cplusplus
}
#endif

#endif
