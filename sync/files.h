/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Files for the set's modules: whole reads, synced writes, replacement by rename. Names are
 * relative to a folder's descriptor, and the last component of a name is never followed if it is a
 * symbolic link: some of these folders belong to a user that we do not trust. All return -1 with
 * errno.
 */
#ifndef SYNC_FILES_H
#define SYNC_FILES_H

#include <stddef.h>
#include <sys/stat.h>

/* A folder's descriptor; make != 0: it is made, with all above it, with that mode. */
int files_folder(const char *path, mode_t make);
/* The folder that path lies in, and in *name the rest of path. */
int files_parent(const char *path, mode_t make, const char **name);

/*
 * All of a regular file of at most max bytes: malloc'd, with a NUL after it; NULL with errno
 * (EFBIG, EINVAL: not a regular file). st may be NULL.
 */
char *files_read(int dir, const char *name, size_t max, size_t *len, struct stat *st);
/* A new file, which must not be there yet; written and synced. Gone again after a failure. */
int files_write(int dir, const char *name, const void *bytes, size_t len, mode_t mode);
/* The same over whatever is there, through "NAME.new" and a rename; the folder is synced. */
int files_replace(int dir, const char *name, const void *bytes, size_t len, mode_t mode);
/* Appends a line in one write, and syncs. */
int files_append(int dir, const char *name, const char *line, mode_t mode);
/* Empties a folder, also of its subfolders. 0 if there is none. */
int files_wipe(int dir, const char *name);

#endif
