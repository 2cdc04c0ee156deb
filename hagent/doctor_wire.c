/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The doctor's checks that look at the wire: who answers ARP for the pair's addresses, who sends
 * VRRP advertisements, and whether packets of full size get from one gateway to the other. What is
 * sent changes nobody's tables: ARP probes of RFC 5227 §1.1 (no sender's address) and echo
 * requests.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cursor.h"
#include "hagent/doctor.h"
#include "hagent/facts.h"
#include "hagent/net.h"

#define ARP_LEN     28
#define ARP_WAIT_MS 450
#define ARP_TWICE   150 /* the second probe, ms after the first */
#define ARP_MACS    4   /* answers that are kept for one address */

/* ---- ARP ---- */

struct arp_target {
	uint32_t address;
	const char *whose; /* for people */
	bool here;         /* on this gateway: nobody may answer */
	uint8_t macs[ARP_MACS][NET_MAC_LEN];
	size_t n;
};

static int
open_packet(const char *interface, uint16_t protocol)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(protocol),
	    .sll_ifindex = (int)if_nametoindex(interface)};
	int fd;

	if (at.sll_ifindex == 0) {
		errno = ENODEV;
		return -1;
	}
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(protocol));
	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		int saved = errno;

		close(fd);
		errno = saved;
		fd = -1;
	}
	return fd;
}

static void
send_probe(int fd, unsigned ifindex, const uint8_t mac[static NET_MAC_LEN], uint32_t address)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ARP),
	    .sll_ifindex = (int)ifindex,
	    .sll_halen = NET_MAC_LEN,
	    .sll_addr = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	uint8_t packet[ARP_LEN];
	struct wr w = wr_init(packet, sizeof(packet));

	wr_u16(&w, 1); /* Ethernet */
	wr_u16(&w, ETH_P_IP);
	wr_u8(&w, NET_MAC_LEN);
	wr_u8(&w, 4);
	wr_u16(&w, 1); /* request */
	wr_copy(&w, mac, NET_MAC_LEN);
	wr_u32(&w, 0);
	wr_zero(&w, NET_MAC_LEN);
	wr_u32(&w, address);
	(void)sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to));
}

static void
note_answer(const uint8_t *bytes, size_t len, struct arp_target *v, size_t n)
{
	struct rd r = rd_init(bytes, len);
	uint8_t mac[NET_MAC_LEN];

	rd_skip(&r, 6);
	uint16_t operation = rd_u16(&r);
	rd_copy(&r, mac, sizeof(mac));
	uint32_t sender = rd_u32(&r);
	if (!rd_ok(&r) || operation != 2)
		return;
	for (size_t i = 0; i < n; i++) {
		struct arp_target *t = &v[i];
		bool known = t->address != sender || t->n == ARP_MACS;

		for (size_t k = 0; k < t->n && !known; k++)
			known = memcmp(t->macs[k], mac, sizeof(mac)) == 0;
		if (!known)
			memcpy(t->macs[t->n++], mac, sizeof(mac));
	}
}

/* Asks for every target twice and notes who answers. 0, or -1 with errno. */
static int
ask_arp(const char *interface, struct arp_target *v, size_t n)
{
	int64_t begun = doctor_now_ms(), now;
	unsigned asked = 0, ifindex = if_nametoindex(interface);
	uint8_t mac[NET_MAC_LEN], bytes[128];
	int fd;

	if (net_mac(interface, mac) < 0 || (fd = open_packet(interface, ETH_P_ARP)) < 0)
		return -1;
	while ((now = doctor_now_ms() - begun) < ARP_WAIT_MS) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (asked < 2 && now >= (int64_t)asked * ARP_TWICE) {
			for (size_t i = 0; i < n; i++)
				send_probe(fd, ifindex, mac, v[i].address);
			asked++;
		}
		if (poll(&p, 1, 20) <= 0)
			continue;
		ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
		if (got > 0)
			note_answer(bytes, (size_t)got, v, n);
	}
	close(fd);
	return 0;
}

