/* link: pptpdconf common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The control socket's commands over sessions that are only records here. What they call outside of
 * their file is stood in for below.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "pptpd/engine/control.c"
#include "pptpd/engine/control_metrics.c"
#include "pptpd/engine/loopback.c"
#include "pptpd/engine/stats.c"
#include "pptpd/engine/suspects.c"

static struct engine eng;
static json_t *answer; /* the last one; NULL = an error */
static unsigned hangups, errors;
static char words[128]; /* of the last error */

void
answer_ok(struct answer_request *r, json_t *data)
{
	json_decref(answer);
	answer = data;
}

void
answer_error(struct answer_request *r, const char *code, const char *fmt, ...)
{
	va_list ap;

	errors++;
	va_start(ap, fmt);
	vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	json_decref(answer);
	answer = NULL;
}

struct answer_server *
answer_server_new(
    struct loop *l, int fd, const struct answer_command *rows, size_t n_rows, void *arg)
{
	return NULL;
}

const char *
dp_drop_name(enum dp_drop d)
{
	static char name[32];

	snprintf(name, sizeof name, "a-reason-to-drop-%d", d);
	return name;
}

void
session_close(struct session *s, enum session_end end, bool tell)
{
	s->call.state = CALL_CLOSED;
	s->end = end;
}

/* As a hostile client would have it: every counter is large. */
void
dp_session_counters(const struct dp_session *s, struct dp_counters *c)
{
	uint8_t *bytes = (uint8_t *)c;

	for (size_t i = 0; i < sizeof *c; i++)
		bytes[i] = i % 8 == 7 ? 0 : 0x7f;
}

void
dp_totals(const struct dataplane *dp, struct dp_counters *c)
{
	memset(c, 0, sizeof *c);
}

void
dp_work(const struct dataplane *dp, unsigned worker, uint64_t *decrypted, uint64_t *encrypted)
{
	*decrypted = 1000 + worker;
	*encrypted = 2000 + worker;
}

bool
engine_log_ok(struct engine *e, uint32_t peer_ip)
{
	return false;
}

bool
session_proves(const char *password, const struct ppp_verify *v, uint8_t nt_hash[static 16])
{
	return false;
}

void
ppp_get_state(const struct ppp *p, struct ppp_state *s)
{
	memset(s, 0, sizeof *s);
}

const struct ppp_counters *
ppp_counters(const struct ppp *p)
{
	static const struct ppp_counters none;

	return &none;
}

static struct replica_status replica;
static int refuse; /* an errno; 0 = it is done */

static int
refused(void)
{
	errno = refuse;
	return refuse != 0 ? -1 : 0;
}

void
replica_get_status(const struct replica *r, struct replica_status *st)
{
	*st = replica;
}

const char *
replica_state_name(enum replica_state s)
{
	return "a-state";
}

static struct {
	bool clean;
	uint64_t cut, epoch, heard_ms_ago;
} ordered;

void
replica_pair(struct replica *r, bool clean, uint64_t epoch)
{
	ordered.clean = clean;
	ordered.epoch = epoch;
}

int
replica_stale(struct replica *r, uint64_t cut, uint64_t epoch)
{
	ordered.cut = cut;
	ordered.epoch = epoch;
	return refused();
}

int
replica_solo(struct replica *r, uint64_t cut)
{
	ordered.cut = cut;
	return refused();
}

int
replica_silent(struct replica *r, uint64_t cut)
{
	ordered.cut = cut;
	return refused();
}

int
engine_expect(struct engine *e, uint64_t epoch, unsigned ms, const char **why)
{
	ordered.epoch = epoch;
	ordered.cut = ms;
	*why = "for a reason";
	return refused();
}

static struct {
	handover_done_fn *done;
	void *arg;
} giving;

int
engine_give(struct engine *e, uint64_t epoch, handover_done_fn *done, void *arg, const char **why)
{
	giving.done = done;
	giving.arg = arg;
	return engine_expect(e, epoch, 0, why);
}

