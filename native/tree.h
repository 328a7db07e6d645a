/* Reaching into a tree that a container or an image controls: only from a root's descriptor, only by openat2. */
#ifndef NARU_TREE_H
#define NARU_TREE_H

#include "base.h"

/* The object at path below root, symlinks resolved inside it: a descriptor or -errno. */
int in_root(int root, const char *path, u64 flags);
/* The directory that holds path's last component, which *name points to. */
int in_root_parent(int root, const char *path, const char **name);
/* Creates what is missing of path: directories 0755 and, last, a directory or an empty file of `mode`. Follows symlinks,
 * dangling ones too, inside root. */
int make_in_root(int root, const char *path, int directory, u32 mode);
/* Copies the content of directory `from` into directory `to`: ownership, modes, times, extended attributes. */
int copy_tree(int from, int to, int depth);

#endif
