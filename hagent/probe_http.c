/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A page through the tunnel.
 */
#include "hagent/probe_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/route.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hagent/child.h"
#include "hagent/probe_words.h"

#define TUN_NAME     "probe0"
#define PACKET_MAX   2048
#define BATCH        64
#define NO_NAMESPACE 126 /* exit status of the child: its output says why */
#define NO_CURL      127
#define CURL_CONNECT 7
#define CURL_TIMEOUT 28
#define ERROR_STATUS 400
#define TIMEOUT_ROOM 2000

struct probe_http {
	struct loop *loop;
	struct pptp_client *client;
	const struct probe_url *url;
	void (*done)(void *arg);
	void *arg;
	unsigned timeout_ms;
	uint32_t address;
	unsigned mtu;
	int ends[2]; /* the child's words to us: the descriptor */
	int tun;
	struct io end_io, tun_io;
	struct child child;
	struct probe_http_result result;
};

/* ---- the address of a page ---- */

void
probe_url_fini(struct probe_url *u)
{
	free(u->text);
	free(u->host);
	u->text = u->host = NULL;
}

static int
resolve(struct probe_url *u, char why[static 160])
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
	struct sockaddr_in a;
	int error = getaddrinfo(u->host, NULL, &hints, &list);

	if (error != 0) {
		snprintf(why, 160, "got the host \"%s\", want one with an IPv4 address: %s",
		    u->host, gai_strerror(error));
		return -1;
	}
	memcpy(&a, list->ai_addr, sizeof(a));
	u->address = ntohl(a.sin_addr.s_addr);
	freeaddrinfo(list);
	return 0;
}

int
probe_url_parse(struct probe_url *u, const char *text, char why[static 160])
{
	bool tls = strncmp(text, "https://", 8) == 0;
	const char *host = tls ? text + 8 : strncmp(text, "http://", 7) == 0 ? text + 7 : NULL;
	size_t len = host != NULL ? strcspn(host, ":/?#") : 0;
	char *end = NULL;
	unsigned long port = tls ? 443 : 80;

	if (len > 0 && host[len] == ':')
		port = strtoul(host + len + 1, &end, 10);
	if (len == 0 || memchr(host, '@', len) != NULL || port < 1 || port > UINT16_MAX ||
	    (end != NULL && *end != '\0' && strchr("/?#", *end) == NULL)) {
		snprintf(why, 160, "got \"%.80s\", want http[s]://HOST[:PORT][/PATH]", text);
		return -1;
	}
	u->text = strdup(text);
	u->host = strndup(host, len);
	u->port = (uint16_t)port;
	if (u->text != NULL && u->host != NULL && resolve(u, why) == 0)
		return 0;
	if (u->text == NULL || u->host == NULL)
		snprintf(why, 160, "%s", strerror(ENOMEM));
	probe_url_fini(u);
	return -1;
}

/* ---- the child: a namespace, an interface, curl ---- */

static void
set_address(struct sockaddr *out, uint32_t address)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};

	memcpy(out, &a, sizeof(a));
}

static int
configure(uint32_t address, unsigned mtu)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char name[] = TUN_NAME;
	struct ifreq r = {.ifr_name = TUN_NAME};
	struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = name};
	bool ok;

	if (fd < 0)
		return -1;
	set_address(&r.ifr_addr, address);
	ok = ioctl(fd, SIOCSIFADDR, &r) == 0;
	r.ifr_mtu = (int)mtu;
	ok = ok && ioctl(fd, SIOCSIFMTU, &r) == 0;
	r.ifr_flags = IFF_UP | IFF_POINTOPOINT | IFF_NOARP;
	ok = ok && ioctl(fd, SIOCSIFFLAGS, &r) == 0;
	set_address(&route.rt_dst, 0);
	set_address(&route.rt_genmask, 0);
	ok = ok && ioctl(fd, SIOCADDRT, &route) == 0;
	close(fd);
	return ok ? 0 : -1;
}

/* As root, or as somebody who may be root in a user namespace. */
static int
make_interface(uint32_t address, unsigned mtu)
{
	struct ifreq r = {.ifr_name = TUN_NAME, .ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd;

	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		printf("unshare: %s", strerror(errno));
		return -1;
	}
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0) {
		printf("/dev/net/tun: %s", strerror(errno));
		return -1;
	}
	if (configure(address, mtu) < 0) {
		printf("%s: %s", TUN_NAME, strerror(errno));
		return -1;
	}
	return fd;
}