void
engine_handover_status(const struct engine *e, struct handover_status *s)
{
	*s = (struct handover_status){.state = "relaying", .sessions = 7, .relayed = 9, .ms = 4};
}

uint64_t
takeover_epoch(const struct engine *e)
{
	return e->epoch;
}

unsigned
takeover_restoring(const struct engine *e)
{
	return 3;
}

void
takeover_judge_copy(struct engine *e, uint64_t heard_ms_ago)
{
	ordered.heard_ms_ago = heard_ms_ago;
}

static bool takes_streams;

void
takeover_open(struct engine *e)
{
	takes_streams = true;
}

unsigned
rekey_waiting(const struct engine *e)
{
	return 0;
}

uint64_t
takeover_yielded(const struct engine *e)
{
	return 0;
}

static bool unreadable;

int
mirror_session_record(const struct mirror_session *m, struct session_record *r)
{
	memset(r, 0, sizeof *r);
	r->call.peer_call_id = 7;
	snprintf(r->identity.user, sizeof r->identity.user, "m\xffrrored");
	return unreadable ? -1 : 0;
}

void
session_record_wipe(struct session_record *r)
{
}

uint32_t
keygate_left(const struct keygate *g, uint32_t seq)
{
	return g->mark_seq;
}

const char *
session_end_name(enum session_end end)
{
	static char name[32];

	snprintf(name, sizeof name, "an-end-%d", (int)end);
	return name;
}

void
session_hangup(struct session *s, enum session_end end)
{
	hangups++;
}

const char *
engine_role_name(enum engine_role r)
{
	return "active";
}

void
priv_reload(struct priv *p, priv_done_fn *done, void *arg)
{
}

int
engine_promote(struct engine *e, uint64_t epoch, priv_done_fn *done, void *arg)
{
	return -1;
}

int
engine_demote(struct engine *e, uint64_t epoch, priv_done_fn *done, void *arg)
{
	return -1;
}

static const char *const states[] = {"wait-guard", "established", "closed"};
static const struct fsm_table table = {
    .name = "call", .states = states, .events = states, .n_states = 3, .n_events = 3};

static struct session *
add_session(uint16_t call_id, const char *user)
{
	struct session *s = calloc(1, sizeof *s);

	s->engine = &eng;
	s->call_id = call_id;
	s->id = UINT32_MAX / 4;
	s->dp = (struct dp_session *)s; /* never looked at */
	snprintf(s->identity.user, sizeof s->identity.user, "%s", user);
	fsm_init(&s->call, &table, CALL_ESTABLISHED);
	return eng.by_call[call_id] = s;
}

static int
setup(void **state)
{
	memset(&eng, 0, sizeof eng);
	eng.loop = loop_new_virtual();
	eng.by_call = calloc(65536, sizeof(struct session *));
	eng.copies = calloc(65536, sizeof *eng.copies);
	hangups = errors = 0;
	refuse = 0;
	unreadable = false;
	memset(&replica, 0, sizeof replica);
	memset(&ordered, 0, sizeof ordered);
	return 0;
}

static int
teardown(void **state)
{
	for (unsigned id = 0; id < 65536; id++)
		free(eng.by_call[id]);
	free(eng.by_call);
	free(eng.copies);
	loop_free(eng.loop);
	json_decref(answer);
	answer = NULL;
	return 0;
}

/* All pages of the list; each must fit into one line of the control socket. */
static unsigned
count_listed(json_int_t limit, unsigned *pages)
{
	json_t *args = json_pack("{s:i,s:I}", "after", 0, "limit", limit), *next;
	json_int_t last = 0;
	unsigned n = 0;
	size_t i;

	*pages = 0;
	do {
		json_t *list, *entry;

		cmd_sessions(NULL, args, &eng);
		assert_non_null(answer);
		assert_true(json_dumpb(answer, NULL, 0, JSON_COMPACT) < ANSWER_LINE_MAX - 256);
		list = json_object_get(answer, "sessions");
		assert_in_range(json_array_size(list), 1, limit);
		json_array_foreach(list, i, entry)
		{
			json_int_t id = json_integer_value(json_object_get(entry, "call"));

			assert_true(id > last);
			last = id;
			n++;
		}
		next = json_object_get(answer, "next");
		json_object_set(args, "after", next);
		++*pages;
	} while (!json_is_null(next));
	json_decref(args);
	return n;
}

