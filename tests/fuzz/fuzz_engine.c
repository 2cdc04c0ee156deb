/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Control connections and sessions of the engine, under a script: what clients say on TCP and in
 * GRE, what they do not read, when the monitor and the data plane answer, reloads, kicks, roles,
 * the end. Behind every call stands a real PPP client, so that logins happen. Whatever the script
 * does, the books agree after each step, and nothing is left when all have gone.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_alone.h"
#include "tests/unit/engine_peer.h"

#define CLIENTS     4
#define ANSWERS_MAX 1024
#define CALLS_SEEN  256
#define FRAMES_MAX  16
#define STEPS_MAX   200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct engine e;

#define must(truth)                                                                                \
	do {                                                                                       \
		if (!(truth)) {                                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #truth);                        \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* ---- the monitor ---- */

static struct {
	priv_done_fn *done;
	void *arg;
} answers[ANSWERS_MAX];
static unsigned n_answers;
static bool refuse_at_once;

static void
ask(priv_done_fn *done, void *arg)
{
	if (done == NULL)
		return;
	if (refuse_at_once || n_answers == ANSWERS_MAX) {
		done(arg, ENOMEM);
		return;
	}
	answers[n_answers].done = done;
	answers[n_answers++].arg = arg;
}

static void
answer(unsigned i, int err)
{
	priv_done_fn *done = answers[i].done;
	void *arg = answers[i].arg;

	memmove(answers + i, answers + i + 1, (--n_answers - i) * sizeof answers[0]);
	done(arg, err);
}

void
priv_call_add(struct priv *p, uint32_t ip, uint16_t id, priv_done_fn *done, void *arg)
{
	ask(done, arg);
}

void
priv_call_del(struct priv *p, uint32_t ip, uint16_t id, priv_done_fn *done, void *arg)
{
	ask(done, arg);
}

void
priv_route_add(struct priv *p, uint32_t ip, bool serve, priv_done_fn *done, void *arg)
{
	ask(done, arg);
}

void
priv_route_del(struct priv *p, uint32_t ip, priv_done_fn *done, void *arg)
{
	ask(done, arg);
}

void
priv_mark_closing(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	must(fcntl(fd, F_GETFD) >= 0);
	ask(done, arg);
}

void
priv_silent_close(struct priv *p, int fd)
{
	close(fd);
}

void
priv_listen(struct priv *p, bool on, priv_done_fn *done, void *arg)
{
	ask(done, arg);
}

void
priv_free(struct priv *p)
{
	while (n_answers > 0)
		answer(0, EPIPE);
}

/* ---- the data plane, and the clients' ends of the calls ---- */

struct frame {
	bool to_client;
	uint16_t protocol;
	size_t len;
	uint8_t bytes[DP_FRAME_MAX];
};

struct dp_session {
	void *owner;
	bool detaching;
	struct ppp *peer;
	struct ppp_config c;
	struct frame *frames; /* FRAMES_MAX, oldest first; what comes beyond is lost */
	unsigned n_frames;
};

static struct dp_session *calls[CALLS_SEEN];
static unsigned n_calls, logins;

static void
put_frame(struct dp_session *d, bool to_client, uint16_t protocol, const uint8_t *b, size_t len)
{
	struct frame *f = &d->frames[d->n_frames];

	if (d->detaching || d->n_frames == FRAMES_MAX || len > DP_FRAME_MAX)
		return;
	d->n_frames++;
	f->to_client = to_client;
	f->protocol = protocol;
	f->len = len;
	if (len > 0)
		memcpy(f->bytes, b, len);
}

static void
peer_send(void *arg, uint16_t protocol, const uint8_t *payload, size_t len)
{
	put_frame(arg, false, protocol, payload, len);
}

static void
peer_up(void *arg, const struct ppp_addresses *a, uint16_t mtu)
{
	must(e.role != ROLE_ACTIVE || a->local_ip != 0);
}

static void
peer_down(void *arg)
{
}

static void
peer_finished(void *arg, enum ppp_cause cause, const char *detail)
{
}

struct dp_session *
dp_attach(struct dataplane *dp, const struct dp_session_config *c)
{
	static const char *const names[] = {"any", "owner", "owner", "D\x1b\\any", "nobody"};
	struct dp_session *d;

	if (n_calls == CALLS_SEEN)
		return NULL;
	d = calloc(1, sizeof *d);
	d->frames = calloc(FRAMES_MAX, sizeof *d->frames);
	d->owner = c->owner;
	ppp_config_defaults(&d->c);
	d->c.name = names[logins++ % 5];
	d->c.password = "secret";
	d->c.style = logins & 8 ? PPP_STYLE_WINDOWS : PPP_STYLE_LINUX;
	d->peer = ppp_new(e.loop, &d->c, &peer_ops, d);
	ppp_open(d->peer);
	return calls[n_calls++] = d;
}

void
dp_detach(struct dataplane *dp, struct dp_session *d)
{
	d->detaching = true;
	d->n_frames = 0;
}

static void
let_go(unsigned i)
{
	struct dp_session *d = calls[i];
	void *owner = d->owner;

	calls[i] = calls[--n_calls];
	ppp_free(d->peer);
	free(d->frames);
	free(d);
	session_dp_ops.on_detached(&e, owner);
}

int
dp_send_frame(struct dataplane *dp, struct dp_session *d, uint16_t protocol, const uint8_t *payload,
    size_t len)
{
	put_frame(d, true, protocol, payload, len);
	return 0;
}

void
dp_up(struct dataplane *dp, struct dp_session *d, const struct dp_up *up)
{
	const struct session *s = d->owner;

	must(up->peer_ip == s->address && pool_owner(e.pool, s->address) == s);
}

void
dp_freeze(struct dataplane *dp, bool on)
{
}

void
dp_doze(struct dataplane *dp, bool on)
{
}

void
dp_export(struct dataplane *dp, struct dp_session *d, uint32_t ahead, uint32_t low_water)
{
}

/* Frames of one call travel, both ways. */
static void
travel(struct dp_session *d, unsigned n)
{
	for (; n > 0 && d->n_frames > 0 && !d->detaching; n--) {
		struct frame f = d->frames[0];
		uint8_t *exact = malloc(f.len + 1);

		memmove(d->frames, d->frames + 1, --d->n_frames * sizeof f);
		memcpy(exact, f.bytes, f.len);
		if (f.to_client)
			ppp_input(d->peer, f.protocol, exact, f.len);
		else
			session_dp_ops.on_frame(&e, d->owner, f.protocol, exact, f.len);
		free(exact);
	}
}

/* ---- clients' ends of the control connections ---- */

static struct {
	int fd; /* -1 = none */
	struct ctrl *ctrl;
} clients[CLIENTS];

/* What the loop would do: the daemon's end is readable, or writable again. */
static void
turn(unsigned i)
{
	for (int n = 0; n < 8 && clients[i].ctrl != NULL; n++) {
		struct ctrl *c, *found = NULL;

		TAILQ_FOREACH(c, &e.ctrls, entry)
		if (c == clients[i].ctrl)
			found = c;
		if (found == NULL) {
			clients[i].ctrl = NULL;
			return;
		}
		if (found->io.want & IO_WRITE)
			found->io.cb(IO_WRITE, found->io.arg);
		if (found->fd < 0 || poll(&(struct pollfd){found->fd, POLLIN, 0}, 1, 0) <= 0)
			return;
		found->io.cb(IO_READ, found->io.arg);
	}
}

static void
hang_up(unsigned i)
{
	if (clients[i].fd < 0)
		return;
	close(clients[i].fd);
	clients[i].fd = -1;
	turn(i);
	clients[i].ctrl = NULL;
}

static void
dial(unsigned i, uint32_t ip)
{
	int fds[2];

	hang_up(i);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	clients[i].fd = fds[0];
	ctrl_accept(&e, fds[1],
	    &(struct tcp_snapshot){
		.peer_ip = ip, .peer_port = 40000, .local_ip = 0xc633640a, .local_port = 1723});
	clients[i].ctrl = TAILQ_LAST(&e.ctrls, ctrl_list);
	if (clients[i].ctrl != NULL && clients[i].ctrl->fd != fds[1])
		clients[i].ctrl = NULL;
}

static void
say(unsigned i, const void *bytes, size_t len)
{
	if (clients[i].fd >= 0 && len > 0)
		(void)!send(clients[i].fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	turn(i);
}

static void
say_message(unsigned i, uint8_t type, uint8_t id)
{
	uint8_t bytes[PPTP_MESSAGE_MAX];
	struct wr w = wr_init(bytes, sizeof bytes);
	const struct pptp_message m = {.type = (uint8_t)(1 + type % PPTP_TYPE_MAX),
	    .version = PPTP_VERSION,
	    .call_id = id % 4,
	    .peer_call_id = id,
	    .echo_id = id};

	must(pptp_encode(&m, &w) == 0);
	say(i, bytes, wr_len(&w));
}

static void
drain(unsigned i)
{
	uint8_t bytes[4096];

	while (clients[i].fd >= 0 && recv(clients[i].fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	turn(i);
}

/* As much unread as the daemon bears, and less room than a Call-Disconnect-Notify takes. */
static void
fill_output(unsigned i)
{
	turn(i);
	while (clients[i].ctrl != NULL && clients[i].ctrl->fd >= 0 &&
	       clients[i].ctrl->out_len + 100 < CTRL_OUT_MAX)
		ctrl_send(clients[i].ctrl, &(struct pptp_message){.type = PPTP_ECHO_RP});
}

/* ---- the books ---- */

static void
check_books(void)
{
	unsigned sessions = 0, listed = 0, ctrls = 0, half_open = 0, strangers = 0;
	struct session *s;
	struct ctrl *c;

	for (unsigned id = 0; id <= e.next_call_id; id++) {
		if ((s = e.by_call[id]) == NULL)
			continue;
		sessions += s->call.state != CALL_CLOSED;
		must(s->call_id == id && (s->ctrl != NULL) == (s->call.state != CALL_CLOSED));
		must(s->call.state != CALL_CLOSED || s->address == 0 ||
		     pool_owner(e.pool, s->address) != s);
		must(s->address == 0 || s->call.state == CALL_CLOSED ||
		     pool_owner(e.pool, s->address) == s);
	}
	TAILQ_FOREACH(c, &e.ctrls, entry)
	{
		unsigned n = 0;

		TAILQ_FOREACH(s, &c->sessions, entry)
		n++;
		must(n == c->n_sessions && c->fd >= 0 && c->fsm.state != CTRL_CLOSED);
		listed += n;
		ctrls++;
	}
	TAILQ_FOREACH(c, &e.half_open, half_open_entry)
	half_open++;
	TAILQ_FOREACH(c, &e.strangers, stranger_entry)
	strangers++;
	must(sessions == e.n_sessions && listed == sessions);
	must(ctrls == e.n_ctrls && half_open == e.n_half_open && half_open + strangers <= ctrls);
	must(e.n_sockets >= ctrls);
	must(pool_used(e.pool) <= sessions);
}

/* ---- the script ---- */

/* The engine's first files, or a reload. */
static void
read_files(bool large)
{
	char conf[128], options[] = "name pptpd\nrequire-mschap-v2\nrequire-mppe-128\nidle 100\n";
	char secrets[] = "any pptpd secret *\nowner pptpd secret 10.8.0.3\n";
	char n1[] = "pptpd.conf", n2[] = "options.pptpd", n3[] = "chap-secrets";
	struct priv_files f = {n1, n2, n3, conf, options, secrets};

	snprintf(conf, sizeof conf,
	    "localip 10.8.0.1\nremoteip 10.8.0.2-%d\nconnections 6\nhalf-open 2\n"
	    "connections-per-address 3\n",
	    large ? 9 : 4);
	if (e.config == NULL)
		must(rig_engine(&e, conf, options, secrets) == 0);
	else
		on_files(&e, &f);
}

static void
begin(void)
{
	memset(&e, 0, sizeof e);
	n_answers = n_calls = logins = 0;
	refuse_at_once = false;
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i].fd = -1;
	e.loop = loop_new_virtual();
	strcpy(e.host, "host");
	read_files(true);
	e.max_sockets = 5;
	must(takeover_init(&e, -1) == 0);
	must(engine_promote(&e, 1, NULL, NULL) == 0);
}

static struct session *
some_session(uint8_t n)
{
	return n_calls > 0 ? calls[n % n_calls]->owner : NULL;
}

static void
step(uint8_t op, struct rd *r)
{
	uint8_t a = rd_u8(r), b = rd_u8(r);
	unsigned i = a % CLIENTS;
	struct session *s = some_session(a);
	struct rd bytes;

	switch (op % 16) {
	case 0:
		dial(i, 1 + b % 2);
		break;
	case 1:
	case 2:
		say_message(i, a / CLIENTS, b);
		break;
	case 3:
		bytes = rd_sub(r, b < rd_left(r) ? b : rd_left(r));
		say(i, bytes.p, rd_left(&bytes));
		break;
	case 4:
		drain(i);
		break;
	case 5:
		for (unsigned n = 1 + b % 8; n > 0 && n_answers > 0; n--)
			answer(a % n_answers, b > 0xf0 ? EIO : 0);
		break;
	case 6:
		if (n_calls > 0 && calls[a % n_calls]->detaching)
			let_go(a % n_calls);
		break;
	case 7:
	case 8:
		if (n_calls > 0)
			travel(calls[a % n_calls], 1 + b);
		break;
	case 9:
		bytes = rd_sub(r, rd_left(r) < 40 ? rd_left(r) : 40);
		if (s != NULL && !s->dp->detaching)
			session_dp_ops.on_frame(&e, s,
			    (const uint16_t[]){PPP_LCP, PPP_CHAP, PPP_CCP, PPP_IPCP}[b % 4],
			    bytes.p, rd_left(&bytes));
		break;
	case 10:
		loop_advance(e.loop, (uint64_t)a * (b & 1 ? 1000 : 10));
		break;
	case 11:
		read_files(a & 1);
		break;
	case 12:
		if (s != NULL && s->call.state != CALL_CLOSED)
			session_hangup(s, END_KICKED);
		break;
	case 13:
		if (b < 0x40)
			hang_up(i);
		else if (b < 0x60)
			refuse_at_once = a & 1;
		else if (b < 0x70)
			(void)(a & 1 ? engine_promote(&e, e.epoch, NULL, NULL)
				     : engine_demote(&e, e.epoch, NULL, NULL));
		else if (b < 0x78)
			stop_serving(&e);
		else if (b < 0xc0)
			reaper_cb(&e);
		break;
	case 14:
		fill_output(i);
		break;
	case 15:
		if (n_calls > 0 && a & 0x80)
			ppp_renegotiate(calls[a % n_calls]->peer);
		else if (n_calls > 0)
			ppp_close(calls[a % n_calls]->peer, PPP_CAUSE_LOCAL);
		break;
	}
}

/* All leave, everything is answered: nothing may be left. */
static void
end_of_script(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		hang_up(i);
	loop_advance(e.loop, 10000); /* connections that nobody remembers time out */
	for (unsigned i = 0; i < 100 && (n_answers > 0 || n_calls > 0); i++) {
		while (n_answers > 0)
			answer(0, 0);
		for (unsigned k = 0; k < n_calls;)
			if (calls[k]->detaching)
				let_go(k);
			else
				k++;
		loop_advance(e.loop, 0);
	}
	check_books();
	must(e.n_ctrls == 0);
	must(e.n_sessions == 0);
	must(e.n_sockets == 0);
	must(pool_used(e.pool) == 0);
	for (unsigned id = 0; id <= e.next_call_id; id++)
		must(e.by_call[id] == NULL);
	engine_fini(&e);
	loop_free(e.loop);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool quiet;
	struct rd r = rd_init(data, size);

	if (!quiet)
		log_init("fuzz", open("/dev/null", O_WRONLY | O_CLOEXEC), false);
	quiet = true;
	begin();
	for (unsigned i = 0; i < STEPS_MAX && rd_left(&r) > 0; i++) {
		step(rd_u8(&r), &r);
		check_books();
	}
	end_of_script();
	return 0;
}
