/*
 * What a disk takes at all: threads that write pieces of a file, each durable when its call returns
 * (O_DSYNC), one piece behind the other and round again. The file was written before, so nothing is
 * allocated. No target can make writes of this size durable faster one by one.
 *
 * usage: synced FILE SPAN_MIB PIECE_BYTES THREADS SECONDS; prints pieces per second and the process's CPU in
 * microseconds for each.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int file;
static size_t span, piece;
static atomic_size_t next, done;
static atomic_bool stop;

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double seconds_of(struct timeval at) { return (double)at.tv_sec + (double)at.tv_usec / 1e6; }

static double processor(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static void *writer(void *data) {
  while (!stop) {
    size_t at = (atomic_fetch_add(&next, 1) * piece) % span;
    if (pwrite(file, data, piece, (off_t)at) != (ssize_t)piece) err(1, "write");
    atomic_fetch_add(&done, 1);
  }
  return NULL;
}

int main(int count, char **argument) {
  if (count != 6) errx(2, "usage: synced FILE SPAN_MIB PIECE_BYTES THREADS SECONDS");
  span = strtoul(argument[2], NULL, 10) << 20;
  piece = strtoul(argument[3], NULL, 10);
  unsigned long threads = strtoul(argument[4], NULL, 10);
  double seconds = strtod(argument[5], NULL);
  void *data = aligned_alloc(4096, piece);
  if (data == NULL || piece == 0 || span % piece != 0) errx(2, "pieces do not fit the span");
  memset(data, 7, piece);
  int plain = open(argument[1], O_RDWR | O_CREAT, 0600);
  file = open(argument[1], O_RDWR | O_DSYNC);
  if (plain < 0 || file < 0) err(1, "%s", argument[1]);
  for (size_t at = 0; at < span; at += piece)
    if (pwrite(plain, data, piece, (off_t)at) != (ssize_t)piece) err(1, "write");
  if (fsync(plain) != 0) err(1, "fsync");
  double used = processor(), start = now();
  for (unsigned long thread = 0; thread < threads; thread++) {
    pthread_t id;
    if (pthread_create(&id, NULL, writer, data) != 0) errx(1, "no thread");
  }
  usleep((useconds_t)(seconds * 1e6));
  size_t pieces = done;
  double took = now() - start;
  used = processor() - used;
  stop = true;
  printf("%.0f %.1f\n", (double)pieces / took, used * 1e6 / (double)pieces);
  return 0;
}
