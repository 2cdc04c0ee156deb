/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The SSH client's connection: TCP with a deadline, handshake, host key, authentication, channels.
 * libssh2 is kept non-blocking throughout; step() turns one of its calls into one with a deadline.
 * Debian 12's libssh2 1.10 has neither AES-GCM nor ChaCha20 and gives exit status 0 to a channel
 * that never said one, so callers must see the end of both streams first.
 */
#include "sync/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <libssh2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nettle/base64.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/conf.h"

/* How long unacknowledged bytes may wait before the kernel gives the connection up. */
#define USER_TIMEOUT_MS 10000

struct ssh {
	int fd;
	LIBSSH2_SESSION *session;
	char peer[48]; /* "10.255.0.2 port 2222" */
};

struct ssh_channel {
	struct ssh *ssh;
	LIBSSH2_CHANNEL *channel;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
init_library(void)
{
	libssh2_init(0);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Notes the fault; returns -1 for the caller to pass on. */
static int __attribute__((format(printf, 3, 4)))
fail(struct ssh_error *e, enum ssh_fault fault, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	e->fault = fault;
	return -1;
}

static const char *
reason(const struct ssh *s)
{
	char *text = NULL;

	libssh2_session_last_error(s->session, &text, NULL, 0);
	return text && *text ? text : "no reason given";
}

/* The library's last call failed in the middle of the protocol. */
static int
fail_session(const struct ssh *s, struct ssh_error *e, const char *what)
{
	return fail(e, SSH_BROKEN, "%s: %s: %s", what, s->peer, reason(s));
}

/* Until the socket is ready for what libssh2 waits for: 0, or -1 when the deadline has passed. */
static int
wait_ready(const struct ssh *s, int64_t deadline, struct ssh_error *e, const char *what)
{
	struct pollfd p = {.fd = s->fd, .events = ssh_wants(s)};
	int64_t left = deadline - now_ms();

	if (left <= 0 || (poll(&p, 1, (int)left) == 0 && now_ms() >= deadline))
		return fail(e, SSH_LATE, "%s: %s: no answer in time", what, s->peer);
	return 0;
}

/* ---- connecting ---- */

static struct sockaddr_in
address_of(uint32_t address, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};

	sin.sin_addr.s_addr = htonl(address);
	return sin;
}

/* What became of a connect(): 0 or an errno value. */
static int
finish_connect(int fd, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);
	int64_t left = deadline - now_ms();

	if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
		return ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return errno;
	return error;
}

