/* The program of the built-in image `hello`: says what a process sees from inside its container, and by which links of the
 * chain it came. No libraries: the image holds this one file. */
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
enum { NR_read = 0, NR_write = 1, NR_open_at = 257, NR_close = 3, NR_exit = 231, NR_getpid = 39, NR_uname = 63, NR_readlinkat = 267, NR_clock_gettime = 228, NR_getuid = 102 };
static long sys(long n, long a, long b, long c, long d) {
  long r;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return r;
}
__asm__(".globl _start\n_start: xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call start\n");
#elif defined(__aarch64__)
enum { NR_read = 63, NR_write = 64, NR_open_at = 56, NR_close = 57, NR_exit = 94, NR_getpid = 172, NR_uname = 160, NR_readlinkat = 78, NR_clock_gettime = 113, NR_getuid = 174 };
static long sys(long n, long a, long b, long c, long d) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
}
__asm__(".globl _start\n_start: mov x29,#0\n mov x0,sp\n bl start\n");
#endif

static char out[16384], text[16384];
static size_t used;

static void flush(void) {
  for (size_t done = 0; done < used;) {
    long n = sys(NR_write, 1, (long)(out + done), (long)(used - done), 0);
    if (n <= 0) break;
    done += (size_t)n;
  }
  used = 0;
}
static void put(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (used == sizeof out) flush();
    out[used++] = s[i];
  }
}
static size_t length(const char *s) { size_t n = 0; while (s[n]) n++; return n; }
static void say(const char *s) { put(s, length(s)); }
static void number(uint64_t v) {
  char b[24];
  size_t i = sizeof b;
  do b[--i] = (char)('0' + v % 10); while (v /= 10);
  put(b + i, sizeof b - i);
}
/* microseconds as milliseconds with three decimals */
static void millis(uint64_t ns) {
  uint64_t us = ns / 1000;
  number(us / 1000);
  char f[4] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10), (char)('0' + us % 10)};
  put(f, 4);
  say(" ms");
}
static long load(const char *path) {
  long fd = sys(NR_open_at, -100, (long)path, 0, 0), total = 0, n;
  if (fd < 0) return -1;
  while ((n = sys(NR_read, fd, (long)(text + total), (long)sizeof text - 1 - total, 0)) > 0) total += n;
  sys(NR_close, fd, 0, 0, 0);
  text[total] = 0;
  return total;
}
static void first_line(const char *label, const char *path) {
  if (load(path) < 0) return;
  say(label);
  size_t n = 0;
  while (text[n] && text[n] != '\n') n++;
  put(text, n);
  say("\n");
}
static void namespaces(void) {
  static const char *const names[] = {"mnt", "pid", "net", "uts", "ipc", "cgroup", "user", "time"};
  say("  namespaces ");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[32] = "/proc/self/ns/", link[64];
    size_t n = length(path), m = length(names[i]);
    for (size_t k = 0; k <= m; k++) path[n + k] = names[i][k];
    long got = sys(NR_readlinkat, -100, (long)path, (long)link, sizeof link);
    if (got <= 0) continue;
    say(" ");
    put(link, (size_t)got);
    if (i == 3) say("\n             ");
  }
  say("\n");
}
static void mounts(void) {
  if (load("/proc/self/mounts") < 0) return;
  size_t lines = 0;
  say("  mounts      ");
  for (char *p = text; *p;) {
    char *f[3], *q = p;
    for (int i = 0; i < 3; i++) { f[i] = q; while (*q && *q != ' ') q++; if (*q) *q++ = 0; }
    while (*q && *q != '\n') q++;
    if (*q) q++;
    if (lines && lines % 4 == 0) say("\n              ");
    say(f[1]);
    say(" (");
    say(f[2]);
    say(")  ");
    lines++;
    p = q;
  }
  say("\n");
}
static void limits(void) {
  static const char *const want[] = {"Max open files", "Max processes"};
  if (load("/proc/self/limits") > 0) {
    for (size_t w = 0; w < 2; w++) {
      size_t m = length(want[w]);
      for (char *p = text; *p; p++) {
        if (p != text && p[-1] != '\n') continue;
        size_t k = 0;
        while (k < m && p[k] == want[w][k]) k++;
        if (k < m) continue;
        say(w ? ", processes " : "  limits      open files ");
        p += m;
        while (*p == ' ') p++;
        while (*p && *p != ' ') put(p++, 1);
        break;
      }
    }
    say("\n");
  }
  first_line("  memory max  ", "/sys/fs/cgroup/memory/memory.limit_in_bytes");
  first_line("  memory max  ", "/sys/fs/cgroup/memory.max");
}

/* NARU_CHAIN: `link=start:end,...` in CLOCK_MONOTONIC nanoseconds; the last link ends here and now. */
static uint64_t digits(const char **p) {
  uint64_t v = 0;
  while (**p >= '0' && **p <= '9') v = v * 10 + (uint64_t)(*(*p)++ - '0');
  return v;
}
static void chain(const char *spec, uint64_t now) {
  say("\nThe chain that this program came by:\n");
  uint64_t first = 0;
  while (*spec) {
    const char *name = spec;
    size_t n = 0;
    while (spec[n] && spec[n] != '=') n++;
    spec += n;
    if (*spec == '=') spec++;
    uint64_t from = digits(&spec), to = 0;
    if (*spec == ':') { spec++; to = digits(&spec); }
    if (to == 0) to = now;
    if (first == 0) first = from;
    say("  ");
    put(name, n);
    for (size_t i = n; i < 44; i++) say(" ");
    say(" at ");
    millis(from - first);
    say("  took ");
    millis(to - from);
    say("\n");
    while (*spec && *spec != ',') spec++;
    if (*spec == ',') spec++;
  }
  say("  kernel: this line was written");
  for (size_t i = 29; i < 44; i++) say(" ");
  say("   at ");
  millis(now - first);
  say("\n");
}

__attribute__((used)) void start(long *stack) {
  long argc = stack[0];
  char **env = (char **)(stack + 1 + argc + 1);
  struct { int64_t s, ns; } t = {0, 0};
  sys(NR_clock_gettime, 1, (long)&t, 0, 0);
  uint64_t now = (uint64_t)t.s * 1000000000u + (uint64_t)t.ns;
  struct { char sysname[65], node[65], release[65], version[65], machine[65], domain[65]; } u;
  sys(NR_uname, (long)&u, 0, 0, 0);
  say("Hello from a container that naru ferried here.\n\nWhat is seen from inside:\n  pid         ");
  number((uint64_t)sys(NR_getpid, 0, 0, 0, 0));
  say(", user ");
  number((uint64_t)sys(NR_getuid, 0, 0, 0, 0));
  say("\n  hostname    ");
  say(u.node);
  say("\n  kernel      ");
  say(u.release);
  say(" ");
  say(u.machine);
  say("\n");
  namespaces();
  mounts();
  limits();
  for (; *env; env++) {
    const char *k = "NARU_CHAIN=";
    const char *e = *env;
    while (*k && *k == *e) k++, e++;
    if (!*k) chain(e, now);
  }
  say("\nNext: naru run -it --rm --rootfs / sh    a throw-away copy of this machine\n"
      "      naru plan run hello                 what was executed, operation by operation\n");
  flush();
  sys(NR_exit, 0, 0, 0, 0);
  __builtin_unreachable();
}
