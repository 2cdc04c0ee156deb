/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The doctor's checks of services: do the API servers answer packets with a client's source
 * address, is port 1723 of the virtual address open, does GRE arrive. Which of these can be seen
 * depends on where one stands: routes back end at the gateway that serves, and only the other one
 * reaches the virtual address over the WAN.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cursor.h"
#include "hagent/client_io.h"
#include "hagent/doctor.h"
#include "hagent/facts.h"

#define CONNECT_MS   1200
#define PING_MS      1200
#define PPTP_PORT    1723
#define DIAL_MS      6000
#define DIAL_STEP_MS 3000

/*
 * Whether somebody answers on the port, be it with a reset. 1, 0 = silence, -1 with errno: the
 * kernel knows no way, or a host on it says so.
 */
static int
knock(uint32_t from, uint32_t to, unsigned port, bool *open)
{
	struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
	struct sockaddr_in target = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(to)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int error = 0, result = -1;

	*open = false;
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0) {
		error = errno;
	} else if (connect(fd, (struct sockaddr *)&target, sizeof(target)) < 0) {
		error = errno;
		if (error == EINPROGRESS) {
			error = poll(&p, 1, CONNECT_MS) == 0 ? ETIMEDOUT : 0;
			if (error == 0)
				getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
		}
	}
	close(fd);
	*open = error == 0;
	if (error == 0 || error == ECONNREFUSED || error == ECONNRESET)
		result = 1;
	else if (error == ETIMEDOUT)
		result = 0;
	errno = error;
	return result;
}

/* ---- API servers ---- */

/* One echo request; as knock(). */
static int
ping(uint32_t from, uint32_t to)
{
	struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(from)};
	struct sockaddr_in target = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(to)};
	/* Type, code, checksum (the complement of the sum of the rest), id, sequence. */
	uint16_t id = (uint16_t)getpid();
	uint8_t packet[ICMP_MINLEN], answer[256];
	struct wr w = wr_init(packet, sizeof(packet));
	int64_t end = doctor_now_ms() + PING_MS;
	int got = 0, fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);

	if (fd < 0)
		return -1;
	wr_u8(&w, ICMP_ECHO);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t) ~((ICMP_ECHO << 8) + id + ((ICMP_ECHO << 8) + id > 0xffff)));
	wr_u16(&w, id);
	wr_u16(&w, 0);
	if (bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0 ||
	    sendto(fd, packet, sizeof(packet), 0, (struct sockaddr *)&target, sizeof(target)) < 0)
		got = -1;
	while (got == 0 && doctor_now_ms() < end) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, (int)(end - doctor_now_ms())) <= 0)
			break;
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		struct rd r = rd_init(answer, n > 0 ? (size_t)n : 0);
		size_t header = (size_t)(rd_u8(&r) & 15) * 4;
		rd_skip(&r, 11);
		uint32_t who = rd_u32(&r);
		rd_skip(&r, header > 16 ? header - 16 : 0);
		uint8_t type = rd_u8(&r);
		rd_skip(&r, 3);
		got = rd_u16(&r) == id && rd_ok(&r) && who == to && type == ICMP_ECHOREPLY;
	}
	close(fd);
	return got;
}

/* A TCP port of the server that some `api` names; 0 = none. */
static unsigned
tcp_port_of(const struct cluster *c, uint32_t address)
{
	for (size_t i = 0; i < c->n_apis; i++) {
		const struct cluster_api *api = &c->apis[i];

		if (api->address == address && api->protocol == CLUSTER_TCP && api->ports.n > 0)
			return api->ports.v[0].first;
	}
	return 0;
}

static int
ask_server(const struct cluster *c, uint32_t from, uint32_t server)
{
	unsigned port = tcp_port_of(c, server);
	bool open;
	int answered = port ? knock(from, server, port, &open) : 0;

	return answered > 0 ? answered : ping(from, server);
}

static bool
is_new(const struct cluster *c, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (c->apis[k].address == c->apis[i].address)
			return false;
	}
	return true;
}

/* What servers see as the source of a client's packet. */
static uint32_t
seen_source(const struct cluster *c)
{
	return c->nat.tunnel_to_lan ? c->vip_lan.address : c->tunnel.local;
}

static void
ask_one_server(const struct doctor *d, struct doctor_answer *a, const struct cluster_api *api)
{
	const struct cluster *c = d->cluster;
	const char *server = conf_ipv4(api->address);

	if (ask_server(c, d->us->lan, api->address) <= 0) {
		doctor_also(a, DOCTOR_PROBLEM, "%s (api %s) does not answer", server, api->name);
		if (!*a->command)
			doctor_mend(a, "ip neigh get %s dev %s || ping -c 3 %s", server,
			    d->us->lan_if, server);
	} else if (d->holds_lan && ask_server(c, seen_source(c), api->address) <= 0) {
		doctor_also(a, DOCTOR_PROBLEM,
		    "%s (api %s) answers %s, but not %s: it has no route back to the clients",
		    server, api->name, conf_ipv4(d->us->lan), conf_ipv4(seen_source(c)));
		doctor_mend_at(a, server, "ip route replace %s/%u via %s",
		    conf_ipv4(c->tunnel.network.address), c->tunnel.network.prefix,
		    conf_ipv4(c->vip_lan.address));
	} else {
		doctor_also(a, DOCTOR_OK, "%s answers", server);
	}
}

