/* link: common */
/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The directive table, the checked conversions, and the exact words of the messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/conf.h"

struct settings {
	bool debug;
	unsigned mtu;
	char *name;
	uint32_t local;
	unsigned sum;
};

static int
parse_pair(const struct conf_line *l, void *target)
{
	struct settings *s = target;
	unsigned a, b;

	if (conf_parse_uint(l->args[0], 0, 9, &a) < 0 ||
	    conf_parse_uint(l->args[1], 0, 9, &b) < 0) {
		conf_error(l->errors, l->file, l->line, "%s: no pair", l->name);
		return -1;
	}
	s->sum += a + b;
	return 0;
}

static const struct conf_row rows[] = {
    {.name = "debug", .type = CONF_FLAG, .offset = offsetof(struct settings, debug)},
    {.name = "mtu",
	.type = CONF_UINT,
	.offset = offsetof(struct settings, mtu),
	.min = 128,
	.max = 16384},
    {.name = "name", .type = CONF_STRING, .offset = offsetof(struct settings, name)},
    {.name = "localip", .type = CONF_IPV4, .offset = offsetof(struct settings, local)},
    {.name = "gateway",
	.type = CONF_IPV4,
	.offset = offsetof(struct settings, local),
	.want = "the gateway's address"},
    {.name = "pair", .type = CONF_CUSTOM, .n_args = 2, .parse = parse_pair, .repeatable = true},
    {.name = "lock", .type = CONF_IGNORED},
    {.name = "asyncmap", .type = CONF_IGNORED, .n_args = 1},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

struct test {
	struct settings settings;
	struct conf_errors errors;
	unsigned line;
};

/* Applies up to two words to the directive; the line number counts the calls. */
static const struct conf_row *
apply(struct test *t, const char *name, const char *a, const char *b)
{
	const char *args[] = {a, b};
	struct conf_line l = {
	    .file = "f.conf",
	    .line = ++t->line,
	    .name = name,
	    .args = args,
	    .n_args = (size_t)(a != NULL) + (b != NULL),
	    .errors = &t->errors,
	};

	return conf_apply(rows, N_ROWS, &t->settings, &l);
}

static void
finish(struct test *t, unsigned errors, unsigned warnings, const char *text)
{
	assert_int_equal(t->errors.errors, errors);
	assert_int_equal(t->errors.warnings, warnings);
	if (text != NULL)
		assert_string_equal(t->errors.text, text);
	else
		assert_null(t->errors.text);
	conf_errors_fini(&t->errors);
	assert_null(t->errors.text);
	assert_int_equal(t->errors.errors, 0);
	free(t->settings.name);
}

static void
test_good(void **state)
{
	struct test t = {0};

	assert_ptr_equal(apply(&t, "debug", NULL, NULL), &rows[0]);
	assert_ptr_equal(apply(&t, "mtu", "1400", NULL), &rows[1]);
	assert_ptr_equal(apply(&t, "name", "pptpd", NULL), &rows[2]);
	assert_ptr_equal(apply(&t, "localip", "10.8.0.1", NULL), &rows[3]);
	assert_ptr_equal(apply(&t, "pair", "3", "4"), &rows[5]);
	assert_ptr_equal(apply(&t, "pair", "1", "1"), &rows[5]);
	assert_ptr_equal(apply(&t, "lock", NULL, NULL), &rows[6]);
	assert_ptr_equal(apply(&t, "lock", NULL, NULL), &rows[6]);
	assert_ptr_equal(apply(&t, "asyncmap", "0", NULL), &rows[7]);
	assert_true(t.settings.debug);
	assert_int_equal(t.settings.mtu, 1400);
	assert_string_equal(t.settings.name, "pptpd");
	assert_int_equal(t.settings.local, 0x0a080001);
	assert_int_equal(t.settings.sum, 9);
	finish(&t, 0, 0, NULL);
}

static void
test_bad(void **state)
{
	struct test t = {.settings = {.mtu = 7, .local = 9}};

	assert_null(apply(&t, "mtu", "127", NULL));
	assert_null(apply(&t, "mtu", "12x", NULL));
	assert_null(apply(&t, "mtu", NULL, NULL));
	assert_null(apply(&t, "name", "a", "b"));
	assert_null(apply(&t, "debug", "yes", NULL));
	assert_null(apply(&t, "localip", "10.8.0.256", NULL));
	assert_null(apply(&t, "gateway", "x\n", NULL));
	assert_null(apply(&t, "gateway", NULL, NULL));
	assert_null(apply(&t, "pair", "10", "1"));
	assert_null(apply(&t, "asyncmap", NULL, NULL));
	assert_null(apply(&t, "bo\"gus", NULL, NULL));
	assert_int_equal(t.settings.mtu, 7);
	assert_int_equal(t.settings.local, 9);
	assert_false(t.settings.debug);
	assert_null(t.settings.name);
	finish(&t, 11, 0,
	    "f.conf:1: mtu: got \"127\", want 128..16384\n"
	    "f.conf:2: mtu: got \"12x\", want 128..16384\n"
	    "f.conf:3: mtu: got 0 arguments, want 1\n"
	    "f.conf:4: name: got 2 arguments, want 1\n"
	    "f.conf:5: debug: got 1 arguments, want 0\n"
	    "f.conf:6: localip: got \"10.8.0.256\", want an IPv4 address\n"
	    "f.conf:7: gateway: got \"x\\x0a\", want the gateway's address\n"
	    "f.conf:8: gateway: got 0 arguments, want 1: the gateway's address\n"
	    "f.conf:9: pair: no pair\n"
	    "f.conf:10: asyncmap: got 0 arguments, want 1\n"
	    "f.conf:11: unknown directive \"bo\\x22gus\"\n");
}

static void
test_repeat(void **state)
{
	struct test t = {0};
	struct settings other = {0};
	const char *args[] = {"1500"};
	struct conf_line l = {"g.conf", 1, "mtu", args, 1, &t.errors};

	apply(&t, "name", "a", NULL);
	apply(&t, "mtu", "1400", NULL);
	assert_non_null(apply(&t, "name", "b", NULL));
	assert_non_null(conf_apply(rows, N_ROWS, &other, &l)); /* another target: no repeat */
	assert_string_equal(t.settings.name, "b");
	assert_int_equal(t.settings.mtu, 1400);
	assert_int_equal(other.mtu, 1500);
	finish(&t, 0, 1, "f.conf:3: warning: name: given again, the last one wins\n");
}

static void
test_messages(void **state)
{
	struct test t = {0};

	conf_error(&t.errors, "a", 0, "no line %d", 1);
	conf_warning(&t.errors, "b", 12, "%s", "odd");
	assert_int_equal(t.errors.len, strlen(t.errors.text));
	finish(&t, 1, 1, "a: no line 1\nb:12: warning: odd\n");
}

static void
test_uint(void **state)
{
	static const char *const invalid[] = {
	    "", "-1", "+1", " 1", "1 ", "0x10", "1.0", "a", "\xb2"};
	unsigned v = 77;

	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		assert_int_equal(conf_parse_uint(invalid[i], 0, UINT_MAX, &v), -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(conf_parse_uint("4294967296", 0, UINT_MAX, &v), -1);
	assert_int_equal(errno, ERANGE);
	/* 2^64 + 5 */
	assert_int_equal(conf_parse_uint("18446744073709551621", 0, UINT_MAX, &v), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(conf_parse_uint("4", 5, 9, &v), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(conf_parse_uint("10", 5, 9, &v), -1);
	assert_int_equal(v, 77);
	assert_int_equal(conf_parse_uint("5", 5, 9, &v), 0);
	assert_int_equal(v, 5);
	assert_int_equal(conf_parse_uint("009", 5, 9, &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(conf_parse_uint("4294967295", 0, UINT_MAX, &v), 0);
	assert_true(v == UINT_MAX);
}

static void
test_ipv4(void **state)
{
	static const char *const invalid[] = {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4 ",
	    " 1.2.3.4", "1.2.3.", "1..3.4", "0x1.2.3.4", "1.2.3.-4", "a.b.c.d", "16909060"};
	uint32_t v = 77;
	const char *a, *b;

	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		assert_int_equal(conf_parse_ipv4(invalid[i], &v), -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(v, 77);
	assert_int_equal(conf_parse_ipv4("1.2.3.4", &v), 0);
	assert_int_equal(v, 0x01020304);
	assert_int_equal(conf_parse_ipv4("255.255.255.255", &v), 0);
	assert_true(v == UINT32_MAX);
	a = conf_ipv4(0x0a080001);
	b = conf_ipv4(UINT32_MAX);
	assert_string_equal(a, "10.8.0.1");
	assert_string_equal(b, "255.255.255.255");
	for (int i = 0; i < 6; i++)
		conf_ipv4(0);
	assert_string_equal(a, "10.8.0.1");
}

static int
file_with(const char *content, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, len), (ssize_t)len);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void
test_read_fd(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};
	char *content = malloc(100000), *text;
	size_t len = 99;
	int fd;

	assert_non_null(content);
	for (size_t i = 0; i < 100000; i++)
		content[i] = (char)('a' + i % 26);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fd = file_with(content, sizes[i]);
		text = conf_read_fd(fd, &len);
		assert_non_null(text);
		assert_int_equal(len, sizes[i]);
		assert_memory_equal(text, content, len);
		assert_int_equal(text[len], '\0');
		free(text);
		close(fd);
	}
	fd = file_with("a\0b", 3);
	assert_null(conf_read_fd(fd, &len));
	assert_int_equal(errno, EINVAL);
	close(fd);
	assert_null(conf_read_fd(-1, &len));
	assert_int_equal(errno, EBADF);
	free(content);
}

static void
test_read_fd_bound(void **state)
{
	size_t max = (size_t)16 << 20, len;
	char *content = malloc(max + 1), *text;
	int fd;

	assert_non_null(content);
	memset(content, 'x', max + 1);
	fd = file_with(content, max);
	text = conf_read_fd(fd, &len);
	assert_non_null(text);
	assert_int_equal(len, max);
	free(text);
	close(fd);
	fd = file_with(content, max + 1);
	assert_null(conf_read_fd(fd, &len));
	assert_int_equal(errno, EFBIG);
	close(fd);
	free(content);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_repeat),
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_uint),
	    cmocka_unit_test(test_ipv4),
	    cmocka_unit_test(test_read_fd),
	    cmocka_unit_test(test_read_fd_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
