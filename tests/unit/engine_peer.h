/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A PPP client behind a call of the engine under test: its own keys and address are nobody's
 * business. The program that includes this says what becomes of its frames and of its ups and
 * downs.
 */
#ifndef UNIT_ENGINE_PEER_H
#define UNIT_ENGINE_PEER_H

#include "pptpd/ppp/ppp.h"

static void peer_send(void *arg, uint16_t protocol, const uint8_t *payload, size_t len);
static void peer_up(void *arg, const struct ppp_addresses *a, uint16_t mtu);
static void peer_down(void *arg);
static void peer_finished(void *arg, enum ppp_cause cause, const char *detail);

static inline void
peer_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
}

static inline void
peer_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
}

static const struct ppp_ops peer_ops = {.send = peer_send,
    .keys = peer_keys,
    .peer_address = peer_address,
    .up = peer_up,
    .down = peer_down,
    .finished = peer_finished};

#endif
