/* link: pptpddaemon pptp pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The loopback account: who may log in with it, and that its sessions are nobody's clients. The
 * engine's real sources; monitor and data plane are recorders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/engine_alone.h"

#define VIP      0xc633640au
#define STRANGER 0xc6336464u
#define PASSWORD "correct horse battery"

static struct {
	unsigned calls, routes, unroutes, served, apart, attached, joined;
	uint32_t route;
} seen;
static struct engine eng;

void
priv_call_add(struct priv *p, uint32_t ip, uint16_t id, priv_done_fn *done, void *arg)
{
	seen.calls++;
	done(arg, 0);
}

void
priv_call_del(struct priv *p, uint32_t ip, uint16_t id, priv_done_fn *done, void *arg)
{
	seen.calls++;
	done(arg, 0);
}

void
priv_route_add(struct priv *p, uint32_t ip, bool serve, priv_done_fn *done, void *arg)
{
	seen.routes++;
	seen.served += serve;
	seen.route = ip;
	done(arg, 0);
}

void
priv_route_del(struct priv *p, uint32_t ip, priv_done_fn *done, void *arg)
{
	seen.unroutes++;
	done(arg, 0);
}

void
priv_mark_closing(struct priv *p, int fd, priv_done_fn *done, void *arg)
{
	done(arg, 0);
}

void
priv_silent_close(struct priv *p, int fd)
{
	close(fd);
}

void
priv_listen(struct priv *p, bool on, priv_done_fn *done, void *arg)
{
	if (done != NULL)
		done(arg, 0);
}

void
priv_free(struct priv *p)
{
}

struct dp_session {
	void *owner;
};

struct dp_session *
dp_attach(struct dataplane *dp, const struct dp_session_config *c)
{
	struct dp_session *s = calloc(1, sizeof *s);

	seen.attached++;
	seen.apart += c->apart;
	s->owner = c->owner;
	return s;
}

void
dp_detach(struct dataplane *dp, struct dp_session *s)
{
	session_dp_ops.on_detached(&eng, s->owner);
	free(s);
}

int
dp_send_frame(struct dataplane *dp, struct dp_session *s, uint16_t protocol, const uint8_t *payload,
    size_t len)
{
	return 0;
}

void
dp_up(struct dataplane *dp, struct dp_session *s, const struct dp_up *up)
{
}

void
dp_freeze(struct dataplane *dp, bool frozen)
{
}

void
dp_doze(struct dataplane *dp, bool on)
{
}

void
dp_export(struct dataplane *dp, struct dp_session *s, uint32_t ahead, uint32_t low_water)
{
	seen.joined++;
}

static int
setup(void **state)
{
	char conf[] = "localip 10.8.0.1\nremoteip 10.8.0.2-9\nconnections 2\nhalf-open 1\n"
		      "connections-per-address 1\nlogwtmp\n";
	char options[] = "name pptpd\nrequire-mschap-v2\nrequire-mppe-128\nmaxconnect 60\n";
	char secrets[] = "* pptpd secret *\n" LOOPBACK_USER " pptpd secret *\n";

	memset(&seen, 0, sizeof seen);
	memset(&eng, 0, sizeof eng);
	eng.loop = loop_new_virtual();
	eng.workers = 4;
	strcpy(eng.host, "gw1.example");
	assert_int_equal(rig_engine(&eng, conf, options, secrets), 0);
	eng.max_sockets = 3;
	assert_int_equal(takeover_init(&eng, -1), 0);
	return engine_promote(&eng, 1, NULL, NULL);
}

static int
teardown(void **state)
{
	engine_fini(&eng);
	loop_free(eng.loop);
	return 0;
}

/* ---- clients ---- */

static int client_fds[64];
static unsigned n_clients;

static void
hang_up_all(void)
{
	while (n_clients > 0)
		close(client_fds[--n_clients]);
}

/* NULL: refused */
static struct ctrl *
connect_from(uint32_t ip)
{
	struct ctrl *c;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	client_fds[n_clients++] = fds[0];
	ctrl_accept(&eng, fds[1],
	    &(struct tcp_snapshot){
		.peer_ip = ip, .peer_port = 40000, .local_ip = VIP, .local_port = 1723});
	c = TAILQ_LAST(&eng.ctrls, ctrl_list);
	return c != NULL && c->fd == fds[1] ? c : NULL;
}

static void
say(struct ctrl *c, uint8_t type, uint16_t call_id)
{
	struct pptp_message m = {
	    .type = type, .version = PPTP_VERSION, .call_id = call_id, .window = 64};

	(void)ctrl_on_message(c, &m);
}

static struct session *
call_from(uint32_t ip)
{
	struct ctrl *c = connect_from(ip);

	assert_non_null(c);
	say(c, PPTP_SCCRQ, 0);
	say(c, PPTP_OCRQ, 7);
	return TAILQ_FIRST(&c->sessions);
}

