/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * rtnetlink requests, built and read with the cursor by copying the kernel's structs: they are in
 * the host's byte order and padded to four bytes. No state but the socket and its sequence number.
 */
#include "pptpd/priv/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/cursor.h"

#define REQUEST_MAX 256
#define ANSWER_MAX  4096
#define DUMP_MAX    32768
#define HOST_BITS   32

struct request {
	uint8_t bytes[REQUEST_MAX];
	struct wr w;
};

static void
pad(struct wr *w)
{
	wr_zero(w, (4 - wr_len(w) % 4) % 4);
}

static void
begin(struct request *r, const void *body, size_t len)
{
	r->w = wr_init(r->bytes, sizeof(r->bytes));
	wr_zero(&r->w, sizeof(struct nlmsghdr)); /* filled in by exchange() */
	wr_copy(&r->w, body, len);
	pad(&r->w);
}

static void
put_attribute(struct request *r, uint16_t type, const void *value, size_t len)
{
	struct rtattr a = {.rta_len = (uint16_t)(sizeof(a) + len), .rta_type = type};

	wr_copy(&r->w, &a, sizeof(a));
	wr_copy(&r->w, value, len);
	pad(&r->w);
}

static void
put_u32(struct request *r, uint16_t type, uint32_t value)
{
	put_attribute(r, type, &value, sizeof(value));
}

/* The acknowledgement of request seq, among late answers to earlier ones. */
static int
read_ack(struct netlink *nl)
{
	uint8_t bytes[ANSWER_MAX];
	struct nlmsghdr h;
	struct nlmsgerr e;

	for (;;) {
		ssize_t n = recv(nl->fd, bytes, sizeof(bytes), 0);
		struct rd r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		r = rd_init(bytes, (size_t)n);
		rd_copy(&r, &h, sizeof(h));
		rd_copy(&r, &e, sizeof(e));
		if (!rd_ok(&r) || h.nlmsg_type != NLMSG_ERROR || h.nlmsg_seq != nl->seq)
			continue;
		if (e.error == 0)
			return 0;
		errno = -e.error;
		return -1;
	}
}

static int
send_request(struct netlink *nl, struct request *r, uint16_t type, uint16_t flags)
{
	struct nlmsghdr h = {.nlmsg_len = (uint32_t)wr_len(&r->w),
	    .nlmsg_type = type,
	    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
	    .nlmsg_seq = ++nl->seq};
	struct wr header = wr_init(r->bytes, sizeof(h));

	wr_copy(&header, &h, sizeof(h));
	if (!wr_ok(&r->w)) {
		errno = EMSGSIZE;
		return -1;
	}
	return send(nl->fd, r->bytes, wr_len(&r->w), 0) < 0 ? -1 : 0;
}

static int
exchange(struct netlink *nl, struct request *r, uint16_t type, uint16_t flags)
{
	return send_request(nl, r, type, NLM_F_ACK | flags) < 0 ? -1 : read_ack(nl);
}