static void
test_pages(void **state)
{
	unsigned pages;

	for (uint16_t i = 0; i < 250; i++)
		add_session((uint16_t)(1 + i * 262), "u");
	assert_int_equal(count_listed(20, &pages), 250);
	assert_int_equal(pages, 13);
}

/* A session of the copy that nobody but this gateway has, and one that the standby holds. */
static void
test_brief(void **state)
{
	static const char *const names[] = {"id", "call", "state", "user", "peer", "address", "up",
	    "age_ms", "mtu", "mppe", "rx_packets", "rx_octets", "tx_packets", "tx_octets",
	    "at_risk"};
	json_t *args = json_pack("{s:b}", "brief", 1), *list;

	add_session(1, "u")->replica.member = true;
	add_session(2, "v")->replica.member = true;
	eng.by_call[2]->replica.held = true;
	cmd_sessions(NULL, args, &eng);
	list = json_object_get(answer, "sessions");
	assert_int_equal(json_array_size(list), 2);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_non_null(json_object_get(json_array_get(list, 0), names[i]));
	assert_int_equal(json_object_size(json_array_get(list, 0)), sizeof names / sizeof names[0]);
	assert_true(json_is_true(json_object_get(json_array_get(list, 0), "at_risk")));
	assert_true(json_is_false(json_object_get(json_array_get(list, 1), "at_risk")));
	json_decref(args);
}

/* Every cause and reason is there from the beginning, so that a curve has no hole. */
static void
test_metrics(void **state)
{
	static const struct ip_list none;
	const json_t *drops, *totals;

	eng.pool = pool_new(&none);
	add_session(1, "u");
	eng.stats.failed[END_KICKED] = 3;
	eng.stats.ended[END_KICKED] = 4;
	eng.stats.carried.rx_octets = 1000;
	engine_count_setup(&eng.stats, 0);
	engine_count_setup(&eng.stats, 50);
	engine_count_setup(&eng.stats, 51);
	engine_count_setup(&eng.stats, 60000);
	control_metrics(NULL, NULL, &eng);
	pool_free(eng.pool);
	eng.pool = NULL;
	drops = json_object_get(json_object_get(answer, "data"), "drops");
	assert_int_equal(json_object_size(drops), DP_DROP_MAX);
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(answer, "data"), "rx_octets")),
	    0x7f7f7f7f7f7f7f - 1000);
	totals = json_object_get(answer, "totals");
	assert_int_equal(json_object_size(json_object_get(totals, "ended")), END_MAX - 1);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(totals, "failed"), session_end_name(END_KICKED))),
	    3);
	totals = json_object_get(json_object_get(totals, "setup"), "count");
	assert_int_equal(json_array_size(totals), SETUP_BUCKETS + 1);
	assert_int_equal(json_integer_value(json_array_get(totals, 0)), 2);
	assert_int_equal(json_integer_value(json_array_get(totals, 1)), 1);
	assert_int_equal(json_integer_value(json_array_get(totals, SETUP_BUCKETS)), 1);
}

