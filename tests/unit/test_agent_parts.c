/* link: hagentcore */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The agent's smaller parts: journal, epoch, peer, ARP packets, children.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hagent/arp.h"
#include "hagent/child.h"
#include "hagent/epoch.h"
#include "hagent/journal.h"
#include "hagent/peer.h"

static char folder[64], path[96];

static int
setup(void **state)
{
	strcpy(folder, "/tmp/agent-parts-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
	return 0;
}

static int
teardown(void **state)
{
	char more[128];

	unlink(path);
	snprintf(more, sizeof(more), "%s.1", path);
	unlink(more);
	return rmdir(folder);
}

static void
write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* ---- journal ---- */

static void
test_time(void **state)
{
	char text[25];

	journal_time(1795238311123, text);
	assert_string_equal(text, "2026-11-21T05:18:31.123Z");
	assert_true(journal_unix_ms(text) == 1795238311123);
	journal_time(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	assert_true(journal_unix_ms("2026-11-21T05:18:31Z") == -1);
	assert_true(journal_unix_ms("2026-11-21T05:18:31.123Z ") == -1);
	assert_true(journal_unix_ms("") == -1 && journal_unix_ms(NULL) == -1);
}

static void
test_journal_lines(void **state)
{
	struct journal j;
	struct stat st;
	char line[256];
	FILE *f;

	assert_int_equal(journal_open(&j, path), 0);
	journal_add(&j, json_pack("{s:s,s:i,s:s}", "kind", "step", "id", 7, "step", "gate-open"));
	journal_event(&j, "keepalived-died", "a \"quoted\"\nline, byte %c", 0xff);
	journal_close(&j);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	f = fopen(path, "r");
	assert_non_null(fgets(line, sizeof(line), f));
	assert_int_equal(strncmp(line, "{\"time\":\"20", 11), 0);
	assert_non_null(strstr(line, "Z\",\"kind\":\"step\",\"id\":7,\"step\":\"gate-open\"}\n"));
	fclose(f);
	json_t *all = journal_tail(path, 10);
	assert_int_equal(json_array_size(all), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(all, 1), "detail")),
	    "a \"quoted\"\nline, byte ?");
	assert_true(journal_unix_ms(
			json_string_value(json_object_get(json_array_get(all, 0), "time"))) > 0);
	json_decref(all);
}

/* For who must not wait for the disk: also where there is none. */
static void
test_journal_recent(void **state)
{
	struct journal j;
	json_t *list, *line = json_pack("{s:s,s:i}", "kind", "step", "id", 0);

	assert_int_equal(journal_open(&j, "/proc/no/such/folder/journal"), -1);
	list = journal_recent(&j, 5);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	journal_remember(&j, line); /* of an earlier agent */
	json_decref(line);
	for (int i = 1; i <= JOURNAL_RECENT + 10; i++)
		journal_add(&j, json_pack("{s:s,s:i}", "kind", "step", "id", i));
	list = journal_recent(&j, 1000);
	assert_int_equal(json_array_size(list), JOURNAL_RECENT);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "id")), 11);
	json_decref(list);
	list = journal_recent(&j, 2);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "id")),
	    JOURNAL_RECENT + 10);
	assert_true(journal_unix_ms(
			json_string_value(json_object_get(json_array_get(list, 1), "time"))) > 0);
	json_decref(list);
	assert_int_equal(j.lost, JOURNAL_RECENT + 10);
	journal_close(&j);
}

static void
test_journal_tail(void **state)
{
	json_t *all = journal_tail(path, 10);

	assert_int_equal(json_array_size(all), 0); /* no file */
	json_decref(all);
	write_file("{\"n\":1}\nnot json\n\n[1]\n{\"n\":2}\n{\"n\":3}\n{\"n\":4");
	all = journal_tail(path, 2);
	assert_int_equal(json_array_size(all), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 0), "n")), 2);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 1), "n")), 3);
	json_decref(all);
	assert_null(journal_tail(folder, 2));
}

