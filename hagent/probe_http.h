/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A page through the tunnel. TCP needs a kernel, so a child makes a network namespace of its own
 * with a TUN interface that has the session's address, hands us its descriptor, and becomes curl.
 * Nothing on this host but that child sees the interface. Where the machine allows no such
 * namespace, that is what is reported.
 */
#ifndef HAGENT_PROBE_HTTP_H
#define HAGENT_PROBE_HTTP_H

#include <jansson.h>

#include "hagent/client.h"

struct probe_url {
	char *text; /* "https://api.example/health" */
	char *host;
	uint16_t port;
	uint32_t address; /* the host's, found outside of the tunnel */
	const char *ca;   /* file with the certificates to trust, NULL = the system's; borrowed */
	bool insecure;    /* any certificate will do */
};
/* 0, or -1 with a message for people in why. Resolves a name, which may block. */
int probe_url_parse(struct probe_url *u, const char *text, char why[static 160]);
void probe_url_fini(struct probe_url *u);

struct probe_http;

struct probe_http_result {
	bool ok;
	const char
	    *why; /* "no-namespace", "no-curl", "http-connect", "http-tls", "http-status", "http" */
	char text[256];
	unsigned status;
	double connect_ms, tls_ms, first_byte_ms, total_ms; /* each since the beginning */
	long long bytes;
};

/* done(arg) once, from the loop. NULL with errno. */
struct probe_http *probe_http_new(struct loop *l, struct pptp_client *c, const struct probe_url *u,
    unsigned timeout_ms, void (*done)(void *arg), void *arg);
void probe_http_free(struct probe_http *h); /* NULL is fine */
void probe_http_input(struct probe_http *h, const uint8_t *packet, size_t len);
const struct probe_http_result *probe_http_result(const struct probe_http *h);

#endif