static int
dial(struct ssh *s, const struct ssh_target *t, int64_t deadline, struct ssh_error *e)
{
	struct sockaddr_in from = address_of(t->source, 0), to = address_of(t->address, t->port);
	unsigned user_timeout = USER_TIMEOUT_MS;
	int yes = 1, error = 0;

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return fail(e, SSH_LOCAL, "socket: %s", strerror(errno));
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof(user_timeout));
	if (t->source && bind(s->fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		error = errno;
	else if (connect(s->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		error = errno == EINPROGRESS ? finish_connect(s->fd, deadline) : errno;
	if (error)
		return fail(
		    e, SSH_UNREACHABLE, "peer unreachable: %s: %s", s->peer, strerror(error));
	return 0;
}

/* ---- handshake and host key ---- */

static int
handshake(struct ssh *s, int64_t deadline, struct ssh_error *e)
{
	static const struct {
		int method;
		const char *names;
	} wanted[] = {
	    {LIBSSH2_METHOD_KEX, "curve25519-sha256,curve25519-sha256@libssh.org"},
	    {LIBSSH2_METHOD_HOSTKEY, "ssh-ed25519"},
	    {LIBSSH2_METHOD_CRYPT_CS, "aes256-ctr"},
	    {LIBSSH2_METHOD_CRYPT_SC, "aes256-ctr"},
	    {LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256"},
	    {LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256"},
	};
	int rc;

	s->session = libssh2_session_init();
	if (!s->session)
		return fail(e, SSH_LOCAL, "out of memory");
	libssh2_session_set_blocking(s->session, 0);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (libssh2_session_method_pref(s->session, wanted[i].method, wanted[i].names) != 0)
			return fail_session(s, e, "libssh2 lacks an algorithm");
	}
	while ((rc = libssh2_session_handshake(s->session, s->fd)) == LIBSSH2_ERROR_EAGAIN) {
		if (wait_ready(s, deadline, e, "SSH handshake") < 0)
			return -1;
	}
	return rc == 0 ? 0 : fail_session(s, e, "SSH handshake");
}

/* As ssh-keygen -l shows it, without the prefix. */
static void
fingerprint(const struct ssh *s, char out[static BASE64_ENCODE_RAW_LENGTH(32) + 1])
{
	const char *hash = libssh2_hostkey_hash(s->session, LIBSSH2_HOSTKEY_HASH_SHA256);

	out[0] = '\0';
	if (!hash)
		return;
	base64_encode_raw(out, 32, (const uint8_t *)hash);
	out[BASE64_ENCODE_RAW_LENGTH(32)] = '\0';
	out[strcspn(out, "=")] = '\0';
}

static int
check_host(struct ssh *s, const struct ssh_target *t, struct ssh_error *e)
{
	char shown[BASE64_ENCODE_RAW_LENGTH(32) + 1];
	LIBSSH2_KNOWNHOSTS *known = libssh2_knownhost_init(s->session);
	size_t len;
	int type, rc = -1, found;
	const char *key = libssh2_session_hostkey(s->session, &len, &type);

	if (!known || !key) {
		fail(e, SSH_LOCAL, "out of memory");
		goto out;
	}
	if (libssh2_knownhost_readfile(known, t->known_hosts, LIBSSH2_KNOWNHOST_FILE_OPENSSH) < 0) {
		fail(e, SSH_LOCAL, "%s: %s", t->known_hosts, reason(s));
		goto out;
	}
	found = libssh2_knownhost_checkp(known, conf_ipv4(t->address), t->port, key, len,
	    LIBSSH2_KNOWNHOST_TYPE_PLAIN | LIBSSH2_KNOWNHOST_KEYENC_RAW |
		LIBSSH2_KNOWNHOST_KEY_ED25519,
	    NULL);
	fingerprint(s, shown);
	if (found == LIBSSH2_KNOWNHOST_CHECK_MATCH)
		rc = 0;
	else if (found == LIBSSH2_KNOWNHOST_CHECK_NOTFOUND)
		fail(e, SSH_WRONG_HOST_KEY,
		    "wrong host key: %s shows SHA256:%s, and %s knows none for it", s->peer, shown,
		    t->known_hosts);
	else
		fail(e, SSH_WRONG_HOST_KEY,
		    "wrong host key: %s shows SHA256:%s, which %s does not have", s->peer, shown,
		    t->known_hosts);
out:
	if (known)
		libssh2_knownhost_free(known);
	return rc;
}

static int
authenticate(struct ssh *s, const struct ssh_target *t, int64_t deadline, struct ssh_error *e)
{
	int rc;

	if (access(t->key, R_OK) < 0)
		return fail(e, SSH_LOCAL, "%s: %s", t->key, strerror(errno));
	while ((rc = libssh2_userauth_publickey_fromfile_ex(s->session, t->user,
		    (unsigned)strlen(t->user), NULL, t->key, "")) == LIBSSH2_ERROR_EAGAIN) {
		if (wait_ready(s, deadline, e, "authentication") < 0)
			return -1;
	}
	if (rc == 0)
		return 0;
	if (rc == LIBSSH2_ERROR_AUTHENTICATION_FAILED || rc == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
		return fail(e, SSH_KEY_REFUSED, "key refused: %s does not let %s in with %s",
		    s->peer, t->user, t->key);
	if (rc == LIBSSH2_ERROR_FILE)
		return fail(e, SSH_LOCAL, "%s: %s", t->key, reason(s));
	return fail_session(s, e, "authentication");
}

struct ssh *
ssh_connect(const struct ssh_target *t, int timeout_ms, struct ssh_error *e)
{
	int64_t deadline = now_ms() + timeout_ms;
	struct ssh *s = calloc(1, sizeof(*s));

	*e = (struct ssh_error){0};
	pthread_once(&once, init_library);
	if (!s) {
		fail(e, SSH_LOCAL, "out of memory");
		return NULL;
	}
	s->fd = -1;
	snprintf(s->peer, sizeof(s->peer), "%s port %u", conf_ipv4(t->address), t->port);
	if (dial(s, t, deadline, e) < 0 || handshake(s, deadline, e) < 0 ||
	    check_host(s, t, e) < 0 || authenticate(s, t, deadline, e) < 0) {
		ssh_free(s);
		return NULL;
	}
	return s;
}

void
ssh_free(struct ssh *s)
{
	if (!s)
		return;
	if (s->session) {
		libssh2_session_disconnect(s->session, "bye");
		/* Nothing can block on it now, so freeing comes to its end. */
		shutdown(s->fd, SHUT_RDWR);
		for (int i = 0; i < 100 && libssh2_session_free(s->session) == LIBSSH2_ERROR_EAGAIN;
		     i++)
			;
	}
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

int
ssh_fd(const struct ssh *s)
{
	return s->fd;
}

short
ssh_wants(const struct ssh *s)
{
	int blocked = libssh2_session_block_directions(s->session);

	return (short)(POLLIN | (blocked & LIBSSH2_SESSION_BLOCK_OUTBOUND ? POLLOUT : 0));
}

/* ---- channels ---- */

struct ssh_channel *
ssh_exec(struct ssh *s, const char *command, int timeout_ms, struct ssh_error *e)
{
	int64_t deadline = now_ms() + timeout_ms;
	struct ssh_channel *c = calloc(1, sizeof(*c));
	int rc;

	*e = (struct ssh_error){0};
	if (!c) {
		fail(e, SSH_LOCAL, "out of memory");
		return NULL;
	}
	c->ssh = s;
	while (!(c->channel = libssh2_channel_open_session(s->session))) {
		if (libssh2_session_last_errno(s->session) != LIBSSH2_ERROR_EAGAIN) {
			fail_session(s, e, "opening a channel");
			goto bad;
		}
		if (wait_ready(s, deadline, e, "opening a channel") < 0)
			goto bad;
	}
	while ((rc = libssh2_channel_exec(c->channel, command)) == LIBSSH2_ERROR_EAGAIN) {
		if (wait_ready(s, deadline, e, "starting the command") < 0)
			goto bad;
	}
	if (rc == 0)
		return c;
	fail_session(s, e, "starting the command");
bad:
	ssh_channel_free(c);
	return NULL;
}

void
ssh_channel_free(struct ssh_channel *c)
{
	if (!c)
		return;
	/* What could not be sent now goes with the connection. */
	if (c->channel)
		libssh2_channel_free(c->channel);
	free(c);
}

struct ssh *
ssh_of(const struct ssh_channel *c)
{
	return c->ssh;
}

/* A result of the library as one of read(2): errno says what a negative one was. */
static ssize_t
result_of(ssize_t n)
{
	if (n >= 0)
		return n;
	errno = n == LIBSSH2_ERROR_EAGAIN ? EAGAIN : EPIPE;
	return -1;
}

ssize_t
ssh_read(struct ssh_channel *c, int stream, void *buf, size_t len)
{
	return result_of(libssh2_channel_read_ex(
	    c->channel, stream == SSH_STDERR ? SSH_EXTENDED_DATA_STDERR : 0, buf, len));
}

ssize_t
ssh_write(struct ssh_channel *c, const void *buf, size_t len)
{
	ssize_t n = result_of(libssh2_channel_write(c->channel, buf, len));

	/* A full window is reported as nothing written. */
	if (n == 0 && len > 0) {
		errno = EAGAIN;
		return -1;
	}
	return n;
}

int
ssh_write_eof(struct ssh_channel *c)
{
	return (int)result_of(libssh2_channel_send_eof(c->channel));
}

int
ssh_exit_status(struct ssh_channel *c)
{
	char *signal = NULL;
	size_t len;

	if (result_of(libssh2_channel_wait_closed(c->channel)) < 0)
		return -1;
	if (libssh2_channel_get_exit_signal(c->channel, &signal, &len, NULL, NULL, NULL, NULL) ==
		0 &&
	    signal) {
		libssh2_free(c->ssh->session, signal);
		return 255;
	}
	return libssh2_channel_get_exit_status(c->channel) & 0xff;
}