/* What was there before is kept, beyond the bound as `.1`; of a long file the end is read. */
static void
test_journal_rotates(void **state)
{
	struct journal j;
	struct stat st;
	char old[128];
	FILE *f = fopen(path, "w");

	for (int i = 0; i < JOURNAL_FILE_MAX / 16 + 1; i++)
		fprintf(f, "{\"number\":%4d}\n", i % 10000);
	fclose(f);
	json_t *all = journal_tail(path, 3);
	assert_int_equal(json_array_size(all), 3);
	json_decref(all);
	assert_int_equal(journal_open(&j, path), 0);
	journal_event(&j, "first", "line of the new file");
	journal_close(&j);
	snprintf(old, sizeof(old), "%s.1", path);
	assert_int_equal(stat(old, &st), 0);
	assert_true(st.st_size >= JOURNAL_FILE_MAX);
	all = journal_tail(path, 10);
	assert_int_equal(json_array_size(all), 1);
	json_decref(all);
}

static void
test_journal_full_disk(void **state)
{
	struct journal j;

	assert_int_equal(journal_open(&j, "/dev/full"), 0);
	journal_event(&j, "lost", "1");
	journal_event(&j, "lost", "2");
	assert_true(j.failing);
	assert_int_equal(j.lost, 2);
	close(j.fd);
	j.fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	journal_event(&j, "kept", "3");
	assert_false(j.failing);
	journal_close(&j);
	json_t *all = journal_tail(path, 10);
	assert_int_equal(json_array_size(all), 1);
	json_decref(all);
}

/* ---- epoch ---- */