static bool
login(struct session *s, const char *user, const char *password)
{
	static const uint8_t theirs[16] = {1}, ours[16] = {2};
	uint8_t hash[16], response[24], proven[16];
	struct ppp_verify v = {.name = user,
	    .hash_name = user,
	    .auth_challenge = ours,
	    .peer_challenge = theirs,
	    .nt_response = response};

	assert_int_equal(mschap_nt_hash(password, hash), 0);
	mschap_nt_response(ours, theirs, user, hash, response);
	return session_link_ops.verify(s, &v, proven);
}

/* What its link does when all is agreed. */
static void
come_up(struct session *s)
{
	struct ppp_addresses a;

	assert_true(session_link_ops.address(s, &a));
	assert_int_equal(a.local_ip, 0x0a080001);
	session_link_ops.up(s, &a, 1400);
	assert_true(s->up);
}

/* ---- tests ---- */

static void
test_nobody_comes_without_an_account(void **state)
{
	struct session *s;

	assert_null(connect_from(loopback_source(0)));
	assert_int_equal(loopback_set(&eng, "too short"), -1);
	assert_int_equal(errno, EINVAL);
	assert_null(connect_from(loopback_source(0)));
	assert_int_equal(loopback_set(&eng, PASSWORD), 0);
	s = call_from(loopback_source(0));
	assert_false(login(s, LOOPBACK_USER, "correct horse batterx"));
	assert_false(login(s, "someone", PASSWORD));
	assert_false(login(s, "someone", "secret"));     /* whom chap-secrets knows */
	assert_false(login(s, LOOPBACK_USER, "secret")); /* likewise */
	assert_int_equal(s->address, 0);
	assert_true(login(s, LOOPBACK_USER, PASSWORD));
	assert_int_equal(s->address, 0xc0000008);
	hang_up_all();
}

static void
test_from_outside_it_is_no_account(void **state)
{
	struct session *s;

	assert_int_equal(loopback_set(&eng, PASSWORD), 0);
	s = call_from(STRANGER);
	assert_false(s->local);
	assert_false(login(s, LOOPBACK_USER, PASSWORD));
	assert_true(login(s, LOOPBACK_USER, "secret")); /* it is a name like any other there */
	assert_int_equal(s->address >> 8, 0x0a0800);
	hang_up_all();
}

static void
test_it_is_counted_nowhere(void **state)
{
	struct engine_stats before = eng.stats;
	struct replica_status replica;
	struct session *s;
	json_t *o;

	loopback_set(&eng, PASSWORD);
	s = call_from(loopback_source(0));
	assert_true(login(s, LOOPBACK_USER, PASSWORD));
	come_up(s);
	replica_get_status(eng.replica, &replica);
	assert_int_equal(replica.sessions + replica.connections + replica.at_risk, 0);
	assert_int_equal(seen.joined, 0);
	assert_int_equal(eng.n_sessions + eng.n_ctrls + eng.n_half_open + eng.n_held, 0);
	assert_int_equal(pool_used(eng.pool), 0);
	assert_int_equal(seen.calls + seen.served, 0);
	assert_int_equal(seen.route, 0xc0000008);
	assert_int_equal(seen.apart, seen.attached);
	s->started_ms -= 3600 * 1000; /* far beyond maxconnect */
	session_tick(s);
	assert_int_equal(s->call.state, CALL_ESTABLISHED);
	o = loopback_json(&eng);
	assert_true(json_is_true(json_object_get(o, "account")));
	assert_int_equal(json_integer_value(json_object_get(o, "up")), 1);
	assert_int_equal(json_array_size(json_object_get(o, "workers")), 4);
	json_decref(o);
	session_close(s, END_CALL_CLEAR, true);
	assert_memory_equal(&before, &eng.stats, sizeof before);
	assert_int_equal(seen.unroutes, 1);
	assert_null(eng.loopback.sessions[0]);
	assert_int_equal(eng.n_sessions + eng.n_ctrls + eng.n_held, 0);
	hang_up_all();
}

static void
test_clients_and_it_do_not_see_each_other(void **state)
{
	struct session *s, *client;

	loopback_set(&eng, PASSWORD);
	client = call_from(STRANGER);
	assert_true(login(client, "someone", "secret"));
	call_from(STRANGER + 1); /* `connections` is reached */
	s = call_from(loopback_source(0));
	assert_non_null(s);
	assert_true(login(s, LOOPBACK_USER, PASSWORD));
	assert_non_null(call_from(loopback_source(0))); /* nor so many from one address */
	assert_int_equal(eng.n_sessions, 2);
	assert_int_equal(eng.n_ctrls, 2);
	assert_int_equal(eng.loopback.n_ctrls, 2);
	/* Who makes room is never one of its connections. */
	loop_advance(eng.loop, 2 * LOGIN_GRACE);
	assert_non_null(connect_from(STRANGER + 2));
	assert_int_equal(eng.loopback.n_ctrls, 2);
	assert_int_equal(s->call.state, CALL_ESTABLISHED);
	hang_up_all();
}

