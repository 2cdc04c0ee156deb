/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * rtnetlink dumps and one request, and two interface ioctls. A socket of its own for each question:
 * none is asked often enough to be worth state.
 */
#include "hagent/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct route_value {
	struct rtattr attr;
	uint32_t value;
};

struct request {
	struct nlmsghdr h;
	union {
		struct {
			struct rtmsg route;
			struct route_value values[3];
		};
		struct { /* an attribute stands right behind its message, which is shorter than
			    ndmsg */
			struct ifaddrmsg addr;
			struct rtattr attr;
			uint32_t address;
		};
		struct ndmsg neigh;
	};
};

/* Called for each message of an answer; false = enough. */
typedef bool message_fn(struct nlmsghdr *h, void *arg);

/* Sends and reads until the end of the dump or the acknowledgement. 0, or -1 with errno. */
static int
ask(const struct request *r, message_fn *on_message, void *arg)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct timeval limit = {.tv_usec = 200000};
	char buffer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int result = -1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (sendto(fd, r, r->h.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		goto out;
	for (;;) {
		ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
		if (got < 0)
			goto out;
		unsigned n = (unsigned)got;
		for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; NLMSG_OK(h, n);
		     h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE) {
				result = 0;
				goto out;
			}
			if (h->nlmsg_type == NLMSG_ERROR) {
				errno = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
				result = errno == 0 ? 0 : -1;
				goto out;
			}
			if (on_message && !on_message(h, arg)) {
				result = 0;
				goto out;
			}
		}
	}
out:;
	int saved = errno;
	close(fd);
	errno = saved;
	return result;
}

struct search {
	unsigned ifindex;
	uint32_t address; /* network order */
	bool found;
};

/* The attribute's value if it is an IPv4 address, else 0 (network order). */
static uint32_t
attribute(struct rtattr *a, int len, unsigned short type)
{
	uint32_t value = 0;

	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if (a->rta_type == type && RTA_PAYLOAD(a) == sizeof(value))
			memcpy(&value, RTA_DATA(a), sizeof(value));
	}
	return value;
}

static bool
on_address(struct nlmsghdr *h, void *arg)
{
	struct search *s = arg;
	struct ifaddrmsg *m = NLMSG_DATA(h);

	if (h->nlmsg_type == RTM_NEWADDR && m->ifa_index == s->ifindex &&
	    attribute(IFA_RTA(m), (int)IFA_PAYLOAD(h), IFA_LOCAL) == s->address)
		s->found = true;
	return true;
}

int
net_holds(const char *interface, uint32_t address)
{
	struct search s = {.ifindex = if_nametoindex(interface), .address = htonl(address)};
	struct request r = {
	    .h = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.addr)),
		.nlmsg_type = RTM_GETADDR,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .addr = {.ifa_family = AF_INET},
	};

	if (s.ifindex == 0)
		return 0;
	if (ask(&r, on_address, &s) < 0)
		return -1;
	return s.found;
}

int
net_remove(const char *interface, uint32_t address, unsigned prefix)
{
	struct request r = {
	    .h = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.addr)) + RTA_LENGTH(sizeof(r.address)),
		.nlmsg_type = RTM_DELADDR,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
	    .addr = {.ifa_family = AF_INET,
		.ifa_prefixlen = (unsigned char)prefix,
		.ifa_index = if_nametoindex(interface)},
	    .attr = {.rta_len = RTA_LENGTH(sizeof(r.address)), .rta_type = IFA_LOCAL},
	    .address = htonl(address),
	};

	if (r.addr.ifa_index == 0)
		return 0;
	return ask(&r, NULL, NULL) == 0 || errno == EADDRNOTAVAIL ? 0 : -1;
}

#define CATCH_METRIC 1723 /* ours, beside the kernel's own route of an address that is here */

int
net_catch(const char *interface, uint32_t address, bool on)
{
	const unsigned short len = RTA_LENGTH(sizeof(uint32_t));
	struct request r = {
	    .h = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.route)) + sizeof(r.values),
		.nlmsg_type = on ? RTM_NEWROUTE : RTM_DELROUTE,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (on ? NLM_F_CREATE | NLM_F_EXCL : 0)},
	    .route = {.rtm_family = AF_INET,
		.rtm_dst_len = 32,
		.rtm_table = RT_TABLE_LOCAL,
		.rtm_protocol = RTPROT_STATIC,
		.rtm_scope = RT_SCOPE_HOST,
		.rtm_type = RTN_LOCAL},
	    .values = {{{len, RTA_DST}, htonl(address)},
		{{len, RTA_OIF}, if_nametoindex(interface)}, {{len, RTA_PRIORITY}, CATCH_METRIC}},
	};

	if (r.values[1].value == 0)
		return on ? -1 : 0;
	return ask(&r, NULL, NULL) == 0 || errno == (on ? EEXIST : ESRCH) ? 0 : -1;
}

struct proxied {
	struct net_proxied *v;
	size_t n, room;
};

static bool
on_neighbour(struct nlmsghdr *h, void *arg)
{
	struct proxied *p = arg;
	struct ndmsg *m = NLMSG_DATA(h);
	struct rtattr *first = (struct rtattr *)((char *)m + NLMSG_ALIGN(sizeof(*m)));
	uint32_t address;

	if (h->nlmsg_type != RTM_NEWNEIGH || !(m->ndm_flags & NTF_PROXY) ||
	    m->ndm_family != AF_INET || m->ndm_ifindex <= 0)
		return true;
	address = attribute(first, (int)NLMSG_PAYLOAD(h, sizeof(*m)), NDA_DST);
	if (p->n == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		struct net_proxied *v = realloc(p->v, room * sizeof(*v));

		if (!v)
			return false; /* what we have is better than nothing */
		p->v = v;
		p->room = room;
	}
	p->v[p->n++] = (struct net_proxied){(unsigned)m->ndm_ifindex, ntohl(address)};
	return true;
}

int
net_proxied(struct net_proxied **list, size_t *n)
{
	struct proxied p = {0};
	struct request r = {
	    .h = {.nlmsg_len = NLMSG_LENGTH(sizeof(r.neigh)),
		.nlmsg_type = RTM_GETNEIGH,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	    .neigh = {.ndm_family = AF_INET, .ndm_flags = NTF_PROXY},
	};

	if (ask(&r, on_neighbour, &p) < 0) {
		free(p.v);
		return -1;
	}
	*list = p.v;
	*n = p.n;
	return 0;
}

/* One ioctl about an interface. */
static int
about(const char *interface, unsigned long what, struct ifreq *r)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = -1, saved;

	*r = (struct ifreq){0};
	if (strlen(interface) < sizeof(r->ifr_name)) {
		memcpy(r->ifr_name, interface, strlen(interface));
		result = fd >= 0 ? ioctl(fd, what, r) : -1;
	}
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return result;
}

bool
net_running(const char *interface)
{
	struct ifreq r;

	return about(interface, SIOCGIFFLAGS, &r) == 0 &&
	       (r.ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

int
net_mac(const char *interface, uint8_t mac[static NET_MAC_LEN])
{
	struct ifreq r;

	if (about(interface, SIOCGIFHWADDR, &r) < 0)
		return -1;
	if (r.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		errno = ENOTSUP;
		return -1;
	}
	memcpy(mac, r.ifr_hwaddr.sa_data, NET_MAC_LEN);
	return 0;
}
