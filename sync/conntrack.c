/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The walk through the kernel's table: see conntrack.h.
 */
#include "sync/conntrack.h"

#include <errno.h>
#include <netinet/in.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>

static int
count_cb(enum nf_conntrack_msg_type type, struct nf_conntrack *ct, void *arg)
{
	struct conntrack_count *n = arg;

	(void)type;
	n->all++;
	switch (nfct_get_attr_u8(ct, ATTR_L4PROTO)) {
	case IPPROTO_TCP:
		n->tcp++;
		n->tcp_established +=
		    nfct_get_attr_u8(ct, ATTR_TCP_STATE) == TCP_CONNTRACK_ESTABLISHED;
		break;
	case IPPROTO_UDP:
		n->udp++;
		break;
	case IPPROTO_ICMP:
		n->icmp++;
		break;
	default:
		n->other++;
	}
	n->translated +=
	    nfct_getobjopt(ct, NFCT_GOPT_IS_SNAT) || nfct_getobjopt(ct, NFCT_GOPT_IS_DNAT);
	return NFCT_CB_CONTINUE;
}

int
conntrack_count(struct conntrack_count *out)
{
	struct nfct_handle *h = nfct_open(CONNTRACK, 0);
	uint32_t family = AF_INET;
	int rc = -1, saved;

	if (!h)
		return -1;
	*out = (struct conntrack_count){0};
	if (nfct_callback_register(h, NFCT_T_ALL, count_cb, out) == 0)
		rc = nfct_query(h, NFCT_Q_DUMP, &family);
	saved = errno;
	nfct_close(h);
	errno = saved;
	return rc < 0 ? -1 : 0;
}