static void
test_epoch_parse(void **state)
{
	static const char *const bad[] = {"", "7", "7 \n", "7 gw1", " 7 gw1\n", "-7 gw1\n",
	    "x gw1\n", "7  gw1\n", "7 gw1 \n", "7 gw1\nmore", "9223372036854775808 gw1\n",
	    "99999999999999999999 gw1\n", "7 a234567890123456789012345678901234\n"};
	struct epoch e;

	assert_int_equal(epoch_parse("7 gw1\n", &e), 0);
	assert_int_equal(e.counter, 7);
	assert_string_equal(e.node, "gw1");
	assert_int_equal(epoch_parse("9223372036854775807 gw1\n", &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		if (epoch_parse(bad[i], &e) == 0 || errno != EBADMSG)
			fail_msg("accepted \"%s\"", bad[i]);
	}
}

static void
test_epoch_order(void **state)
{
	struct epoch low = {7, "gw1"}, high = {8, "gw1"}, other = {7, "gw2"};

	assert_int_equal(epoch_compare(&low, &low), 0);
	assert_int_equal(epoch_compare(&low, &high), -1);
	assert_int_equal(epoch_compare(&high, &low), 1);
	assert_int_equal(epoch_compare(&low, &other), 1);
	assert_int_equal(epoch_compare(&other, &low), -1);
	assert_int_equal(epoch_compare(&high, &other), 1);
}

static void
test_epoch_file(void **state)
{
	struct epoch e = {9, "x"}, back;
	struct stat st;

	assert_int_equal(epoch_read(path, &e), 0); /* missing: 0 of nobody */
	assert_int_equal(e.counter, 0);
	assert_string_equal(e.node, "");
	e = (struct epoch){12, "gw2"};
	assert_int_equal(epoch_write(path, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(epoch_read(path, &back), 0);
	assert_int_equal(epoch_compare(&e, &back), 0);
	write_file("12 gw2"); /* a write that was cut */
	assert_int_equal(epoch_read(path, &back), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(epoch_write("/nowhere/epoch", &e), -1);
	assert_int_equal(errno, ENOENT);
}

/* ---- peer ---- */

#define WALL_MS INT64_C(1700000000000)

static json_t *
report(const char *text)
{
	json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	return o;
}

static int
tell(struct peer *p, const char *text, uint64_t now_ms)
{
	json_t *o = report(text);
	int result = peer_report(p, o, now_ms, WALL_MS);

	json_decref(o);
	return result;
}

#define HELLO                                                                                      \
	"\"hello\":{\"version\":\"0.1.0\",\"node\":\"gw2\",\"epoch\":5,\"epoch_node\":\"gw1\","    \
	"\"role\":\"standby\",\"health\":\"note\",\"moves\":1}"

static void
test_peer(void **state)
{
	struct peer p;

	peer_init(&p);
	assert_false(peer_fresh(&p, 1000));
	assert_int_equal(p.fault, HEALTH_HARD);
	assert_int_equal(tell(&p, "{\"path\":\"sync\",\"up\":true," HELLO "}", 1000), 0);
	assert_true(peer_fresh(&p, 1000 + PEER_FRESH_MS));
	assert_false(peer_fresh(&p, 1001 + PEER_FRESH_MS));
	assert_true(peer_standby(&p));
	assert_false(peer_active(&p));
	assert_int_equal(p.fault, HEALTH_NOTE);
	assert_int_equal(p.epoch.counter, 5);
	assert_string_equal(p.epoch.node, "gw1");
	/* an older version: it may have moved just now */
	assert_int_equal(flap_count(&p.moves, WALL_MS), 1);
	assert_true(p.able);
	/* one path is enough, and a path that says that it is down is down at once */
	tell(&p, "{\"path\":\"lan\",\"up\":true," HELLO "}", 1100);
	tell(&p, "{\"path\":\"sync\",\"up\":false,\"error\":\"cut\"}", 1101);
	assert_true(peer_fresh(&p, 1110));
	tell(&p, "{\"path\":\"lan\",\"up\":false,\"error\":\"cut\"}", 1120);
	assert_false(peer_fresh(&p, 1121));
	assert_true(peer_standby(&p)); /* as last heard */
	json_t *o = peer_json(&p, 2000);
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(json_object_get(o, "paths"), "sync"), "error")),
	    "cut");
	json_decref(o);
}

/* How often it moved is told by ages: clocks may differ. */
static void
test_peer_flaps(void **state)
{
	struct peer p;

	peer_init(&p);
	tell(&p,
	    "{\"path\":\"sync\",\"up\":true,\"hello\":{\"version\":\"0.1.0\",\"node\":\"gw2\","
	    "\"epoch\":5,\"role\":\"active\",\"health\":\"hard\",\"moves\":2,\"moved_s\":[500,20],"
	    "\"able\":true,\"rides\":true,\"held\":false,\"hold\":\"serves on\"}}",
	    1000);
	assert_int_equal(flap_count(&p.moves, WALL_MS), 2);
	assert_int_equal(flap_count(&p.moves, WALL_MS + 100000), 1);
	assert_true(p.rides && p.able && !p.held);
	assert_string_equal(p.hold, "serves on");
}

static void
test_peer_nonsense(void **state)
{
	static const char *const bad[] = {"{}", "{\"path\":\"sync\"}", "{\"up\":true}",
	    "{\"path\":\"moon\",\"up\":true," HELLO "}", "{\"path\":\"sync\",\"up\":1," HELLO "}",
	    "{\"path\":\"sync\",\"up\":true}", "{\"path\":\"sync\",\"up\":true,\"hello\":{}}",
	    "{\"path\":\"sync\",\"up\":true,\"hello\":{\"version\":\"1\",\"node\":\"a b\","
	    "\"epoch\":5,\"role\":\"active\"}}",
	    "{\"path\":\"sync\",\"up\":true,\"hello\":{\"version\":\"1\",\"node\":\"gw2\","
	    "\"epoch\":-5,\"role\":\"active\"}}",
	    "{\"path\":\"sync\",\"up\":true,\"hello\":{\"version\":\"1\",\"node\":\"gw2\","
	    "\"epoch\":5,\"role\":\"12345678901234567\"}}"};
	struct peer p;

	peer_init(&p);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (tell(&p, bad[i], 1000) == 0 || errno != EBADMSG)
			fail_msg("accepted %s", bad[i]);
	}
	assert_false(peer_fresh(&p, 1000));
	assert_string_equal(p.node, "");
	/* one who does not say how he is, is not well */
	assert_int_equal(tell(&p,
			     "{\"path\":\"wan\",\"up\":true,\"hello\":{\"version\":\"1\","
			     "\"node\":\"gw2\",\"epoch\":5,\"role\":\"active\"}}",
			     1000),
	    0);
	assert_int_equal(p.fault, HEALTH_HARD);
	assert_string_equal(p.epoch.node, "gw2");
}

/* ---- ARP ---- */

static void
test_arp_packet(void **state)
{
	/* RFC 826, RFC 5227 §2.3: Ethernet, IPv4, 6, 4, request, sender, target */
	static const uint8_t want[ARP_PACKET_LEN] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 1, 1, 198,
	    51, 100, 10, 0, 0, 0, 0, 0, 0, 198, 51, 100, 10};
	static const uint8_t mac[NET_MAC_LEN] = {2, 0, 0, 0, 1, 1};
	uint8_t got[ARP_PACKET_LEN];

	arp_packet(mac, 0xc633640a, got);
	assert_memory_equal(got, want, sizeof(want));
}

/* ---- children ---- */

struct outcome {
	struct loop *loop;
	int status;
	bool cut, over;
	char output[64];
	size_t len;
};