static const char *
mac_text(const uint8_t mac[static NET_MAC_LEN])
{
	static _Thread_local char text[2][18];
	static _Thread_local unsigned turn;
	char *out = text[turn++ % 2];

	snprintf(out, sizeof(text[0]), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
	    mac[3], mac[4], mac[5]);
	return out;
}

/*
 * Who must not have answered, for that address: its legitimate owner is the one that answers for
 * `owner`, an address that is the peer's own. NULL = nobody.
 */
static const uint8_t *
intruder(const struct arp_target *t, const struct arp_target *owner)
{
	if (t->here)
		return t->n > 0 ? t->macs[0] : NULL;
	for (size_t i = 0; i < t->n; i++) {
		bool owners = owner->n > 0 && memcmp(t->macs[i], owner->macs[0], NET_MAC_LEN) == 0;

		if (!owners && (t->n > 1 || (owner != t && owner->n == 1)))
			return t->macs[i];
	}
	return NULL;
}

/* One segment: its virtual address, if it has one, ours, and the peer's. */
static int
look_for_duplicates(struct doctor_answer *a, const char *interface, uint32_t vip, bool vip_here,
    uint32_t ours, uint32_t theirs)
{
	struct arp_target v[] = {{.address = theirs, .whose = "the peer's"},
	    {.address = ours, .whose = "ours", .here = true},
	    {.address = vip, .whose = "the virtual one", .here = vip_here}};
	size_t n = vip ? 3 : 2;
	char where[64];

	if (ask_arp(interface, v, n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *mac = intruder(&v[i], &v[0]);

		if (!mac)
			continue;
		doctor_also(a, DOCTOR_PROBLEM, "%s (%s) on %s is also answered for by %s",
		    conf_ipv4(v[i].address), v[i].whose, interface, mac_text(mac));
		snprintf(where, sizeof(where), "the host with %s", mac_text(mac));
		doctor_mend_at(a, where, "ip addr flush to %s", conf_ipv4(v[i].address));
	}
	return 0;
}

void
doctor_network_duplicates(const struct doctor *d, struct doctor_answer *a)
{
	const struct cluster *c = d->cluster;
	int failed = 0;

	a->verdict = DOCTOR_OK;
	failed |= look_for_duplicates(
	    a, d->us->wan_if, c->vip_wan.address, d->holds_wan, d->us->wan, d->them->wan);
	failed |= look_for_duplicates(
	    a, d->us->lan_if, c->vip_lan.address, d->holds_lan, d->us->lan, d->them->lan);
	failed |= look_for_duplicates(a, d->us->sync_if, 0, false, d->us->sync, d->them->sync);
	if (failed)
		doctor_also(a, DOCTOR_UNKNOWN, "ARP cannot be asked on every interface: %s",
		    strerror(errno));
	if (a->verdict == DOCTOR_OK)
		doctor_say(a, DOCTOR_OK,
		    "nobody else answers ARP for the addresses of the pair on %s, %s and %s",
		    d->us->wan_if, d->us->lan_if, d->us->sync_if);
}

/* ---- VRRP ---- */

#define VRRP_PROTOCOL 112
#define VRRP_SENDERS  4
#define VRRP_LEAST    700 /* ms that are listened for */
#define VRRP_MOST     7000

struct advert_sender {
	uint32_t address;
	unsigned priority, n;
};

struct adverts {
	struct advert_sender v[VRRP_SENDERS];
	size_t n;
};

/* An IPv4 packet that may be an advertisement of our virtual router. */
static void
note_advert(const uint8_t *bytes, size_t len, unsigned vrrp_id, struct adverts *out)
{
	struct rd r = rd_init(bytes, len);
	size_t header = (size_t)(rd_u8(&r) & 15) * 4, i;

	rd_skip(&r, 8);
	uint8_t protocol = rd_u8(&r);
	rd_skip(&r, 2);
	uint32_t source = rd_u32(&r);
	rd_skip(&r, header > 16 ? header - 16 : 0);
	uint8_t type = rd_u8(&r) & 15, id = rd_u8(&r), priority = rd_u8(&r);

	if (!rd_ok(&r) || protocol != VRRP_PROTOCOL || type != 1 || id != vrrp_id)
		return;
	for (i = 0; i < out->n && out->v[i].address != source; i++)
		;
	if (i == VRRP_SENDERS)
		return;
	if (i == out->n)
		out->v[out->n++] = (struct advert_sender){.address = source};
	out->v[i].priority = priority;
	out->v[i].n++;
}

/* VRRP alone, both ways: our own advertisements are looked at, too. -1 with errno. */
static int
open_vrrp(const char *interface)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, VRRP_PROTOCOL, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 128),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};
	int fd = open_packet(interface, ETH_P_ALL);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int
