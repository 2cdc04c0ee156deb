/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * lwip-client: a PPTP client whose PPP, MS-CHAPv2 and MPPE are lwIP's, independent of pppd and of
 * ours. pptp-linux carries its frames: it runs as a child with a pty as its standard input and
 * output, as under pppd. Connects, pings, prints one line of JSON; exit 0 = connected with MPPE-128
 * and every ping answered.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lwip/dns.h"
#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/raw.h"
#include "lwip/timeouts.h"
#include "netif/ppp/ppp_impl.h"
#include "netif/ppp/ccp.h"
#include "netif/ppp/pppos.h"

#define MAX_PINGS     10000
#define PING_DATA_MAX 1400
#define PING_ID       0x4c57

struct client {
	const char *server, *user, *password, *ping;
	unsigned count, size, interval_ms, timeout_ms;
	int pty;
	pid_t pptp;
	struct netif netif;
	ppp_pcb *ppp;
	struct raw_pcb *raw;
	bool up, ended;
	int error; /* PPPERR_ of the end */
	bool mppe128;
	uint32_t begin_ms, up_ms, next_ping_ms;
	unsigned sent, received;
	double rtt_sum_ms;
	uint64_t sent_us[MAX_PINGS];
	bool answered[MAX_PINGS];
};

int lwip_verbose;

void
diag(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
}

static uint64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

u32_t
sys_now(void)
{
	return (u32_t)(now_us() / 1000);
}

u32_t
sys_jiffies(void)
{
	return sys_now();
}

static u32_t
output_cb(ppp_pcb *ppp, u8_t *data, u32_t n, void *arg)
{
	struct client *c = arg;
	u32_t done = 0;

	while (done < n) {
		ssize_t w = write(c->pty, data + done, n - done);

		if (w > 0)
			done += (u32_t)w;
		else if (errno != EINTR && errno != EAGAIN)
			break;
	}
	return done;
}

static void
status_cb(ppp_pcb *ppp, int error, void *arg)
{
	struct client *c = arg;

	if (error == PPPERR_NONE) {
		c->up = true;
		c->up_ms = sys_now();
		c->next_ping_ms = c->up_ms;
		c->mppe128 = ppp->ccp_transmit_method == CI_MPPE &&
			     ppp->ccp_receive_method == CI_MPPE && ppp->mppe_comp.keylen == 16 &&
			     ppp->mppe_decomp.keylen == 16 && !ppp->mppe_comp.stateful &&
			     !ppp->mppe_decomp.stateful;
	} else {
		c->ended = true;
		c->error = error;
	}
}

static u8_t
ping_cb(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	struct client *c = arg;
	struct icmp_echo_hdr head;
	unsigned seq;

	if (pbuf_copy_partial(p, &head, sizeof(head), IP_HLEN) != sizeof(head) ||
	    head.type != ICMP_ER || head.id != PP_HTONS(PING_ID))
		return 0;
	seq = lwip_ntohs(head.seqno);
	if (seq < c->sent && !c->answered[seq] && p->tot_len == IP_HLEN + sizeof(head) + c->size) {
		c->answered[seq] = true;
		c->received++;
		c->rtt_sum_ms += (double)(now_us() - c->sent_us[seq]) / 1000;
	}
	pbuf_free(p);
	return 1;
}

static void
send_ping(struct client *c)
{
	ip_addr_t to;
	struct pbuf *p =
	    pbuf_alloc(PBUF_IP, (u16_t)(sizeof(struct icmp_echo_hdr) + c->size), PBUF_RAM);
	struct icmp_echo_hdr *head;

	if (p == NULL || !ipaddr_aton(c->ping, &to))
		errx(1, "ping: no memory or bad address");
	head = p->payload;
	memset(head, 0xa5, p->len);
	ICMPH_TYPE_SET(head, ICMP_ECHO);
	ICMPH_CODE_SET(head, 0);
	head->id = PP_HTONS(PING_ID);
	head->seqno = lwip_htons((u16_t)c->sent);
	head->chksum = 0;
	head->chksum = inet_chksum(head, p->len);
	c->sent_us[c->sent++] = now_us();
	raw_sendto(c->raw, p, &to);
	pbuf_free(p);
}

static void
start_pptp(struct client *c)
{
	struct termios t;
	int slave;

	memset(&t, 0, sizeof(t));
	cfmakeraw(&t);
	t.c_cflag |= CREAD;
	if (openpty(&c->pty, &slave, NULL, &t, NULL) < 0)
		err(1, "openpty");
	c->pptp = fork();
	if (c->pptp < 0)
		err(1, "fork");
	if (c->pptp == 0) {
		dup2(slave, 0);
		dup2(slave, 1);
		close(slave);
		close(c->pty);
		execlp(
		    "pptp", "pptp", c->server, "--nolaunchpppd", "--loglevel", "0", (char *)NULL);
		err(1, "pptp");
	}
	close(slave);
}

static void
start_ppp(struct client *c)
{
	lwip_init();
	c->ppp = pppos_create(&c->netif, output_cb, status_cb, c);
	if (c->ppp == NULL)
		errx(1, "pppos_create failed");
	ppp_set_default(c->ppp);
	ppp_set_auth(c->ppp, PPPAUTHTYPE_MSCHAP_V2, c->user, c->password);
	ppp_set_mppe(c->ppp, PPP_MPPE_ENABLE | PPP_MPPE_REFUSE_40);
	ppp_set_usepeerdns(c->ppp, 1);
	c->raw = raw_new(IP_PROTO_ICMP);
	raw_recv(c->raw, ping_cb, c);
	raw_bind(c->raw, IP_ADDR_ANY);
	ppp_connect(c->ppp, 0);
}