void
doctor_network_api_routes(const struct doctor *d, struct doctor_answer *a)
{
	const struct cluster *c = d->cluster;
	int64_t end = doctor_now_ms() + DOCTOR_CHECK_MS * 2 / 3;
	size_t left = 0;

	doctor_say(a, DOCTOR_OK, "%s", "");
	for (size_t i = 0; i < c->n_apis; i++) {
		if (!is_new(c, i))
			continue;
		if (doctor_now_ms() < end)
			ask_one_server(d, a, &c->apis[i]);
		else
			left++;
	}
	if (left > 0)
		doctor_also(a, DOCTOR_UNKNOWN, "%zu more could not be asked in time", left);
	if (c->n_apis == 0)
		doctor_say(a, DOCTOR_OK, "no api is named");
	else if (!d->holds_lan && a->verdict == DOCTOR_OK)
		doctor_also(
		    a, DOCTOR_OK, "routes back are seen from %s, which serves", d->them->name);
	else if (a->verdict == DOCTOR_OK)
		doctor_also(a, DOCTOR_OK, "also packets from %s", conf_ipv4(seen_source(c)));
}

/* ---- the virtual address ---- */

void
doctor_network_tcp_1723(const struct doctor *d, struct doctor_answer *a)
{
	const struct cluster *c = d->cluster;
	const char *vip = conf_ipv4(c->vip_wan.address);
	bool open;
	int answered = knock(d->us->wan, c->vip_wan.address, PPTP_PORT, &open);
	int error = errno;

	if (open) {
		doctor_say(a, DOCTOR_OK, "%s port 1723 is open, from %s%s", vip,
		    conf_ipv4(d->us->wan),
		    d->holds_wan ? ", on this gateway itself" : " over the WAN");
		return;
	}
	doctor_say(a, DOCTOR_PROBLEM, "%s port 1723 from %s: %s", vip, conf_ipv4(d->us->wan),
	    answered == 0 ? "no answer" : strerror(error));
	if (d->holds_wan)
		doctor_mend(a, "systemctl restart pptpd");
	else
		doctor_mend_at(a, d->them->name,
		    answered > 0 ? "systemctl restart pptpd" : "hagent firewall apply");
}

/* ---- GRE: a client whose name nobody has ---- */

struct dialer {
	struct loop *loop;
	struct client_io *io;
	struct timer deadline;
	struct pptp_client_state state; /* its strings are not looked at */
};

/* The password is the next step, and would fail: what was to be seen has been seen. */
static void
stop_dialling(void *arg)
{
	struct dialer *d = arg;

	pptp_client_state(client_io_client(d->io), &d->state);
	loop_stop(d->loop);
}

static void
on_step(void *arg, enum pptp_step step)
{
	struct dialer *d = arg;

	if (step >= PPTP_STEP_LCP)
		timer_set(&d->deadline, 0);
}

static void
on_ended(void *arg)
{
	struct dialer *d = arg;

	timer_set(&d->deadline, 0);
}

/* How far a client comes, up to an open LCP. -1 with errno. */
static int
dial(uint32_t from, uint32_t to, struct pptp_client_state *state)
{
	static const struct pptp_client_ops ops = {.step = on_step, .ended = on_ended};
	struct dialer d = {.loop = loop_new()};
	char name[32];
	const struct pptp_client_options options = {.server = to,
	    .source = from,
	    .user = name,
	    .password = name,
	    .step_timeout_ms = DIAL_STEP_MS};

	snprintf(name, sizeof(name), "doctor-%ld", (long)getpid());
	d.io = d.loop ? client_io_new(d.loop, &options, -1, &ops, &d) : NULL;
	if (!d.io)
		return -1;
	timer_init(&d.deadline, d.loop, stop_dialling, &d);
	timer_set(&d.deadline, DIAL_MS);
	pptp_client_start(client_io_client(d.io));
	loop_run(d.loop);
	*state = d.state;
	client_io_free(d.io);
	timer_cancel(&d.deadline);
	loop_free(d.loop);
	return 0;
}

/* From the other gateway a client's way can be gone, over the WAN. */
static void
try_gre(const struct doctor *d, struct doctor_answer *a)
{
	const char *vip = conf_ipv4(d->cluster->vip_wan.address);
	struct pptp_client_state s;

	if (dial(d->us->wan, d->cluster->vip_wan.address, &s) < 0) {
		doctor_say(a, DOCTOR_UNKNOWN, "no socket for a client: %s", strerror(errno));
	} else if (s.step > PPTP_STEP_LCP) {
		doctor_say(a, DOCTOR_OK,
		    "a client here opens LCP with %s: GRE passes both ways, %.0f ms", vip,
		    (double)(s.done_us[PPTP_STEP_LCP] - s.began_us) / 1000);
	} else if (s.step == PPTP_STEP_LCP) {
		doctor_say(a, DOCTOR_PROBLEM,
		    "%s takes a call over TCP, but no LCP comes of it: %s", vip,
		    pptp_why_name(s.why));
		doctor_mend_at(a, d->them->name, "hagent firewall apply");
	} else {
		doctor_say(a, DOCTOR_UNKNOWN, "no call with %s comes about (step %s: %s)", vip,
		    pptp_step_name(s.step), pptp_why_name(s.why));
	}
}

void
doctor_network_gre(const struct doctor *d, struct doctor_answer *a)
{
	const json_t *data = json_object_get(d->pptpd, "data");
	int sockets = facts_gre_sockets();

	if (sockets < 0) {
		doctor_say(a, DOCTOR_UNKNOWN, "/proc/net/raw cannot be read");
	} else if (sockets == 0) {
		doctor_say(a, DOCTOR_PROBLEM, "nobody here reads GRE");
		doctor_mend(a, "systemctl restart pptpd");
	} else if (!d->holds_wan) {
		try_gre(d, a);
	} else {
		doctor_say(a, DOCTOR_OK,
		    "%d sockets read GRE; %lld packets came, %lld left; %s sees whether the WAN "
		    "lets it through",
		    sockets, doctor_number(data, "rx_packets"), doctor_number(data, "tx_packets"),
		    d->them->name);
	}
}