static int
send_fd(int to, int fd)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {0};
	char byte = 0;
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(int));
	return sendmsg(to, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static void
become_curl(const struct probe_url *u, unsigned timeout_ms)
{
	char resolved[512], seconds[16], ip[16];
	const char *argv[20];
	size_t n = 0;
	union {
		const char **in;
		char *const *out;
	} a = {.in = argv};

	snprintf(resolved, sizeof(resolved), "%s:%u:%s", u->host, u->port,
	    probe_address(u->address, ip));
	snprintf(seconds, sizeof(seconds), "%u", (timeout_ms + 999) / 1000);
	argv[n++] = "curl";
	argv[n++] = "-q";
	argv[n++] = "-s";
	argv[n++] = "-o";
	argv[n++] = "/dev/null";
	argv[n++] = "-w";
	argv[n++] = "%{json}";
	argv[n++] = "--noproxy";
	argv[n++] = "*";
	argv[n++] = "--max-time";
	argv[n++] = seconds;
	argv[n++] = "--resolve";
	argv[n++] = resolved;
	if (u->ca != NULL) {
		argv[n++] = "--cacert";
		argv[n++] = u->ca;
	}
	if (u->insecure)
		argv[n++] = "--insecure";
	argv[n++] = u->text;
	argv[n] = NULL;
	execvp("curl", a.out);
}

static int
child_main(void *arg)
{
	struct probe_http *h = arg;
	int tun = make_interface(h->address, h->mtu);

	if (tun < 0 || send_fd(h->ends[1], tun) < 0) {
		fflush(stdout);
		return NO_NAMESPACE;
	}
	become_curl(h->url, h->timeout_ms);
	return NO_CURL;
}

/* ---- the relay ---- */

static void
tun_cb(int events, void *arg)
{
	struct probe_http *h = arg;
	uint8_t packet[PACKET_MAX];
	ssize_t n;

	for (unsigned i = 0; i < BATCH; i++) {
		n = read(h->tun, packet, sizeof(packet));
		if (n <= 0) {
			if (n == 0 || (errno != EAGAIN && errno != EINTR))
				io_want(&h->tun_io, 0); /* the namespace is gone */
			return;
		}
		if (packet[0] >> 4 == 4)
			(void)pptp_client_send(h->client, packet, (size_t)n);
	}
}

void
probe_http_input(struct probe_http *h, const uint8_t *packet, size_t len)
{
	/* What does not fit into its queue is lost, as on any wire. */
	if (h->tun >= 0 && write(h->tun, packet, len) < 0)
		return;
}

static int
receive_fd(int from)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	struct cmsghdr *h;
	int fd = -1;

	if (recvmsg(from, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	h = CMSG_FIRSTHDR(&m);
	if (h != NULL && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(h), sizeof(int));
	return fd;
}

static void
end_cb(int events, void *arg)
{
	struct probe_http *h = arg;

	io_want(&h->end_io, 0);
	h->tun = receive_fd(h->ends[0]);
	if (h->tun >= 0 && io_init(&h->tun_io, h->loop, h->tun, tun_cb, h) == 0)
		io_want(&h->tun_io, IO_READ);
}

/* ---- the result ---- */

static double
field_ms(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name)) * 1000;
}

static const char *
why_of(long long status, const struct probe_http_result *r)
{
	static const uint8_t tls[] = {35, 51, 53, 54, 58, 59, 60, 64, 66, 77, 80, 82, 83, 90, 91};

	if (status == CURL_CONNECT || (status == CURL_TIMEOUT && r->connect_ms <= 0))
		return "http-connect";
	for (size_t i = 0; i < sizeof(tls); i++)
		if (status == tls[i])
			return "http-tls";
	return "http";
}

static void
take_report(struct probe_http *h, const struct child_result *c)
{
	struct probe_http_result *r = &h->result;
	json_t *o = json_loads(c->output, 0, NULL);
	const char *message = json_string_value(json_object_get(o, "errormsg"));

	r->status = (unsigned)json_integer_value(json_object_get(o, "http_code"));
	r->bytes = (long long)json_number_value(json_object_get(o, "size_download"));
	r->connect_ms = field_ms(o, "time_connect");
	r->tls_ms = field_ms(o, "time_appconnect");
	r->first_byte_ms = field_ms(o, "time_starttransfer");
	r->total_ms = field_ms(o, "time_total");
	if (c->status == 0 && r->status < ERROR_STATUS) {
		r->ok = true;
		r->why = "ok";
	} else if (c->status == 0) {
		r->why = "http-status";
		snprintf(r->text, sizeof(r->text), "HTTP status %u", r->status);
	} else {
		r->why = why_of(c->status, r);
		snprintf(r->text, sizeof(r->text), "%s",
		    message != NULL ? message
		    : c->cut        ? "it took too long"
				    : "curl failed");
	}
	json_decref(o);
}

static void
child_done(void *arg, const struct child_result *c)
{
	struct probe_http *h = arg;
	struct probe_http_result *r = &h->result;

	if (c->status == NO_NAMESPACE) {
		r->why = "no-namespace";
		snprintf(r->text, sizeof(r->text), "%.200s", c->output);
	} else if (c->status == NO_CURL) {
		r->why = "no-curl";
	} else {
		take_report(h, c);
	}
	h->done(h->arg);
}

const struct probe_http_result *
probe_http_result(const struct probe_http *h)
{
	return &h->result;
}

struct probe_http *
probe_http_new(struct loop *l, struct pptp_client *c, const struct probe_url *u,
    unsigned timeout_ms, void (*done)(void *arg), void *arg)
{
	struct probe_http *h = calloc(1, sizeof(*h));
	struct pptp_client_state s;

	if (h == NULL)
		return NULL;
	pptp_client_state(c, &s);
	h->loop = l;
	h->client = c;
	h->url = u;
	h->done = done;
	h->arg = arg;
	h->timeout_ms = timeout_ms;
	h->address = s.address;
	h->mtu = s.mtu;
	h->tun = -1;
	h->result.why = "running";
	h->ends[0] = h->ends[1] = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, h->ends) < 0 ||
	    io_init(&h->end_io, l, h->ends[0], end_cb, h) < 0 ||
	    child_call(&h->child, l, child_main, h, timeout_ms + TIMEOUT_ROOM, child_done, h) < 0) {
		int saved = errno;

		probe_http_free(h);
		errno = saved;
		return NULL;
	}
	io_want(&h->end_io, IO_READ);
	return h;
}

void
probe_http_free(struct probe_http *h)
{
	if (h == NULL)
		return;
	child_fini(&h->child);
	io_fini(&h->end_io);
	io_fini(&h->tun_io);
	for (size_t i = 0; i < 2; i++)
		if (h->ends[i] >= 0)
			close(h->ends[i]);
	if (h->tun >= 0)
		close(h->tun);
	free(h);
}
