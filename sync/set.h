/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sets of files on a gateway's disk: reading them, laying one out for rsync, taking one in, putting
 * it in place, and what is remembered about it. The state folder holds
 *   generation   our set's manifest, the last common generation, the last result (JSON)
 *   spool/       root's: the set that goes to the peer
 *   staging/     the pair user's: what came from the peer; wiped after every installation
 *   conflict/    root's: files that lost against the peer's, NAME.TIMESTAMP.conflict
 *   install      exists while a set is being put in place: what must be completed after a crash
 *   audit.log    root's: a JSON line for every transfer
 *   serve.log    the pair user's: a JSON line for every command of the peer
 *   set.lock, push.lock
 *   cluster.last the agent's: the last cluster.conf that it could read
 * Invariants: no byte from staging/ is used before its checksum was compared in our own memory; a
 * file that is put in place is whole; after store_recover() all files of a set are in place or
 * none.
 */
#ifndef SYNC_SET_H
#define SYNC_SET_H

#include <stdint.h>
#include <sys/types.h>

#include "sync/manifest.h"

#define STORE_STATE     "generation"
#define STORE_MANIFEST  "manifest.json"
#define STORE_STAGING   "staging"
#define STORE_SPOOL     "spool"
#define STORE_CONFLICT  "conflict"
#define STORE_SERVE_LOG "serve.log"

/* What went wrong: a code for programs, a text for people (lines, the last without its '\n'). */
struct set_problem {
	const char *code; /* "invalid", "incomplete", "disk-full", "stale", "busy", "internal", … */
	char text[2048];
};
/* Anything but ASCII becomes `?`, so that a text may stand in JSON whatever it quotes. */
void set_ascii(char *text);
/* Fills p, with set_ascii(); returns -1. */
int set_problem(struct set_problem *p, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same from errno, about the file NAME of a folder. */
int store_problem(struct set_problem *p, const char *folder, const char *name);

struct store {
	const char *root;  /* "" = none; stands before the paths of a set */
	const char *state; /* the state folder, with the root */
	const char *node;  /* ours */
};

struct set_state {
	struct set current;       /* without bytes; n = 0: nothing yet */
	struct generation common; /* the last that both nodes had */
	int64_t common_at;        /* seconds since 1970; 0 = never */
	/* A set of the peer's that was refused for what it says: not worth another transfer. */
	struct generation refused;
	char refused_text[512];
	/* The last transfer, for status. All texts here are ASCII. */
	char last_direction[4], last_result[24], last_text[512];
	int64_t last_at;
};

/*
 * The folders, root's but for staging/ and serve.log, which become uid's and gid's; an interrupted
 * installation is completed or undone, staging/ is wiped. 0 or -1 with *p.
 */
int store_prepare(const struct store *s, uid_t uid, gid_t gid, struct set_problem *p);
/* Waits for the lock NAME of the state folder: a descriptor to close, or -1 with *p. */
int store_lock(const struct store *s, const char *name, int timeout_ms, struct set_problem *p);

/* No state yet is an empty one. A state that cannot be read is a failure. */
int store_load(const struct store *s, struct set_state *state, struct set_problem *p);
int store_save(const struct store *s, const struct set_state *state, struct set_problem *p);
/* The state as it is stored: malloc'd, NULL with errno. */
char *store_state_text(const struct set_state *state);

/*
 * Reads the files that set->files[0..n) names, below the root: bytes, size, checksum, and mode
 * unless it is given already (not 0). Sorts them. 0 or -1 with *p. missing_ok: a file that is not
 * there is left out.
 */
int store_scan(const struct store *s, struct set *set, bool missing_ok, struct set_problem *p);
/*
 * If scanned differs from state->current it becomes it, with a generation above all that this node
 * has seen. True if so; the caller saves the state.
 */
bool store_note_change(
    const struct store *s, struct set_state *state, const struct set *scanned, uint64_t epoch);

/* Lays the set out in spool/, manifest.json last. */
int store_spool(const struct store *s, const struct set *set, struct set_problem *p);
/*
 * Reads staging/: manifest and files, with checksums compared. "incomplete" when there is no whole
 * set. Wiping it is the caller's.
 */
int store_staged(const struct store *s, struct set *set, struct set_problem *p);
int store_wipe(const struct store *s, const char *folder, struct set_problem *p);

/*
 * Puts all files of the set in place, modes as in its manifest, and makes it the current and common
 * one of the state, which is saved. 0, or -1 with *p and all old files in place; if a rename fails,
 * with a journal, so that store_recover() goes on with them.
 */
int store_install(
    const struct store *s, const struct set *set, struct set_state *state, struct set_problem *p);
/* Completes an installation that was interrupted after its point of no return, undoes one before.
 */
int store_recover(const struct store *s, struct set_problem *p);
/*
 * Copies the files of ours that differ from theirs to conflict/. names: gets a new array of their
 * names there.
 */
int store_keep(const struct store *s, const struct set *ours, const struct set *theirs, int64_t now,
    json_t **names, struct set_problem *p);

/* text is ASCII. Appends a line about a transfer; direction "in" or "out". files of set may be
 * none. */
int store_audit(const struct store *s, const char *direction, const char *peer,
    const struct set *set, const char *result, const char *text, int64_t ms);

#endif
