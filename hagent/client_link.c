/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A client's PPP link: what the protocol library calls back.
 */
#include <errno.h>
#include <string.h>

#include "hagent/client_internal.h"

static void
link_send(void *arg, uint16_t protocol, const uint8_t *payload, size_t len)
{
	uint8_t frame[CLIENT_FRAME_MAX];
	struct wr w = wr_init(frame, sizeof(frame));

	wr_u16(&w, 0xff03);
	wr_u16(&w, protocol);
	wr_copy(&w, payload, len);
	if (wr_ok(&w))
		client_send_frame(arg, frame, wr_len(&w));
}

/* Both have proven themselves. */
static void
link_keys(void *arg, const uint8_t send_key[static 16], const uint8_t recv_key[static 16])
{
	struct pptp_client *c = arg;

	mppe_init(&c->send_key, send_key);
	mppe_init(&c->recv_key, recv_key);
	c->armed = true;
	client_done(c, PPTP_STEP_AUTH);
}

static void
link_peer_address(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	(void)arg;
	(void)a;
	(void)mtu;
}

static void
link_up(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	struct pptp_client *c = arg;
	struct ppp_state p;

	ppp_get_state(c->ppp, &p);
	c->s.address = a->local_ip;
	c->s.server_address = a->peer_ip;
	c->s.mtu = mtu;
	c->s.mppe_bits = p.ccp_bits;
	memcpy(c->s.dns, p.dns, sizeof(c->s.dns));
	c->pfc = p.peer_pfc;
	c->acfc = p.peer_acfc;
	c->link_up = true;
	client_done(c, PPTP_STEP_CCP);
	client_done(c, PPTP_STEP_IPCP);
	if (c->fsm.state == CLIENT_LINK)
		fsm_event(&c->fsm, CLIENT_EV_UP, c, NULL);
}

static void
link_down(void *arg)
{
	struct pptp_client *c = arg;

	c->link_up = false;
}

static void
link_finished(void *arg, enum ppp_cause cause, const char *detail)
{
	struct pptp_client *c = arg;
	enum pptp_why why = client_why_link(c, cause);

	if (why == PPTP_WHY_AUTH_METHOD)
		client_note(c, why, "%s", c->seen.method);
	else if (why == PPTP_WHY_MPPE_WEAK)
		client_note(c, why, "%s%s%s%s", c->seen.ccp_bits & 0x20 ? "40 bits" : "",
		    c->seen.ccp_bits & 0x80 ? " 56 bits" : "",
		    c->seen.ccp_bits & 0x40 ? " 128 bits" : "",
		    c->seen.ccp_bits & 0x01000000 ? "" : ", stateful");
	else if (c->seen.chap_error != 0)
		client_note(c, why, "error %u", c->seen.chap_error);
	else
		client_note(c, why, "%s",
		    cause == PPP_CAUSE_PEER && c->seen.said[0] != '\0' ? c->seen.said : detail);
	fsm_event(&c->fsm, CLIENT_EV_FINISHED, c, NULL);
}

static const struct ppp_ops link_ops = {
    .send = link_send,
    .keys = link_keys,
    .peer_address = link_peer_address,
    .up = link_up,
    .down = link_down,
    .finished = link_finished,
};

void
client_open_link(void *object, void *detail)
{
	struct pptp_client *c = object;

	client_done(c, PPTP_STEP_CALL);
	/* Linux and Windows clients both begin with 1. */
	c->tx = (struct gre_tx){.next = 1, .peer_call_id = c->s.peer_call_id};
	c->ppp = ppp_new(c->loop, &c->config, &link_ops, c);
	if (c->ppp == NULL) {
		client_note(c, PPTP_WHY_MACHINE, "out of memory");
		fsm_event(&c->fsm, CLIENT_EV_FAIL, c, NULL);
		return;
	}
	ppp_open(c->ppp);
	client_take_early(c);
}

void
client_came_up(void *object, void *detail)
{
	struct pptp_client *c = object;

	c->s.was_up = true;
	timer_cancel(&c->timer);
	if (c->o.echo_s > 0)
		timer_set(&c->echo, (uint64_t)c->o.echo_s * 1000);
	if (c->ops->up != NULL)
		c->ops->up(c->arg);
}
