/*
 * What loopback carries at all: a process that sends pieces of memory when it is asked for them, and one
 * that asks and receives, a number of requests ahead, with nothing else done to the bytes. No target can
 * serve reads faster over the same kernel.
 *
 * usage: loopback SPAN_MIB PIECE_BYTES DEPTH SECONDS; prints pieces per second and the sender's CPU in
 * microseconds for each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST = 48 };

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double seconds_of(struct timeval at) { return (double)at.tv_sec + (double)at.tv_usec / 1e6; }

static void serve(int listener, size_t span, size_t piece) {
  int peer = accept(listener, NULL, NULL);
  int one = 1;
  setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  char *memory = mmap(NULL, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (peer < 0 || memory == MAP_FAILED) err(1, "serving");
  memset(memory, 7, span);
  char requests[REQUEST * 64];
  size_t at = 0;
  for (ssize_t got; (got = read(peer, requests, sizeof requests)) > 0;) {
    for (ssize_t each = 0; each < got / REQUEST; each++) {
      for (size_t sent = 0; sent < piece;) {
        ssize_t some = send(peer, memory + at + sent, piece - sent, MSG_NOSIGNAL);
        if (some < 0) return;
        sent += (size_t)some;
      }
      at = (at + piece) % span;
    }
  }
}

static long receive(int peer, size_t piece, int depth, double seconds) {
  char request[REQUEST] = {0};
  char *buffer = malloc(piece);
  if (buffer == NULL) err(1, "memory");
  for (int each = 0; each < depth; each++)
    if (write(peer, request, REQUEST) != REQUEST) err(1, "asking");
  long pieces = 0;
  size_t have = 0;
  for (double end = now() + seconds; have > 0 || pieces == 0 || now() < end;) {
    ssize_t got = recv(peer, buffer, piece - have, 0);
    if (got <= 0) err(1, "receiving");
    have += (size_t)got;
    if (have < piece) continue;
    have = 0;
    pieces++;
    if (write(peer, request, REQUEST) != REQUEST) err(1, "asking");
  }
  free(buffer);
  return pieces;
}

int main(int count, char **words) {
  if (count != 5) errx(2, "usage: loopback SPAN_MIB PIECE_BYTES DEPTH SECONDS");
  size_t span = (size_t)atol(words[1]) << 20;
  size_t piece = (size_t)atol(words[2]);
  double seconds = atof(words[4]);
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof here;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&here, size) != 0 || listen(listener, 1) != 0 ||
      getsockname(listener, (struct sockaddr *)&here, &size) != 0)
    err(1, "listening");
  pid_t server = fork();
  if (server == 0) {
    serve(listener, span, piece);
    _exit(0);
  }
  int peer = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(peer, (struct sockaddr *)&here, size) != 0) err(1, "connecting");
  /* One beforehand, by when it has touched its memory; the next is asked for with it. */
  receive(peer, piece, 1, 0);
  long pieces = receive(peer, piece, atoi(words[3]) - 1, seconds);
  close(peer);
  struct rusage used;
  int status;
  if (wait4(server, &status, 0, &used) < 0) err(1, "waiting");
  double busy = seconds_of(used.ru_stime) + seconds_of(used.ru_utime);
  printf("%.0f %.1f\n", (double)pieces / seconds, busy / (double)pieces * 1e6);
  return 0;
}
