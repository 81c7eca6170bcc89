/* -DSHARE=n: an nth of the work, for who runs a kernel often. */
#ifndef SHARE
#define SHARE 1
#endif
#define ROUNDS(n) ((n) / SHARE)