listen_for_adverts(const struct doctor *d, int wait_ms, struct adverts *out)
{
	int64_t end = doctor_now_ms() + wait_ms;
	int fd = open_vrrp(d->us->wan_if);
	uint8_t bytes[256];

	if (fd < 0)
		return -1;
	while (doctor_now_ms() < end) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		struct sockaddr_ll from = {0};
		socklen_t len = sizeof(from);

		if (poll(&p, 1, (int)(end - doctor_now_ms())) <= 0)
			break;
		ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len);
		if (got > 0 && from.sll_protocol == htons(ETH_P_IP))
			note_advert(bytes, (size_t)got, d->cluster->pair.vrrp_id, out);
	}
	close(fd);
	return 0;
}

static void
say_no_advert(const struct doctor *d, struct doctor_answer *a, int wait_ms)
{
	char *pid = hagent_path(d->h, HAGENT_VRRP_PID);
	bool runs = facts_is_called(facts_pid_file(pid), "keepalived");

	free(pid);
	doctor_say(a, DOCTOR_PROBLEM, "no VRRP advertisement of router %u on %s in %d ms",
	    d->cluster->pair.vrrp_id, d->us->wan_if, wait_ms);
	if (runs && !d->holds_wan)
		doctor_mend_at(a, d->them->name, "systemctl restart keepalived");
	else
		doctor_mend(a, "systemctl restart keepalived");
}

void
doctor_network_vrrp(const struct doctor *d, struct doctor_answer *a)
{
	int wait_ms = (int)d->cluster->pair.advert_interval_ms * 3 + 50;
	struct adverts seen = {.n = 0};
	unsigned masters = 0;

	wait_ms = wait_ms < VRRP_LEAST ? VRRP_LEAST : wait_ms > VRRP_MOST ? VRRP_MOST : wait_ms;
	if (listen_for_adverts(d, wait_ms, &seen) < 0) {
		doctor_say(a, DOCTOR_UNKNOWN, "%s cannot be listened to: %s", d->us->wan_if,
		    strerror(errno));
		return;
	}
	doctor_say(a, DOCTOR_OK, "%s", "");
	for (size_t i = 0; i < seen.n; i++) {
		const struct advert_sender *s = &seen.v[i];
		bool stranger = s->address != d->us->wan && s->address != d->them->wan;

		masters += s->priority > 0 && !stranger;
		doctor_also(a, stranger ? DOCTOR_PROBLEM : DOCTOR_OK,
		    "%u advertisements in %d ms from %s (%s), priority %u", s->n, wait_ms,
		    conf_ipv4(s->address),
		    stranger                   ? "a stranger"
		    : s->address == d->us->wan ? d->us->name
					       : d->them->name,
		    s->priority);
		if (stranger)
			doctor_mend_at(a, conf_ipv4(s->address), "systemctl stop keepalived");
	}
	if (seen.n == 0)
		say_no_advert(d, a, wait_ms);
	else if (masters > 1)
		doctor_also(a, DOCTOR_PROBLEM,
		    "both call themselves master: they do not hear each "
		    "other");
}

/* ---- packets of full size ---- */

#define ECHO_HEADER 8
#define ECHO_MOST   9000
#define ECHO_WAIT   400