/* One turn: what the pty brings, what is due. false = pptp has gone. */
static bool
turn(struct client *c, uint32_t wait_ms)
{
	struct pollfd pfd = {c->pty, POLLIN, 0};
	uint32_t due = sys_timeouts_sleeptime();
	uint8_t buf[4096];
	ssize_t n;

	if (poll(&pfd, 1, (int)(due < wait_ms ? due : wait_ms)) > 0) {
		n = read(c->pty, buf, sizeof(buf));
		if (n <= 0 && errno != EINTR)
			return false;
		if (n > 0)
			pppos_input(c->ppp, buf, (int)n);
	}
	sys_check_timeouts();
	return true;
}

static const char *
run(struct client *c)
{
	while (!c->up) {
		/* A server may hang up before PPP has ended in order: what PPP knows counts more.
		 */
		bool gone = !turn(c, 100);
		int error = c->ended ? c->error : c->ppp->err_code;

		if ((gone || c->ended) && error == PPPERR_AUTHFAIL)
			return "authentication failed";
		if (c->ended)
			return error == PPPERR_PROTOCOL ? "protocol" : "connection lost";
		if (gone)
			return "pptp ended";
		if (sys_now() - c->begin_ms > c->timeout_ms)
			return "timed out";
	}
	while (c->ping != NULL && c->received < c->count) {
		if (c->ended || !turn(c, 5))
			return "connection lost";
		if (c->sent < c->count && (int32_t)(sys_now() - c->next_ping_ms) >= 0) {
			send_ping(c);
			c->next_ping_ms += c->interval_ms;
		}
		if (c->sent == c->count && (int32_t)(sys_now() - c->next_ping_ms) > 2000)
			break;
	}
	return NULL;
}

/* Say good-bye in PPP, then let pptp say its own. */
static void
finish(struct client *c)
{
	uint32_t begin = sys_now();

	if (!c->ended)
		ppp_close(c->ppp, 0);
	while (!c->ended && sys_now() - begin < 3000 && turn(c, 50))
		;
	kill(c->pptp, SIGTERM);
	close(c->pty);
	waitpid(c->pptp, NULL, 0);
}

static void
report(const struct client *c, const char *reason, const char *address, const char *peer, bool ok)
{
	printf("{\"ok\": %s, \"client\": \"lwip\", ", ok ? "true" : "false");
	if (c->up)
		printf("\"connect_ms\": %u, \"address\": \"%s\", \"peer\": \"%s\", \"mppe\": %s, "
		       "\"dns\": [\"%s\"], ",
		    (unsigned)(c->up_ms - c->begin_ms), address, peer,
		    c->mppe128 ? "\"128-bit stateless\"" : "null", ipaddr_ntoa(dns_getserver(0)));
	if (c->received > 0)
		printf("\"rtt_avg_ms\": %.2f, ", c->rtt_sum_ms / c->received);
	if (reason != NULL)
		printf("\"reason\": \"%s\", ", reason);
	printf("\"sent\": %u, \"received\": %u}\n", c->sent, c->received);
}

static void
usage(void)
{
	fprintf(stderr,
	    "usage: lwip-client [-s server] [-u user] [-p password] [-P ping-address] [-c count]"
	    " [-l size] [-i interval-ms] [-t timeout-s] [-v]\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	static struct client client = {.server = "198.51.100.10",
	    .user = "api-client",
	    .password = "Very$trongP@ss",
	    .count = 20,
	    .size = 1200,
	    .interval_ms = 50,
	    .timeout_ms = 40000};
	struct client *c = &client;
	char address[16], peer[16];
	const char *reason;
	bool ok;
	int opt;

	while ((opt = getopt(argc, argv, "s:u:p:P:c:l:i:t:v")) != -1) {
		switch (opt) {
		case 's':
			c->server = optarg;
			break;
		case 'u':
			c->user = optarg;
			break;
		case 'p':
			c->password = optarg;
			break;
		case 'P':
			c->ping = optarg;
			break;
		case 'c':
			c->count = (unsigned)atoi(optarg);
			break;
		case 'l':
			c->size = (unsigned)atoi(optarg);
			break;
		case 'i':
			c->interval_ms = (unsigned)atoi(optarg);
			break;
		case 't':
			c->timeout_ms = (unsigned)atoi(optarg) * 1000;
			break;
		case 'v':
			lwip_verbose = 1;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || c->count > MAX_PINGS || c->size > PING_DATA_MAX)
		usage();
	signal(SIGPIPE, SIG_IGN);
	srandom((unsigned)now_us() ^ (unsigned)getpid());
	c->begin_ms = sys_now();
	start_pptp(c);
	start_ppp(c);
	reason = run(c);
	ip4addr_ntoa_r(netif_ip4_addr(&c->netif), address, sizeof(address));
	ip4addr_ntoa_r(netif_ip4_gw(&c->netif), peer, sizeof(peer));
	ok = reason == NULL && c->mppe128 && (c->ping == NULL || c->received == c->count);
	report(c, reason, address, peer, ok);
	fflush(stdout);
	finish(c);
	return ok ? 0 : 1;
}