/* Users with a domain of their own choice in front of their name, and a drop of every kind. */
static void
test_pages_of_long_names(void **state)
{
	char name[PPP_NAME_MAX];
	unsigned pages;

	memset(name, '\1', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	for (uint16_t i = 1; i <= 250; i++)
		add_session(i, name);
	assert_int_equal(count_listed(LIST_MAX, &pages), 250);
	assert_true(pages > 2);
}

/* A session before its login has no name: nobody's name fits it. */
static void
test_kick(void **state)
{
	json_t *nobody = json_pack("{s:s}", "user", ""), *u = json_pack("{s:s}", "user", "u");

	add_session(1, "");
	add_session(2, "u");
	cmd_kick(NULL, nobody, &eng);
	assert_null(answer);
	assert_int_equal(hangups, 0);
	cmd_kick(NULL, u, &eng);
	assert_int_equal(hangups, 1);
	json_decref(nobody);
	json_decref(u);
}

static void
test_suspects(void **state)
{
	json_t *o = json_pack("{s:[{s:I,s:s,s:s,s:[i]},{s:I,s:s,s:s,s:[i]}]}", "crashes", "at",
	    (json_int_t)wall_now_ms() - 9000, "node", "gw1", "cause", "hung", "ids", 77, "at",
	    (json_int_t)wall_now_ms() - 5000, "node", "gw2", "cause", "signal-6", "ids", 77);

	add_session(1, "u");
	add_session(2, "v");
	eng.by_call[1]->id = 76;
	eng.by_call[2]->id = 77;
	cmd_suspect(NULL, o, &eng);
	assert_int_equal(json_integer_value(json_object_get(answer, "crashes")), 2);
	assert_int_equal(json_integer_value(json_object_get(answer, "closed")), 1);
	assert_int_equal(eng.by_call[2]->end, END_SUSPECT);
	assert_int_not_equal(eng.by_call[1]->call.state, CALL_CLOSED);
	json_object_del(o, "crashes");
	errors = 0;
	cmd_suspect(NULL, o, &eng);
	assert_int_equal(errors, 1);
	json_decref(o);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* ---- the replica ---- */

static const char *
text(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static json_int_t
number_of(json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

/* A standby lists its copy, in the same shape as sessions, whatever the users are called. */
static void
test_the_copy_is_listed(void **state)
{
	struct mirror_session m = {
	    .id = 1ull << 62, .call_id = 9, .peer_ip = 1, .address = 0x0a080009, .stale = true};
	json_t *args = json_object(), *list, *mirrored, *served, *value;
	const char *key;

	add_session(8, "\xff")->replica.gate.mark_seq = 100;
	m.mark.open = KEYS_ODD;
	m.counters.tx_seq = 5;
	eng.copies[9] = &m;
	cmd_sessions(NULL, args, &eng);
	list = json_object_get(answer, "sessions");
	assert_int_equal(json_array_size(list), 2);
	served = json_array_get(list, 0);
	mirrored = json_array_get(list, 1);
	assert_string_equal(text(served, "state"), "established");
	assert_int_equal(number_of(json_object_get(served, "replica"), "mark_left"), 100);
	assert_string_equal(text(mirrored, "state"), "mirrored");
	assert_true(number_of(mirrored, "id") == 1ll << 62);
	assert_int_equal(number_of(mirrored, "call"), 9);
	assert_int_equal(number_of(mirrored, "peer_call"), 7);
	assert_int_equal(number_of(mirrored, "tx_seq"), 5);
	assert_string_equal(text(mirrored, "address"), "10.8.0.9");
	assert_string_equal(text(json_object_get(mirrored, "replica"), "classes"), "odd");
	assert_true(json_is_true(json_object_get(json_object_get(mirrored, "replica"), "stale")));
	json_object_foreach(served, key, value) assert_non_null(json_object_get(mirrored, key));
	assert_int_equal(json_object_size(served), json_object_size(mirrored));
	unreadable = true;
	cmd_sessions(NULL, args, &eng);
	assert_int_equal(json_array_size(json_object_get(answer, "sessions")), 1);
	json_decref(args);
}

static void
test_replica_status(void **state)
{
	json_t *o;

	replica = (struct replica_status){.wants = true,
	    .cut = 1ull << 51,
	    .peer = "gw2",
	    .snapshot_done = 4,
	    .snapshot_of = 5,
	    .shorts = 6,
	    .version = 2};
	eng.epoch = 12;
	cmd_replica(NULL, NULL, &eng);
	assert_int_equal(number_of(answer, "epoch"), 12);
	assert_non_null(text(answer, "role"));
	o = json_object_get(answer, "replica");
	assert_string_equal(text(o, "state"), "a-state");
	assert_string_equal(text(o, "peer"), "gw2");
	assert_true(json_is_true(json_object_get(o, "wants")));
	assert_true(json_is_false(json_object_get(o, "in_step")));
	assert_true(number_of(o, "cut") == 1ll << 51);
	assert_int_equal(number_of(json_object_get(o, "snapshot"), "of"), 5);
	assert_int_equal(number_of(o, "restoring"), 3);
	assert_int_equal(number_of(o, "shorts"), 6);
	assert_int_equal(number_of(o, "version"), 2);
	o = json_object_get(o, "handover");
	assert_string_equal(text(o, "state"), "relaying");
	assert_int_equal(number_of(o, "relayed"), 9);
	assert_int_equal(number_of(o, "ms"), 4);
}

static void
order(void (*cmd)(struct answer_request *r, json_t *args, void *arg), const char *args)
{
	json_t *o = json_loads(args, 0, NULL);

	assert_non_null(o);
	cmd(NULL, o, &eng);
	json_decref(o);
}

static void
test_orders(void **state)
{
	order(cmd_pair, "{\"clean\":true,\"epoch\":4}");
	assert_true(takes_streams && ordered.clean && ordered.epoch == 4);
	order(cmd_pair, "{\"epoch\":5}");
	assert_true(!ordered.clean && ordered.epoch == 5);
	order(cmd_stale, "{\"cut\":8,\"epoch\":3}");
	assert_true(ordered.cut == 8 && ordered.epoch == 3);
	order(cmd_solo, "{\"cut\":9}");
	assert_true(ordered.cut == 9);
	order(cmd_silent, "{\"cut\":10}");
	assert_true(ordered.cut == 10);
	assert_int_equal(errors, 0);
	refuse = EPERM;
	order(cmd_stale, "{}");
	assert_non_null(strstr(words, "higher epoch"));
	refuse = ESTALE;
	order(cmd_stale, "{}");
	assert_non_null(strstr(words, "did not hold"));
	order(cmd_solo, "{}");
	order(cmd_silent, "{}");
	assert_int_equal(errors, 4);
	errors = 0;
	order(cmd_promote, "{\"epoch\":5,\"heard_ms_ago\":2580}");
	assert_int_equal(ordered.heard_ms_ago, 2580);
	errors = 0;
}

/* A handover is answered when it is known what became of it. */
static void
test_handover(void **state)
{
	order(cmd_expect, "{\"epoch\":6,\"ms\":3000}");
	assert_true(ordered.epoch == 6 && ordered.cut == 3000);
	assert_int_equal(errors, 0);
	json_decref(answer);
	answer = NULL;
	order(cmd_handover, "{\"epoch\":6}");
	assert_null(answer);
	giving.done(giving.arg, HANDOVER_DONE, NULL);
	assert_int_equal(number_of(answer, "sessions"), 7);
	assert_int_equal(number_of(answer, "ms"), 4);
	order(cmd_handover, "{\"epoch\":6}");
	giving.done(giving.arg, HANDOVER_UNKNOWN, "nobody answered");
	assert_int_equal(errors, 1);
	assert_non_null(strstr(words, "nobody answered"));
	refuse = EAGAIN;
	order(cmd_handover, "{\"epoch\":6}");
	order(cmd_expect, "{\"epoch\":6}");
	assert_int_equal(errors, 3);
	assert_non_null(strstr(words, "for a reason"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_pages),
	    TEST(test_pages_of_long_names),
	    TEST(test_brief),
	    TEST(test_metrics),
	    TEST(test_kick),
	    TEST(test_suspects),
	    TEST(test_the_copy_is_listed),
	    TEST(test_replica_status),
	    TEST(test_orders),
	    TEST(test_handover),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
