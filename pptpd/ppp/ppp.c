/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The link: phases, and the way in and out. LCP opens, then MS-CHAPv2, then CCP, then IPCP; when
 * LCP leaves Opened all that stood on it falls, and is built again with new keys if LCP opens
 * again.
 */
#include "pptpd/ppp/ppp.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "pptpd/ppp/link.h"

static const char *const cause_names[PPP_CAUSE_MAX] = {
    [PPP_CAUSE_NONE] = "none",
    [PPP_CAUSE_PEER] = "peer",
    [PPP_CAUSE_LOCAL] = "local",
    [PPP_CAUSE_NEGOTIATION] = "negotiation",
    [PPP_CAUSE_AUTH_REFUSED] = "auth-refused",
    [PPP_CAUSE_AUTH_FAILED] = "auth-failed",
    [PPP_CAUSE_AUTH_TIMEOUT] = "auth-timeout",
    [PPP_CAUSE_SERVER_FALSE] = "server-false",
    [PPP_CAUSE_NO_MPPE] = "no-mppe",
    [PPP_CAUSE_REKEY_REFUSED] = "rekey-refused",
    [PPP_CAUSE_NO_ADDRESS] = "no-address",
    [PPP_CAUSE_ECHO] = "echo",
    [PPP_CAUSE_LOOP] = "loop",
    [PPP_CAUSE_IDLE] = "idle",
};

const char *
ppp_cause_name(enum ppp_cause c)
{
	return (unsigned)c < PPP_CAUSE_MAX ? cause_names[c] : "?";
}

