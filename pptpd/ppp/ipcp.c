/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * IPCP (RFC 1332) with the name servers of RFC 1877. It negotiates only while CCP is open; what
 * comes earlier waits: the newest Configure-Request is kept and answered then.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "pptpd/ppp/link.h"

enum {
	OPT_COMPRESSION = 2,
	OPT_ADDRESS = 3,
	OPT_DNS_1 = 0x81,
	OPT_WINS_1 = 0x82,
	OPT_DNS_2 = 0x83,
	OPT_WINS_2 = 0x84,
};

#define EARLY_MAX 256

/* Van Jacobson, 16 slots, slot ids compressed: pppd asks for it by default, we never grant it. */
static void
put_compression(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u16(w, 0x002d);
	wr_u8(w, 15);
	wr_u8(w, 1);
}

static void
put_address(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u32(w, p->addresses.local_ip);
}

static enum cp_verdict
judge_address(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	p->address_wished = true;
	p->address_wish = rd_u32(data);
	if (!p->c->is_server)
		return p->address_wish != 0 ? CP_ACK : CP_REJ;
	if (p->address_wish == p->addresses.peer_ip)
		return CP_ACK;
	wr_u32(nak, p->addresses.peer_ip);
	return CP_NAK;
}

/* A client takes what it is given; a server's own address is not the peer's to choose. */
static void
naked_address(struct ppp *p, uint8_t type, struct rd *data)
{
	uint32_t ip = rd_u32(data);

	if (!p->c->is_server && rd_end(data))
		p->addresses.local_ip = ip;
}

static uint32_t
name_server(const struct ppp *p, uint8_t type)
{
	switch (type) {
	case OPT_DNS_1:
		return p->c->dns[0];
	case OPT_DNS_2:
		return p->c->dns[1];
	case OPT_WINS_1:
		return p->c->wins[0];
	default:
		return p->c->wins[1];
	}
}

static void
put_name_server(struct ppp *p, uint8_t type, struct wr *w)
{
	wr_u32(w, p->dns[type - OPT_DNS_1]);
}

static enum cp_verdict
judge_name_server(struct ppp *p, uint8_t type, struct rd *data, struct wr *nak)
{
	uint32_t ours = p->c->is_server ? name_server(p, type) : 0;

	if (ours == 0)
		return CP_REJ;
	if (rd_u32(data) == ours)
		return CP_ACK;
	wr_u32(nak, ours);
	return CP_NAK;
}

static void
naked_name_server(struct ppp *p, uint8_t type, struct rd *data)
{
	uint32_t ip = rd_u32(data);

	if (rd_end(data))
		p->dns[type - OPT_DNS_1] = ip;
}

#define NAME_SERVER(type)                                                                          \
	{                                                                                          \
		type, 4, put_name_server, judge_name_server, naked_name_server, NULL               \
	}

static const struct cp_option options[] = {
    {OPT_COMPRESSION, CP_ANY_LEN, put_compression, NULL, NULL, NULL},
    {OPT_ADDRESS, 4, put_address, judge_address, naked_address, NULL},
    NAME_SERVER(OPT_DNS_1),
    NAME_SERVER(OPT_WINS_1),
    NAME_SERVER(OPT_DNS_2),
    NAME_SERVER(OPT_WINS_2),
};

enum { /* rows of the table as bits */
	ROW_COMPRESSION = 1 << 0,
	ROW_ADDRESS = 1 << 1,
	ROW_DNS_1 = 1 << 2,
	ROW_WINS_1 = 1 << 3,
	ROW_DNS_2 = 1 << 4,
	ROW_WINS_2 = 1 << 5,
};

static uint16_t
asks(struct ppp *p)
{
	if (p->c->is_server)
		return ROW_ADDRESS;
	if (p->c->style == PPP_STYLE_WINDOWS)
		return ROW_ADDRESS | ROW_DNS_1 | ROW_WINS_1 | ROW_DNS_2 | ROW_WINS_2;
	return ROW_COMPRESSION | ROW_ADDRESS | (p->c->request_dns ? ROW_DNS_1 | ROW_DNS_2 : 0);
}

static void
judging(struct ppp *p)
{
	p->address_wished = false;
}

static void
missing(struct ppp *p, struct wr *nak)
{
	if (!p->c->is_server || p->address_wished)
		return;
	wr_u8(nak, OPT_ADDRESS);
	wr_u8(nak, 6);
	wr_u32(nak, p->addresses.peer_ip);
}

static void
no_agreement(struct ppp *p)
{
	link_fail(p, PPP_CAUSE_NEGOTIATION, "peer does not agree to its address");
}

static void
unanswered(struct ppp *p)
{
	link_fail(p, PPP_CAUSE_NEGOTIATION, "peer does not answer IPCP");
}

static void
quit(struct ppp *p, const struct rd *reason)
{
	link_fail(p, PPP_CAUSE_PEER, "peer closes IPCP");
}

static void
accept(struct ppp *p)
{
	if (!p->c->is_server && p->address_wished)
		p->addresses.peer_ip = p->address_wish;
	p->ops->peer_address(p->arg, &p->addresses, link_mtu(p));
}

void
ipcp_input(struct ppp *p, const uint8_t *bytes, size_t len)
{
	if (p->ipcp.state > CP_STARTING) {
		cp_input(&p->ipcp, bytes, len);
		return;
	}
	if (len < CP_HEADER_LEN || len > EARLY_MAX || bytes[0] != CP_CONF_REQ)
		return;
	free(p->early);
	p->early = malloc(len);
	p->early_len = (uint16_t)len;
	if (p->early != NULL)
		memcpy(p->early, bytes, len);
}

void
ipcp_take_early(struct ppp *p)
{
	uint8_t *early = p->early;

	p->early = NULL;
	if (early != NULL)
		cp_input(&p->ipcp, early, p->early_len);
	free(early);
}

const struct cp_protocol ipcp_protocol = {
    .number = PPP_IPCP,
    .name = "IPCP",
    .options = options,
    .n_options = sizeof(options) / sizeof(options[0]),
    .heeds_strays = true,
    .asks = asks,
    .judging = judging,
    .missing = missing,
    .stubborn = no_agreement,
    .hopeless = no_agreement,
    .accept = accept,
    .quit = quit,
    .up = link_up,
    .down = link_down,
    .finished = unanswered,
};
