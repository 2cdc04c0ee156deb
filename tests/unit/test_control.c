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

static struct engine eng;
static json_t *answer; /* the last one; NULL = an error */
static unsigned hangups;

void
answer_ok(struct answer_request *r, json_t *data)
{
	json_decref(answer);
	answer = data;
}

void
answer_error(struct answer_request *r, const char *code, const char *fmt, ...)
{
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
ppp_get_state(const struct ppp *p, struct ppp_state *s)
{
	memset(s, 0, sizeof *s);
}

const char *
session_end_name(enum session_end end)
{
	return "end";
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
	hangups = 0;
	return 0;
}

static int
teardown(void **state)
{
	for (unsigned id = 0; id < 65536; id++)
		free(eng.by_call[id]);
	free(eng.by_call);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_pages),
	    TEST(test_pages_of_long_names),
	    TEST(test_kick),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