int
netlink_open(struct netlink *nl)
{
	struct timeval patience = {.tv_sec = 2};

	*nl = (struct netlink){.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
	if (nl->fd < 0)
		return -1;
	return setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

void
netlink_close(struct netlink *nl)
{
	if (nl->fd >= 0)
		close(nl->fd);
	nl->fd = -1;
}

int
netlink_link_up(struct netlink *nl, unsigned ifindex, unsigned mtu)
{
	struct ifinfomsg body = {
	    .ifi_index = (int)ifindex, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct request r;

	begin(&r, &body, sizeof(body));
	put_u32(&r, IFLA_MTU, mtu);
	return exchange(nl, &r, RTM_NEWLINK, 0);
}

int
netlink_address_add(struct netlink *nl, unsigned ifindex, uint32_t ip)
{
	struct ifaddrmsg body = {
	    .ifa_family = AF_INET, .ifa_prefixlen = HOST_BITS, .ifa_index = ifindex};
	struct request r;

	begin(&r, &body, sizeof(body));
	put_u32(&r, IFA_LOCAL, htonl(ip));
	put_u32(&r, IFA_ADDRESS, htonl(ip));
	return exchange(nl, &r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
}

static void
begin_route(struct request *r, unsigned ifindex, uint32_t ip)
{
	struct rtmsg body = {.rtm_family = AF_INET,
	    .rtm_dst_len = HOST_BITS,
	    .rtm_table = RT_TABLE_MAIN,
	    .rtm_protocol = NETLINK_ROUTE_PROTOCOL,
	    .rtm_scope = RT_SCOPE_LINK,
	    .rtm_type = RTN_UNICAST};

	begin(r, &body, sizeof(body));
	put_u32(r, RTA_DST, htonl(ip));
	put_u32(r, RTA_OIF, ifindex);
}

int
netlink_route_add(struct netlink *nl, unsigned ifindex, uint32_t ip)
{
	struct request r;

	begin_route(&r, ifindex, ip);
	return exchange(nl, &r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
}

int
netlink_route_delete(struct netlink *nl, unsigned ifindex, uint32_t ip)
{
	struct request r;

	begin_route(&r, ifindex, ip);
	return exchange(nl, &r, RTM_DELROUTE, 0);
}

static void
begin_proxy(struct request *r, unsigned ifindex, uint32_t ip)
{
	struct ndmsg body = {.ndm_family = AF_INET,
	    .ndm_ifindex = (int)ifindex,
	    .ndm_state = NUD_PERMANENT,
	    .ndm_flags = NTF_PROXY};
	uint8_t protocol = NETLINK_ROUTE_PROTOCOL;

	begin(r, &body, sizeof(body));
	put_u32(r, NDA_DST, htonl(ip));
	put_attribute(r, NDA_PROTOCOL, &protocol, sizeof(protocol));
}

int
netlink_proxy_add(struct netlink *nl, unsigned ifindex, uint32_t ip)
{
	struct request r;

	begin_proxy(&r, ifindex, ip);
	return exchange(nl, &r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
}

int
netlink_proxy_delete(struct netlink *nl, unsigned ifindex, uint32_t ip)
{
	struct request r;

	begin_proxy(&r, ifindex, ip);
	return exchange(nl, &r, RTM_DELNEIGH, 0);
}

/* The proxy entry of one message of a dump, if we made it. */
static bool
is_our_proxy(struct rd message, unsigned *ifindex, uint32_t *ip)
{
	struct ndmsg body;
	struct rtattr a;
	uint8_t protocol = 0;

	rd_copy(&message, &body, sizeof(body));
	if (!rd_ok(&message) || body.ndm_family != AF_INET || (body.ndm_flags & NTF_PROXY) == 0)
		return false;
	*ifindex = (unsigned)body.ndm_ifindex;
	*ip = 0;
	while (rd_left(&message) >= sizeof(a)) {
		struct rd value;

		rd_copy(&message, &a, sizeof(a));
		if (a.rta_len < sizeof(a))
			return false;
		value = rd_sub(&message, a.rta_len - sizeof(a));
		if (a.rta_type == NDA_DST)
			rd_copy(&value, ip, sizeof(*ip));
		else if (a.rta_type == NDA_PROTOCOL)
			rd_copy(&value, &protocol, sizeof(protocol));
		rd_skip(&message, (4 - a.rta_len % 4) % 4);
	}
	*ip = ntohl(*ip);
	return protocol == NETLINK_ROUTE_PROTOCOL && *ip != 0;
}
struct proxies {
	struct proxy {
		unsigned ifindex;
		uint32_t ip;
	} * all;
	size_t n;
};

/* One datagram of a dump. 1 = more will come, 0 = that was all, or -1 with errno. */
static int
read_proxies(struct netlink *nl, struct proxies *p)
{
	uint8_t bytes[DUMP_MAX];
	ssize_t len = recv(nl->fd, bytes, sizeof(bytes), 0);
	struct rd r = rd_init(bytes, len > 0 ? (size_t)len : 0);

	if (len < 0)
		return errno == EINTR ? 1 : -1;
	while (rd_left(&r) >= sizeof(struct nlmsghdr)) {
		struct proxy found, *more;
		struct nlmsghdr h;

		rd_copy(&r, &h, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_type == NLMSG_ERROR)
			break;
		struct rd message = rd_sub(&r, h.nlmsg_len - sizeof(h));
		if (h.nlmsg_seq == nl->seq && h.nlmsg_type == NLMSG_DONE)
			return 0;
		if (h.nlmsg_seq != nl->seq || h.nlmsg_type != RTM_NEWNEIGH ||
		    !is_our_proxy(message, &found.ifindex, &found.ip))
			continue;
		more = reallocarray(p->all, p->n + 1, sizeof(*more));
		if (more == NULL)
			return -1;
		p->all = more;
		p->all[p->n++] = found;
	}
	if (rd_end(&r))
		return 1;
	errno = EBADMSG;
	return -1;
}

int
netlink_proxies_forget(struct netlink *nl)
{
	struct ndmsg body = {.ndm_family = AF_INET, .ndm_flags = NTF_PROXY};
	struct proxies p = {0};
	struct request r;
	int rc;

	begin(&r, &body, sizeof(body));
	if (send_request(nl, &r, RTM_GETNEIGH, NLM_F_DUMP) < 0)
		return -1;
	while ((rc = read_proxies(nl, &p)) > 0)
		continue;
	for (size_t i = 0; i < p.n; i++)
		if (netlink_proxy_delete(nl, p.all[i].ifindex, p.all[i].ip) < 0 && errno != ENOENT)
			rc = -1;
	free(p.all);
	return rc;
}

static uint32_t
host_ip(const struct sockaddr *sa)
{
	struct sockaddr_in in = {0};

	if (sa != NULL && sa->sa_family == AF_INET)
		memcpy(&in, sa, sizeof(in));
	return ntohl(in.sin_addr.s_addr);
}

static bool
answers_arp(const struct ifaddrs *a)
{
	return (a->ifa_flags & IFF_UP) != 0 && (a->ifa_flags & IFF_BROADCAST) != 0 &&
	       (a->ifa_flags & (IFF_NOARP | IFF_LOOPBACK | IFF_POINTOPOINT)) == 0;
}

int
netlink_networks_read(struct netlink_networks *w, unsigned tun_ifindex)
{
	struct netlink_networks fresh = {0};
	struct ifaddrs *all, *a;
	size_t most = 0;

	if (getifaddrs(&all) < 0)
		return -1;
	for (a = all; a != NULL; a = a->ifa_next)
		most++;
	fresh.all = calloc(most + 1, sizeof(*fresh.all));
	for (a = all; a != NULL && fresh.all != NULL; a = a->ifa_next) {
		struct netlink_network n = {.address = host_ip(a->ifa_addr),
		    .mask = host_ip(a->ifa_netmask),
		    .ifindex = if_nametoindex(a->ifa_name)};

		if (n.address != 0 && answers_arp(a) && n.ifindex != 0 && n.ifindex != tun_ifindex)
			fresh.all[fresh.n++] = n;
	}
	freeifaddrs(all);
	if (fresh.all == NULL)
		return -1;
	netlink_networks_fini(w);
	*w = fresh;
	return 0;
}

void
netlink_networks_fini(struct netlink_networks *w)
{
	free(w->all);
	*w = (struct netlink_networks){0};
}

unsigned
netlink_networks_find(const struct netlink_networks *w, uint32_t ip)
{
	const struct netlink_network *best = NULL;

	for (const struct netlink_network *n = w->all; n != w->all + w->n; n++)
		if (((n->address ^ ip) & n->mask) == 0 && (best == NULL || n->mask > best->mask))
			best = n;
	return best != NULL ? best->ifindex : 0;
}