static void
on_done(void *arg, const struct child_result *r)
{
	struct outcome *o = arg;

	o->status = r->status;
	o->cut = r->cut;
	o->over = true;
	o->len = r->output_len;
	snprintf(o->output, sizeof(o->output), "%.60s", r->output);
	loop_stop(o->loop);
}

static struct outcome
run_child(const char *const *argv, unsigned deadline_ms)
{
	static struct child c;
	struct outcome o = {.loop = loop_new()};

	assert_int_equal(child_run(&c, o.loop, argv, deadline_ms, on_done, &o), 0);
	assert_true(child_running(&c));
	assert_int_equal(child_run(&c, o.loop, argv, deadline_ms, on_done, &o), -1);
	assert_int_equal(errno, EBUSY);
	loop_run(o.loop);
	assert_true(o.over);
	assert_false(child_running(&c));
	loop_free(o.loop);
	return o;
}

static void
test_child(void **state)
{
	const char *const good[] = {"sh", "-c", "echo out; echo err >&2; exit 3", NULL};
	const char *const missing[] = {"/nowhere/program", NULL};
	const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL};
	const char *const talks[] = {"sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x", NULL};
	struct outcome o = run_child(good, 5000);

	assert_int_equal(o.status, 3);
	assert_string_equal(o.output, "out\nerr\n");
	o = run_child(missing, 5000);
	assert_int_equal(o.status, 127);
	assert_string_equal(o.output, "/nowhere/program: No such file or directory");
	o = run_child(killed, 5000);
	assert_int_equal(o.status, 128 + SIGKILL);
	assert_false(o.cut);
	o = run_child(talks, 5000);
	assert_int_equal(o.status, 0);
	assert_int_equal(o.len, CHILD_OUTPUT_MAX);
}

/* Its own child keeps the pipe open and is killed with it. */
static void
test_child_is_cut(void **state)
{
	const char *const hangs[] = {"sh", "-c", "echo $$; sleep 1000 & sleep 1000", NULL};
	struct outcome o = run_child(hangs, 100);

	assert_true(o.cut);
	assert_int_equal(o.status, -1);
	pid_t group = (pid_t)atoi(o.output);
	assert_true(group > 1);
	for (int i = 0; i < 200 && kill(-group, 0) == 0; i++)
		usleep(10000);
	assert_int_equal(kill(-group, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static int
say_and_return(void *arg)
{
	printf("%s", (const char *)arg);
	fprintf(stderr, "!");
	return 5;
}

static void
test_child_function(void **state)
{
	static struct child c;
	static char word[] = "function";
	struct outcome o = {.loop = loop_new()};

	assert_int_equal(child_call(&c, o.loop, say_and_return, word, 5000, on_done, &o), 0);
	loop_run(o.loop);
	assert_int_equal(o.status, 5);
	assert_true(strcmp(o.output, "!function") == 0 || strcmp(o.output, "function!") == 0);
	loop_free(o.loop);
}

static void
test_child_is_forgotten(void **state)
{
	static struct child c;
	const char *const hangs[] = {"sleep", "1000", NULL};
	struct outcome o = {.loop = loop_new()};

	assert_int_equal(child_run(&c, o.loop, hangs, 5000, on_done, &o), 0);
	pid_t pid = c.pid;
	child_fini(&c);
	child_fini(&c);
	assert_false(o.over);
	loop_free(o.loop);
	for (int i = 0; i < 200 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		usleep(10000);
	assert_int_equal(kill(pid, 0), -1);
}

#define FILE_TEST(x) cmocka_unit_test_setup_teardown(x, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_time),
	    FILE_TEST(test_journal_lines),
	    cmocka_unit_test(test_journal_recent),
	    FILE_TEST(test_journal_tail),
	    FILE_TEST(test_journal_rotates),
	    FILE_TEST(test_journal_full_disk),
	    cmocka_unit_test(test_epoch_parse),
	    cmocka_unit_test(test_epoch_order),
	    FILE_TEST(test_epoch_file),
	    cmocka_unit_test(test_peer),
	    cmocka_unit_test(test_peer_flaps),
	    cmocka_unit_test(test_peer_nonsense),
	    cmocka_unit_test(test_arp_packet),
	    cmocka_unit_test(test_child),
	    cmocka_unit_test(test_child_is_cut),
	    cmocka_unit_test(test_child_function),
	    cmocka_unit_test(test_child_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