static uint16_t
checksum(const uint8_t *bytes, size_t len)
{
	struct rd r = rd_init(bytes, len);
	uint32_t sum = 0;

	while (rd_left(&r) >= 2)
		sum += rd_u16(&r);
	if (rd_left(&r) == 1)
		sum += (uint32_t)rd_u8(&r) << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Is a packet of `size` octets, which nobody may fragment, answered in time. -1 with errno. */
static int
echo(uint32_t from, uint32_t to, size_t size, uint16_t id)
{
	static uint8_t packet[ECHO_MOST], answer[ECHO_MOST + 64];
	struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
	struct sockaddr_in target = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(to)};
	int discover = IP_PMTUDISC_PROBE, got = 0;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	size_t len = size - sizeof(struct iphdr);
	struct wr w = wr_init(packet, len);
	int64_t end;

	if (fd < 0)
		return -1;
	wr_u8(&w, ICMP_ECHO);
	wr_u8(&w, 0);
	uint8_t *sum = wr_reserve(&w, 2);
	wr_u16(&w, id);
	wr_u16(&w, 1);
	wr_zero(&w, len - ECHO_HEADER);
	wr_patch_u16(&w, sum, 0);
	wr_patch_u16(&w, sum, checksum(packet, len));
	if (bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover)) < 0 ||
	    sendto(fd, packet, len, 0, (struct sockaddr *)&target, sizeof(target)) < 0) {
		close(fd);
		return -1;
	}
	end = doctor_now_ms() + ECHO_WAIT;
	while (!got && doctor_now_ms() < end) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, (int)(end - doctor_now_ms())) <= 0)
			break;
		n = recv(fd, answer, sizeof(answer), 0);
		struct rd r = rd_init(answer, n > 0 ? (size_t)n : 0);
		size_t header = (size_t)(rd_u8(&r) & 15) * 4;
		rd_skip(&r, header > 1 ? header - 1 : 0);
		uint8_t type = rd_u8(&r);
		rd_skip(&r, 3);
		got = rd_u16(&r) == id && rd_ok(&r) && type == ICMP_ECHOREPLY;
	}
	close(fd);
	return got;
}

/* How large a packet still gets through, between 576 and size. */
static size_t
largest(uint32_t from, uint32_t to, size_t size)
{
	size_t good = 576, bad = size;

	for (uint16_t id = 100; bad - good > 4; id++) {
		size_t middle = (good + bad) / 2;

		if (echo(from, to, middle, (uint16_t)(getpid() + id)) > 0)
			good = middle;
		else
			bad = middle;
	}
	return good;
}

void
doctor_network_path_mtu(const struct doctor *d, struct doctor_answer *a)
{
	const struct {
		const char *interface;
		uint32_t from, to;
		size_t size;
	} v[] = {{d->us->wan_if, d->us->wan, d->them->wan, d->cluster->tunnel.mtu + 44u},
	    {d->us->lan_if, d->us->lan, d->them->lan, d->cluster->tunnel.mtu},
	    {d->us->sync_if, d->us->sync, d->them->sync, 1500}};
	unsigned silent = 0;

	doctor_say(a, DOCTOR_OK, "%s", "");
	for (size_t i = 0; i < 3; i++) {
		uint16_t id = (uint16_t)(getpid() + (int)i);
		size_t size = v[i].size < ECHO_MOST ? v[i].size : ECHO_MOST;

		int answered = echo(v[i].from, v[i].to, 64, id);
		if (answered <= 0) {
			silent++; /* the peer is off: another check's matter */
			continue;
		}
		answered = echo(v[i].from, v[i].to, size, (uint16_t)(id + 10));
		if (answered > 0) {
			doctor_also(a, DOCTOR_OK, "%s: %zu octets", v[i].interface, size);
		} else if (answered == 0) { /* else our own interface is too small: likewise */
			size_t most = largest(v[i].from, v[i].to, size);

			doctor_also(a, DOCTOR_PROBLEM,
			    "between %s and %s %s carries %zu octets, want %zu (or it is the "
			    "switch)",
			    d->us->name, d->them->name, v[i].interface, most, size);
			doctor_mend_at(a, d->them->name, "ip link set dev %s mtu %zu",
			    v[i].interface, size < 1500 ? (size_t)1500 : size);
		}
	}
	if (silent == 3)
		doctor_say(a, DOCTOR_UNKNOWN, "%s answers no echo request", d->them->name);
}