const char *
ppp_protocol_name(uint16_t protocol)
{
	static const struct {
		uint16_t number;
		const char *name;
	} names[] = {
	    {PPP_LCP, "LCP"},
	    {PPP_PAP, "PAP"},
	    {PPP_CHAP, "CHAP"},
	    {PPP_EAP, "EAP"},
	    {PPP_CCP, "CCP"},
	    {PPP_COMP, "MPPE"},
	    {PPP_IPCP, "IPCP"},
	    {PPP_IP, "IP"},
	    {PPP_IPV6CP, "IPV6CP"},
	    {PPP_IPV6, "IPv6"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == protocol)
			return names[i].name;
	return "unknown";
}

void
ppp_config_defaults(struct ppp_config *c)
{
	*c = (struct ppp_config){
	    .mru = 1400,
	    .mtu = 1400,
	    .restart_ms = 3000,
	    .max_configure = 10,
	    .max_terminate = 2,
	    .max_failure = 5,
	    .auth_timeout_ms = 30000,
	    .offer_mppe = true,
	};
}

/* All of the way from the first Configure-Request to an open LCP, or from CCP to an open IPCP. */
static uint32_t
phase_limit_ms(const struct ppp *p)
{
	return 2 * p->c->restart_ms * p->c->max_configure;
}

static void
end(struct ppp *p)
{
	p->dead = true;
	cp_fini(&p->lcp);
	cp_fini(&p->ccp);
	cp_fini(&p->ipcp);
	chap_stop(p);
	timer_cancel(&p->setup_timer);
	timer_cancel(&p->echo_timer);
	p->ops->finished(p->arg, p->cause, p->detail != NULL ? p->detail : "");
}

void
link_enter(struct ppp *p)
{
	p->depth++;
}

void
link_leave(struct ppp *p)
{
	if (p->depth == 1 && p->failing && !p->ended) {
		p->failing = false;
		cp_event(&p->lcp, CP_CLOSE, NULL);
		timer_cancel(&p->setup_timer);
		if (p->lcp.state == CP_INITIAL)
			p->ended = true; /* it never started, or has just been told not to */
	}
	p->depth--;
	if (p->depth == 0 && p->ended && !p->dead)
		end(p);
}

static void
note(struct ppp *p, enum ppp_cause cause, const char *fmt, va_list ap)
{
	if (p->cause != PPP_CAUSE_NONE)
		return;
	p->cause = (uint8_t)cause;
	if (vasprintf(&p->detail, fmt, ap) < 0)
		p->detail = NULL;
}

void
link_note(struct ppp *p, enum ppp_cause cause, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(p, cause, fmt, ap);
	va_end(ap);
}

void
link_fail(struct ppp *p, enum ppp_cause cause, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(p, cause, fmt, ap);
	va_end(ap);
	p->failing = true;
}

void
link_send(struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len)
{
	p->ops->send(p->arg, protocol, payload, len);
}

size_t
link_body_max(const struct ppp *p)
{
	return p->peer.mru - CP_HEADER_LEN;
}

const char *
link_reason(const struct ppp *p)
{
	return ppp_cause_name(p->cause);
}

void
link_established(struct ppp *p)
{
	p->peer_quit = false;
	if (!p->auth_clock)
		timer_set(&p->setup_timer, p->c->auth_timeout_ms);
	p->auth_clock = true;
	if (p->c->is_server || p->peer.auth)
		chap_start(p);
	else
		link_fail(p, PPP_CAUSE_AUTH_REFUSED, "server does not ask for MS-CHAPv2");
}

void
link_lost(struct ppp *p)
{
	bool was_authenticated = p->authenticated;

	p->authenticated = false;
	chap_stop(p);
	cp_event(&p->ipcp, CP_DOWN, NULL);
	cp_event(&p->ccp, CP_DOWN, NULL);
	free(p->early);
	p->early = NULL;
	if (was_authenticated)
		timer_set(&p->setup_timer, phase_limit_ms(p));
}

void
link_terminated(struct ppp *p)
{
	if (p->peer_quit)
		link_note(p, PPP_CAUSE_PEER, "peer gives up on LCP");
	link_note(p, PPP_CAUSE_NEGOTIATION, "no agreement on LCP");
	p->ended = true;
}

static bool
wants_mppe(const struct ppp *p)
{
	return p->c->is_server || p->c->offer_mppe;
}

void
link_authenticated(struct ppp *p)
{
	bool impatient = !p->c->is_server && p->c->style == PPP_STYLE_WINDOWS;

	p->authenticated = true;
	p->auth_clock = false;
	timer_set(&p->setup_timer, phase_limit_ms(p));
	if (p->c->is_server && !p->has_address && !p->ops->address(p->arg, &p->addresses)) {
		link_fail(p, PPP_CAUSE_NO_ADDRESS, "no address for the peer");
		return;
	}
	p->has_address = true;
	if (wants_mppe(p))
		cp_event(&p->ccp, CP_UP, NULL);
	if (impatient || !wants_mppe(p))
		cp_event(&p->ipcp, CP_UP, NULL);
}

void
link_compressed(struct ppp *p)
{
	if (p->ipcp.state == CP_OPENED) {
		link_up(p);
		return;
	}
	cp_event(&p->ipcp, CP_UP, NULL);
	ipcp_take_early(p);
}

uint16_t
link_mtu(const struct ppp *p)
{
	uint16_t room = p->peer.mru - MPPE_OVERHEAD;

	return p->c->mtu < room ? p->c->mtu : room;
}

void
link_up(struct ppp *p)
{
	if (wants_mppe(p) && p->ccp.state != CP_OPENED)
		return; /* an impatient client is ahead; link_compressed() brings it here again */
	if (p->addresses.local_ip == 0 || p->addresses.peer_ip == 0) {
		link_fail(p, PPP_CAUSE_NEGOTIATION, "no addresses agreed");
		return;
	}
	timer_cancel(&p->setup_timer);
	p->mtu = link_mtu(p);
	p->up = true;
	p->ops->up(p->arg, &p->addresses, p->mtu);
}

void
link_down(struct ppp *p)
{
	if (!p->up)
		return;
	p->up = false;
	p->ops->down(p->arg);
}

static void
setup_cb(void *arg)
{
	struct ppp *p = arg;

	link_enter(p);
	if (p->lcp.state != CP_OPENED && !p->auth_clock)
		link_fail(p, PPP_CAUSE_NEGOTIATION, "no agreement on LCP in time");
	else if (!p->authenticated)
		link_fail(p, PPP_CAUSE_AUTH_TIMEOUT, "not authenticated in time");
	else if (p->ccp.state != CP_OPENED)
		link_fail(p, PPP_CAUSE_NO_MPPE, "no agreement on MPPE in time, peer's bits=%08x",
		    p->ccp_seen);
	else
		link_fail(p, PPP_CAUSE_NEGOTIATION, "no agreement on IPCP in time");
	link_leave(p);
}

struct ppp *
ppp_new(struct loop *l, const struct ppp_config *c, const struct ppp_ops *ops, void *arg)
{
	struct ppp *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->loop = l;
	p->c = c;
	p->ops = ops;
	p->arg = arg;
	p->our_mru = p->peer.mru = LCP_MRU_DEFAULT;
	p->peer.accm = 0xffffffff;
	p->addresses = (struct ppp_addresses){c->local_ip, 0};
	if (!c->is_server)
		p->addresses.local_ip = c->want_ip;
	lcp_init(p);
	cp_init(&p->ccp, &ccp_protocol, p);
	cp_init(&p->ipcp, &ipcp_protocol, p);
	cp_event(&p->ccp, CP_OPEN, NULL);
	cp_event(&p->ipcp, CP_OPEN, NULL);
	chap_init(p);
	timer_init(&p->setup_timer, l, setup_cb, p);
	return p;
}

void
ppp_free(struct ppp *p)
{
	if (p == NULL)
		return;
	cp_fini(&p->lcp);
	cp_fini(&p->ccp);
	cp_fini(&p->ipcp);
	chap_stop(p);
	timer_cancel(&p->setup_timer);
	timer_cancel(&p->echo_timer);
	free(p->early);
	free(p->peer_name);
	free(p->detail);
	explicit_bzero(p, sizeof(*p));
	free(p);
}

void
ppp_open(struct ppp *p)
{
	link_enter(p);
	timer_set(&p->setup_timer, phase_limit_ms(p));
	cp_event(&p->lcp, CP_OPEN, NULL);
	cp_event(&p->lcp, CP_UP, NULL);
	link_leave(p);
}

void
ppp_close(struct ppp *p, enum ppp_cause cause)
{
	if (p->dead)
		return;
	link_enter(p);
	link_fail(p, cause, "closed");
	link_leave(p);
}

void
ppp_renegotiate(struct ppp *p)
{
	if (p->dead || p->lcp.state != CP_OPENED)
		return;
	link_enter(p);
	cp_event(&p->lcp, CP_DOWN, NULL);
	cp_event(&p->lcp, CP_UP, NULL);
	link_leave(p);
}

static void
unknown(struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len, bool was_encrypted)
{
	p->counters.unknown++;
	if (was_encrypted || !p->authenticated || protocol == PPP_IP || protocol == PPP_COMP)
		return;
	lcp_protocol_reject(p, protocol, payload, len);
}

/* LCP is open: RFC 1661 §3.5 drops all but CHAP until the peer is authenticated. */
static void
dispatch(struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len)
{
	if (protocol == PPP_CHAP)
		chap_input(p, payload, len);
	else if (protocol == PPP_CCP && wants_mppe(p) && p->authenticated)
		cp_input(&p->ccp, payload, len);
	else if (protocol == PPP_IPCP && p->authenticated)
		ipcp_input(p, payload, len);
	else
		unknown(p, protocol, payload, len, false);
}

void
ppp_input(struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len)
{
	if (p->dead)
		return;
	link_enter(p);
	p->last_life_ms = loop_now_ms(p->loop);
	if (protocol == PPP_LCP)
		cp_input(&p->lcp, payload, len);
	else if (p->lcp.state == CP_OPENED)
		dispatch(p, protocol, payload, len);
	link_leave(p);
}

void
ppp_alive(struct ppp *p)
{
	p->last_life_ms = loop_now_ms(p->loop);
	p->data_seen = true;
}

void
ppp_unknown_protocol(
    struct ppp *p, uint16_t protocol, const uint8_t *payload, size_t len, bool was_encrypted)
{
	if (p->dead)
		return;
	link_enter(p);
	unknown(p, protocol, payload, len, was_encrypted);
	link_leave(p);
}

const struct ppp_counters *
ppp_counters(const struct ppp *p)
{
	return &p->counters;
}

int
ppp_decapsulate(const uint8_t *bytes, size_t len, uint16_t *protocol, const uint8_t **payload,
    size_t *payload_len)
{
	struct rd r = rd_init(bytes, len);

	if (len >= 2 && bytes[0] == 0xff && bytes[1] == 0x03)
		rd_skip(&r, 2);
	*protocol = rd_u8(&r);
	if ((*protocol & 1) == 0)
		*protocol = (uint16_t)(*protocol << 8 | rd_u8(&r));
	if (!rd_ok(&r) || (*protocol & 1) == 0 || *protocol == 0xff) {
		errno = EBADMSG;
		return -1;
	}
	*payload = r.p;
	*payload_len = rd_left(&r);
	return 0;
}
