/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a link is at one moment, and a link that goes on from there in another process. Only an open
 * server link is worth that: whatever is on its way to it starts over.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pptpd/ppp/link.h"

void
ppp_get_state(const struct ppp *p, struct ppp_state *s)
{
	*s = (struct ppp_state){
	    .our_mru = p->our_mru,
	    .peer_mru = p->peer.mru,
	    .our_magic = p->our_magic,
	    .peer_magic = p->peer.magic,
	    .our_accm = 0xffffffff,
	    .peer_accm = p->peer.accm,
	    .peer_pfc = p->peer.pfc,
	    .peer_acfc = p->peer.acfc,
	    .lcp_state = p->lcp.state,
	    .ccp_state = p->ccp.state,
	    .ipcp_state = p->ipcp.state,
	    .auth_state = p->chap.state,
	    .lcp_id = p->lcp.next_id,
	    .chap_id = p->chap.next_id,
	    .ccp_id = p->ccp.next_id,
	    .ipcp_id = p->ipcp.next_id,
	    .lcp_acked_id = p->lcp.acked_id,
	    .ccp_acked_id = p->ccp.acked_id,
	    .ipcp_acked_id = p->ipcp.acked_id,
	    .lcp_acked_hash = p->lcp.acked_hash,
	    .ccp_acked_hash = p->ccp.acked_hash,
	    .ipcp_acked_hash = p->ipcp.acked_hash,
	    .ccp_bits = p->ccp.state == CP_OPENED ? MPPE_BITS : 0,
	    .addresses = p->addresses,
	    .dns = {p->dns[0], p->dns[2]},
	    .mtu = p->mtu,
	    .up = p->up,
	};
	if (p->peer_name != NULL)
		snprintf(s->peer_name, sizeof(s->peer_name), "%s", p->peer_name);
}

/* What we never negotiate has one value. */
static bool
is_open(const struct ppp_state *s)
{
	bool all_open = s->lcp_state == CP_OPENED && s->ccp_state == CP_OPENED &&
			s->ipcp_state == CP_OPENED && s->auth_state == CHAP_DONE && s->up;
	bool ours = s->our_accm == 0xffffffff && !s->our_pfc && !s->our_acfc;

	return all_open && ours && s->ccp_bits == MPPE_BITS && s->our_mru >= PPP_MRU_MIN &&
	       s->peer_mru >= PPP_MRU_MIN && s->mtu > 0 && s->mtu <= s->peer_mru - MPPE_OVERHEAD &&
	       s->addresses.local_ip != 0 && s->addresses.peer_ip != 0 &&
	       memchr(s->peer_name, '\0', sizeof(s->peer_name)) != NULL;
}

int
ppp_restore(struct ppp *p, const struct ppp_state *s, uint16_t spread)
{
	if (!p->c->is_server || p->lcp.state != CP_INITIAL || p->dead || !is_open(s)) {
		errno = EINVAL;
		return -1;
	}
	if ((p->peer_name = strdup(s->peer_name)) == NULL)
		return -1;
	lcp_restore(p, s, spread);
	chap_restore(p, s->chap_id);
	cp_restore(&p->ccp, s->ccp_id, s->ccp_acked_id, s->ccp_acked_hash);
	p->ccp_seen = s->ccp_bits;
	p->data_seen = true;
	cp_restore(&p->ipcp, s->ipcp_id, s->ipcp_acked_id, s->ipcp_acked_hash);
	p->addresses = s->addresses;
	p->dns[0] = s->dns[0];
	p->dns[2] = s->dns[1];
	p->mtu = s->mtu;
	p->authenticated = p->has_address = p->up = true;
	return 0;
}

void
ppp_echo_now(struct ppp *p)
{
	if (p->dead || p->lcp.state != CP_OPENED)
		return;
	link_enter(p);
	lcp_ask_echo(p);
	link_leave(p);
}