static void
test_each_worker_has_one(void **state)
{
	struct session *s[LOOPBACK_SESSIONS], *again;

	loopback_set(&eng, PASSWORD);
	for (unsigned i = 0; i < eng.workers; i++) {
		s[i] = call_from(loopback_source(i));
		assert_int_equal(s[i]->call_id % eng.workers, i);
		assert_true(login(s[i], LOOPBACK_USER, PASSWORD));
		assert_true(loopback_is_address(s[i]->address));
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(s[i]->address, s[k]->address);
	}
	/* One that begins anew replaces its predecessor, and no other. */
	again = call_from(loopback_source(2));
	assert_true(login(again, LOOPBACK_USER, PASSWORD));
	assert_ptr_equal(eng.loopback.sessions[2], again);
	assert_ptr_equal(eng.loopback.sessions[1], s[1]);
	assert_int_equal(again->address, loopback_address(2));
	loop_advance(eng.loop, 0);
	hang_up_all();
}

static void
test_another_password_ends_them(void **state)
{
	struct session *s;

	loopback_set(&eng, PASSWORD);
	s = call_from(loopback_source(0));
	assert_true(login(s, LOOPBACK_USER, PASSWORD));
	assert_int_equal(loopback_set(&eng, PASSWORD), 0);
	assert_ptr_equal(eng.loopback.sessions[0], s); /* the same one */
	assert_int_equal(loopback_set(&eng, "quite another password"), 0);
	assert_null(eng.loopback.sessions[0]);
	s = call_from(loopback_source(0));
	assert_false(login(s, LOOPBACK_USER, PASSWORD));
	assert_int_equal(loopback_set(&eng, NULL), 0);
	assert_null(connect_from(loopback_source(0)));
	assert_false(login(s, LOOPBACK_USER, ""));
	hang_up_all();
}

static void
test_they_are_few(void **state)
{
	loopback_set(&eng, PASSWORD);
	for (unsigned i = 0; i < 2 * LOOPBACK_SESSIONS; i++)
		assert_non_null(connect_from(loopback_source(i % LOOPBACK_SESSIONS)));
	assert_null(connect_from(loopback_source(0)));
	hang_up_all();
}

static void
test_they_end_with_the_role(void **state)
{
	struct session *s;

	loopback_set(&eng, PASSWORD);
	s = call_from(loopback_source(0));
	assert_true(login(s, LOOPBACK_USER, PASSWORD));
	come_up(s);
	assert_int_equal(engine_demote(&eng, 2, NULL, NULL), 0);
	loop_advance(eng.loop, 1000);
	assert_null(eng.loopback.sessions[0]);
	assert_int_equal(eng.loopback.n_ctrls, 0);
	assert_null(connect_from(loopback_source(0))); /* a standby answers nobody */
	assert_int_equal(eng.loopback.n_ctrls, 0);
	hang_up_all();
}

static void
test_packets_of_a_handover(void **state)
{
	uint8_t gre[40] = {0x45, [12] = 127, 0, 0, 2, 198, 51, 100, 10};
	uint8_t ip[40] = {0x45, [12] = 10, 8, 0, 1, 192, 0, 0, 8};

	assert_true(loopback_owns(DP_RELAY_GRE, gre, sizeof gre));
	assert_true(loopback_owns(DP_RELAY_IP, ip, sizeof ip));
	assert_false(loopback_owns(DP_RELAY_IP, ip, 19));
	ip[19] = 9;
	assert_false(loopback_owns(DP_RELAY_IP, ip, sizeof ip));
	gre[12] = 198;
	assert_false(loopback_owns(DP_RELAY_GRE, gre, sizeof gre));
}

static void
test_the_peer_cannot_make_one(void **state)
{
	struct connection_record r = {
	    .id = 5, .tcp = {.peer_ip = loopback_source(0), .peer_port = 4000, .local_ip = VIP}};

	assert_null(ctrl_continue(&eng, &r));
	assert_int_equal(eng.loopback.n_ctrls, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_nobody_comes_without_an_account),
	    TEST(test_from_outside_it_is_no_account),
	    TEST(test_it_is_counted_nowhere),
	    TEST(test_clients_and_it_do_not_see_each_other),
	    TEST(test_each_worker_has_one),
	    TEST(test_another_password_ends_them),
	    TEST(test_they_are_few),
	    TEST(test_they_end_with_the_role),
	    TEST(test_packets_of_a_handover),
	    TEST(test_the_peer_cannot_make_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
