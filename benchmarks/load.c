/* A load for chat servers: people connect, some of them talk, and what each one hears is checked.
 *
 *     load PROTOCOL PORT[,PORT ...] SCENE [NAME=NUMBER ...]
 *
 * PROTOCOL is chat, irc or nats; the server is at 127.0.0.1.  If it is at several ports, as many
 * nodes are, the people of each room are spread over them in turn, the talkers last.  The scenes:
 *
 *     talk   talkers say numbered lines for some seconds, and everyone listens
 *     hold   everyone connects; "held" is printed; they stay until the standard input ends
 *     storm  everyone is in one room; most connections break at once; then they all return at once
 *
 * The numbers are below, in the table of settings.
 *
 * What comes out is one JSON object of figures, and only if every line came to everyone it was
 * for: whole, once, and in the order of its talker.  If not, stderr says who missed what, and the
 * exit code is 1.
 *
 * Linux only: epoll and timerfd.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK = 256 * 1024, /* bytes that are read at a time */
    LONGEST = 4096,     /* bytes in a line of any server */
    HEAD = 32,          /* bytes of a payload before its filling */
    LARGEST = 4096,     /* bytes in a payload */
    EVENTS = 512,
    PORTS = 16,
};

static const uint64_t SECOND = 1000000000;

/* ---- What can be set ---- */

static long members = 100;       /* who listen */
static long talkers = 1;         /* who talk, and listen to each other */
static long rooms = 1;           /* over which all are spread evenly; with 0 they only connect */
static long stuck = 0;           /* members who do not read */
static long stay = 10;           /* members whose connections a storm spares */
static long milliseconds = 2000; /* of talking */
static long window = 1;          /* lines of a talker that not every member has heard, at most */
static long rate = 0;            /* lines a second of all talkers together, without a window */
static long size = 64;           /* bytes in a payload */
static long quiet = 0;           /* 1: members hear of no one's coming and going (chat only) */
static long tell = 0;            /* 1: "talking" is printed when all are there and talking begins */
static long at_once = 8;         /* people who are on their way in; a small backlog holds that */
static long patience = 10;       /* seconds without a sign of life until we give up */
static long limit = 180;         /* seconds that it may take as a whole */

static const struct {
    const char *name;
    long *value;
    long least;
} settings[] = {
    {"members", &members, 1},   {"talkers", &talkers, 0},   {"rooms", &rooms, 0},
    {"stuck", &stuck, 0},       {"stay", &stay, 1},         {"milliseconds", &milliseconds, 1},
    {"window", &window, 1},     {"rate", &rate, 0},         {"size", &size, HEAD},
    {"quiet", &quiet, 0},       {"tell", &tell, 0},         {"at_once", &at_once, 1},
    {"patience", &patience, 1}, {"limit", &limit, 1},
};

/* ---- How servers are spoken to: a new protocol is one entry ---- */

static const struct protocol {
    const char *name;
    const char *hello;    /* what one says first: the name is filled in, as often as it stands */
    const char *known;    /* is in the line that tells that one is known */
    const char *join;     /* the number of the room is filled in */
    const char *joined;   /* is in the line that tells that one is in */
    const char *say;      /* what stands before a payload: room and size are filled in */
    int one_order;        /* whether all of a room must hear all talkers in one order */
} protocols[] = {
    {"chat", "/nick %1$s\r\n", "> all right", "/join r%1$ld\r\n", "> here: ", "", 1},
    {"irc", "NICK %1$s\r\nUSER %1$s 0 * :%1$s\r\n", " 376 ", "JOIN #r%1$ld\r\n", " 366 ",
     "PRIVMSG #r%1$ld :", 1},
    {"nats", "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false}\r\nPING\r\n", "PONG",
     "SUB r%1$ld 1\r\nPING\r\n", "PONG", "PUB r%1$ld %2$ld\r\n", 0},
};
static const struct protocol *protocol;

/* ---- Who is there ---- */

enum stage { AWAY, CONNECTED, JOINING, THERE };

struct talker;

struct person {
    int fd;
    enum stage stage;
    long room;
    struct talker *talker; /* NULL: a member */
    uint32_t *next;        /* the number of the next line, by talker of the room */
    uint64_t digest;       /* of all lines, in the order in which they came */
    char *out;             /* what the system has not taken yet */
    size_t out_length;
    size_t tail_length;
    char tail[LONGEST]; /* the beginning of a line whose end has not come */
};

struct talker {
    struct person *person;
    char before[64];     /* what the protocol wants before a payload */
    uint32_t said;       /* lines so far */
    uint32_t complete;   /* lines that all members have heard */
    uint32_t *heard;     /* by how many members; a ring of the lines that are on their way */
};

static struct sockaddr_in addresses[PORTS];
static long ports;
static struct person *people; /* members first, then talkers */
static struct talker *talking;
static long everyone;
static int epoll = -1;
static int waker = -1; /* a descriptor that wakes us: the timer, or the standard input */
static int waker_ended;

static long present; /* people who have come in since the last `enter` began */
static uint32_t ring;
static uint32_t listeners; /* members who hear each line */
static uint32_t audience;  /* talkers who hear it included */
static char filling[LARGEST];
static uint64_t deliveries, lines, bytes_heard, last_heard;
static uint64_t *latencies; /* only at a given rate */

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static _Noreturn void fault(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    exit(1);
}

static void *room_for(size_t count, size_t bytes) {
    void *found = calloc(count, bytes);
    if (!found)
        fault("out of memory");
    return found;
}

static long number(const struct person *person) { return person - people; }

/* ---- Writing ---- */

static void watch(struct person *person, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = person};
    if (epoll_ctl(epoll, how, person->fd, &event))
        fault("epoll: %s", strerror(errno));
}

/* Send what can go now; the rest goes when there is room. */
static void flush(struct person *person, int waited) {
    ssize_t count = send(person->fd, person->out, person->out_length, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN)
        fault("u%ld cannot write: %s", number(person), strerror(errno));
    if (count > 0) {
        person->out_length -= count;
        memmove(person->out, person->out + count, person->out_length);
    }
    int waits = person->out_length > 0;
    if (waits != waited)
        watch(person, EPOLL_CTL_MOD, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void append(struct person *person, const char *bytes, size_t length) {
    person->out = realloc(person->out, person->out_length + length);
    if (!person->out)
        fault("out of memory");
    memcpy(person->out + person->out_length, bytes, length);
    person->out_length += length;
}

static void write_to(struct person *person, const char *bytes, size_t length) {
    int waited = person->out_length > 0;
    append(person, bytes, length);
    if (!waited)
        flush(person, 0);
}

/* ---- Lines that are checked ----
 *
 * A payload is "|TALKER NUMBER TIME " in hexadecimal, then filling up to `size` bytes.  It ends the
 * line, so its place is known from the end, whatever the server puts before it.
 */

static void say(struct talker *talker, uint64_t time) {
    char line[64 + LARGEST + 2];
    size_t length = strlen(talker->before);
    memcpy(line, talker->before, length);
    snprintf(line + length, HEAD + 1, "|%04lx %08x %016llx ", (long)(talker - talking), talker->said,
             (unsigned long long)time);
    memcpy(line + length + HEAD, filling, size - HEAD);
    length += size;
    memcpy(line + length, "\r\n", 2);
    append(talker->person, line, length + 2);
    talker->said++;
    lines++;
}

static uint64_t hexadecimal(const char *digits, int count) {
    uint64_t value = 0;
    for (int place = 0; place < count; place++) {
        char digit = digits[place];
        value = value << 4 | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return value;
}

/* Each hears in order: when all have heard a line, they have heard all before it, too.  Talkers do
 * not count: their systems acknowledge late, as there is soon something to send along with it, and
 * a server that leaves Nagle's algorithm on would be measured by that. */
static void count_in(struct talker *talker, uint32_t line) {
    uint32_t *heard = &talker->heard[line & (ring - 1)];
    if (++*heard < listeners)
        return;
    *heard = 0;
    talker->complete++;
}

static void check(struct person *person, const char *payload) {
    uint64_t who = hexadecimal(payload + 1, 4);
    uint32_t line = hexadecimal(payload + 6, 8);
    if (who >= (uint64_t)talkers || (long)who % rooms != person->room)
        fault("u%ld heard talker %ld, who is not in the room", number(person), (long)who);
    struct talker *talker = &talking[who];
    if (talker == person->talker)
        fault("u%ld heard line %u, its own", number(person), line);
    uint32_t *next = &person->next[who / rooms];
    if (line > *next)
        fault("u%ld heard line %u of talker %ld where %u should come: lost, or out of order",
              number(person), line, (long)who, *next);
    if (line < *next)
        fault("u%ld heard line %u of talker %ld where %u should come: doubled, or out of order",
              number(person), line, (long)who, *next);
    if (line >= talker->said || memcmp(payload + HEAD, filling, size - HEAD))
        fault("u%ld heard line %u of talker %ld, but not as it was said", number(person), line,
              (long)who);
    ++*next;
    ++deliveries;
    person->digest = (person->digest ^ (who << 32 | line)) * 0x100000001b3;
    if (latencies)
        latencies[deliveries - 1] = last_heard - hexadecimal(payload + 15, 16);
    if (!person->talker)
        count_in(talker, line);
}

/* ---- Coming in ---- */

static void dial(struct person *person) {
    int on = 1, small = 536;
    person->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (person->fd < 0)
        fault("no socket for u%ld: %s", number(person), strerror(errno));
    if (number(person) < stuck) { /* like someone far away: little fits on the way to them */
        setsockopt(person->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        setsockopt(person->fd, IPPROTO_TCP, TCP_MAXSEG, &small, sizeof small);
    }
    struct sockaddr_in *address = &addresses[number(person) / (rooms ? rooms : 1) % ports];
    if (connect(person->fd, (struct sockaddr *)address, sizeof *address))
        fault("u%ld cannot connect: %s", number(person), strerror(errno));
    setsockopt(person->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(person->fd, F_SETFL, O_NONBLOCK);
    watch(person, EPOLL_CTL_ADD, EPOLLIN);
    person->stage = CONNECTED;
    char name[24], hello[256];
    snprintf(name, sizeof name, "u%ld", number(person));
    int length = snprintf(hello, sizeof hello, protocol->hello, name);
    write_to(person, hello, length);
}

static void join(struct person *person) {
    char line[128];
    if (quiet)
        write_to(person, "/quiet on\r\n", 11);
    write_to(person, line, snprintf(line, sizeof line, protocol->join, person->room));
    person->stage = JOINING;
}

static void come_in(struct person *person, const char *line, size_t length) {
    const char *awaited = person->stage == CONNECTED ? protocol->known : protocol->joined;
    if (!memmem(line, length, awaited, strlen(awaited)))
        return;
    if (person->stage == CONNECTED && rooms) {
        join(person);
        return;
    }
    person->stage = THERE;
    present++;
}

/* ---- Reading ---- */

static void answer_ping(struct person *person, char *line, size_t length) {
    line[1] = 'O'; /* whatever follows is given back */
    write_to(person, line, length + 1);
}

static void take_line(struct person *person, char *line, size_t length) {
    char *payload = line + length - 1 - size; /* length is without LF, but with CR */
    if (payload >= line && *payload == '|' && line[length - 1] == '\r')
        check(person, payload);
    else if (length >= 4 && !memcmp(line, "PING", 4))
        answer_ping(person, line, length);
    else if (person->stage != THERE)
        come_in(person, line, length);
}

static void hear(struct person *person) {
    static char buffer[LONGEST + CHUNK];
    ssize_t count = recv(person->fd, buffer + LONGEST, CHUNK, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        fault("the connection of u%ld was cut", number(person));
    last_heard = now();
    bytes_heard += count;
    char *at = buffer + LONGEST - person->tail_length;
    memcpy(at, person->tail, person->tail_length);
    char *end = buffer + LONGEST + count, *feed;
    for (; (feed = memchr(at, '\n', end - at)); at = feed + 1)
        take_line(person, at, feed - at);
    person->tail_length = end - at;
    if (person->tail_length > LONGEST)
        fault("u%ld hears a line without an end", number(person));
    memcpy(person->tail, at, person->tail_length);
}

static void wake(void) {
    char bytes[8];
    if (read(waker, bytes, sizeof bytes) <= 0)
        waker_ended = 1;
}

/* Wait for something to happen, and see to all that has. */
static void turn(int timeout) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, timeout);
    for (int place = 0; place < count; place++) {
        struct person *person = events[place].data.ptr;
        if (!person) {
            wake();
            continue;
        }
        if (events[place].events & EPOLLOUT)
            flush(person, 1);
        if (events[place].events & ~EPOLLOUT)
            hear(person);
    }
}

static void turn_until_quiet(int span) {
    for (last_heard = now(); now() - last_heard < span * (SECOND / 1000);)
        turn(span);
}

static void wake_by(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    waker = fd;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
        fault("epoll: %s", strerror(errno));
}

/* Have people connect, and come into their rooms. */
static void enter(long first, long end, long together) {
    last_heard = now();
    present = 0;
    for (long next = first; present < end - first;) {
        while (next < end && next - first - present < together)
            dial(&people[next++]);
        turn(100);
        if (now() - last_heard > patience * SECOND)
            fault("%ld of %ld people came in, then nothing happened", present, end - first);
    }
}

/* ---- Talking ---- */

static void fill(void) {
    if (rooms < 1 || talkers < 1 || members % rooms || talkers % rooms || stuck % rooms)
        fault("members, talkers and stuck must be spread evenly over rooms");
    if (talkers > 0xffff || size > LARGEST || stuck >= members)
        fault("too many talkers, too large a size, or nobody reads");
    listeners = (members - stuck) / rooms;
    audience = listeners + talkers / rooms - 1;
    uint64_t way = rate ? rate * milliseconds / 1000 / talkers + 2 : window;
    for (ring = 1; ring < way;)
        ring *= 2;
    if (rate)
        latencies = room_for((rate * milliseconds / 1000 + 1) * audience, sizeof *latencies);
    memset(filling, 'x', sizeof filling);
    for (long each = 0; each < everyone; each++)
        people[each].next = room_for(talkers / rooms, sizeof(uint32_t));
    for (long each = 0; each < talkers; each++) {
        struct talker *talker = &talking[each];
        talker->person = &people[members + each];
        talker->person->talker = talker;
        talker->heard = room_for(ring, sizeof(uint32_t));
        snprintf(talker->before, sizeof talker->before, protocol->say, talker->person->room, size);
    }
}

/* Say what a timetable wants.  A line bears the time at which it was due: if it could not go then,
 * whoever waits for it has waited since. */
static void say_on_time(uint64_t begin, uint64_t end) {
    uint64_t time = now();
    for (;;) {
        uint64_t due = begin + lines * SECOND / rate;
        if (due > time || due >= end)
            return;
        struct talker *talker = &talking[lines % talkers];
        int waited = talker->person->out_length > 0;
        say(talker, due);
        if (!waited)
            flush(talker->person, 0);
    }
}

/* Say as much as the window of each talker allows. */
static void say_at_will(uint64_t end) {
    uint64_t time = now();
    if (time >= end)
        return;
    for (struct talker *talker = talking; talker < talking + talkers; talker++) {
        int waited = talker->person->out_length > 0;
        uint32_t before = talker->said;
        while (talker->said - talker->complete < window)
            say(talker, time);
        if (talker->said > before && !waited)
            flush(talker->person, 0);
    }
}

/* Tell of the first who has not heard everything. */
static _Noreturn void fault_of_missing(void) {
    for (long each = stuck; each < everyone; each++) {
        struct person *person = &people[each];
        for (long who = person->room; who < talkers; who += rooms) {
            uint32_t heard = person->next[who / rooms];
            if (&talking[who] != person->talker && heard < talking[who].said)
                fault("u%ld heard %u of %u lines of talker %ld, and nothing more comes", each, heard,
                      talking[who].said, who);
        }
    }
    fault("lines are missing");
}

/* Talkers do not hear themselves; all other readers of a room must have heard the same. */
static void check_one_order(void) {
    for (long each = stuck; each < members; each++) {
        long first = stuck + (each - stuck) % rooms;
        if (people[each].digest != people[first].digest)
            fault("u%ld and u%ld heard the talkers in different orders", first, each);
    }
}

static void start_timer(void) {
    struct itimerspec often = {{0, SECOND / rate}, {0, SECOND / rate}};
    if (rate == 1)
        often = (struct itimerspec){{1, 0}, {1, 0}};
    prctl(PR_SET_TIMERSLACK, 1);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    timerfd_settime(timer, 0, &often, NULL);
    wake_by(timer);
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static int ascending(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static double percentile(double share) { return latencies[(uint64_t)(share * (deliveries - 1))] / 1e3; }

static void print_latencies(void) {
    qsort(latencies, deliveries, sizeof *latencies, ascending);
    printf(", \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f",
           percentile(.5), percentile(.9), percentile(.99), percentile(.999), percentile(1));
}

static void talk(void) {
    fill();
    uint64_t came = now();
    enter(0, everyone, at_once);
    double entering = (now() - came) / 1e9;
    turn_until_quiet(300);
    for (long each = 0; each < stuck; each++)
        watch(&people[each], EPOLL_CTL_DEL, 0);
    if (tell) {
        puts("talking");
        fflush(stdout);
    }
    if (rate)
        start_timer();
    double cpu = cpu_seconds();
    uint64_t begin = last_heard = now(), end = begin + milliseconds * (SECOND / 1000);
    while (now() < end || deliveries < lines * audience) {
        if (rate)
            say_on_time(begin, end);
        else
            say_at_will(end);
        turn(100);
        if (deliveries < lines * audience && now() - last_heard > patience * SECOND)
            fault_of_missing();
    }
    double took = (last_heard - begin) / 1e9;
    double busy = (cpu_seconds() - cpu) / ((now() - begin) / 1e9);
    turn_until_quiet(200); /* a line that comes twice may come late */
    if (protocol->one_order)
        check_one_order();
    printf("{\"deliveries\": %llu, \"lines\": %llu, \"seconds\": %.3f, \"deliveries_per_s\": %.0f, "
           "\"us_per_delivery\": %.4f, \"entered_per_s\": %.0f, \"load_busy\": %.2f",
           (unsigned long long)deliveries, (unsigned long long)lines, took, deliveries / took,
           1e6 * took / deliveries, everyone / entering, busy);
    if (rate)
        print_latencies();
    printf("}\n");
}

/* ---- Holding ---- */

static void hold(void) {
    enter(0, everyone, at_once);
    turn_until_quiet(300);
    puts("held");
    fflush(stdout);
    for (wake_by(STDIN_FILENO); !waker_ended;)
        turn(1000);
    printf("{\"connections\": %ld}\n", everyone);
}

/* ---- A storm ---- */

/* Give the number of segments with data that came to some people: about the writes of the server,
 * as each of its writes to someone who reads leaves at once. */
static uint64_t segments(long first, long end) {
    uint64_t sum = 0;
    for (long each = first; each < end; each++) {
        struct tcp_info info = {0};
        socklen_t length = sizeof info;
        getsockopt(people[each].fd, IPPROTO_TCP, TCP_INFO, &info, &length);
        sum += info.tcpi_data_segs_in;
    }
    return sum;
}

static void break_off(struct person *person) {
    struct linger at_once_ = {1, 0}; /* an RST: the connection is gone, not closed in order */
    setsockopt(person->fd, SOL_SOCKET, SO_LINGER, &at_once_, sizeof at_once_);
    close(person->fd);
    person->stage = AWAY;
    person->tail_length = person->out_length = 0;
}

static void storm(void) {
    if (stay >= everyone || rooms != 1)
        fault("a storm needs one room, and someone who goes");
    enter(0, everyone, at_once);
    turn_until_quiet(300);

    uint64_t bytes = bytes_heard, writes = segments(0, stay), begin = now();
    for (long each = stay; each < everyone; each++)
        break_off(&people[each]);
    turn_until_quiet(300);
    printf("{\"left_bytes_each\": %.0f, \"left_segments_each\": %.1f, \"left_s\": %.3f",
           (double)(bytes_heard - bytes) / stay, (double)(segments(0, stay) - writes) / stay,
           (last_heard - begin) / 1e9);

    bytes = bytes_heard, writes = segments(0, stay), begin = now();
    enter(stay, everyone, everyone);
    double all_in = (now() - begin) / 1e9;
    turn_until_quiet(300);
    writes = segments(0, everyone) - writes;
    printf(", \"back_bytes_each\": %.0f, \"back_segments_each\": %.1f, \"back_s\": %.3f}\n",
           (double)(bytes_heard - bytes) / everyone, (double)writes / everyone, all_in);
}

/* ---- From words to a scene ---- */

static const struct {
    const char *name;
    void (*play)(void);
} scenes[] = {{"talk", talk}, {"hold", hold}, {"storm", storm}};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void set(const char *word) {
    const char *equals = strchr(word, '=');
    for (size_t each = 0; equals && each < COUNT(settings); each++) {
        size_t length = strlen(settings[each].name);
        if (length != (size_t)(equals - word) || strncmp(word, settings[each].name, length))
            continue;
        *settings[each].value = atol(equals + 1);
        if (*settings[each].value < settings[each].least)
            fault("%s: at least %ld", word, settings[each].least);
        return;
    }
    fault("no such setting: %s", word);
}

static void gather(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    everyone = members + talkers;
    if (everyone + 16 > (long)files.rlim_cur)
        fault("%ld connections need as many descriptors, but the limit is %ld", everyone,
              (long)files.rlim_cur);
    people = room_for(everyone, sizeof *people);
    talking = room_for(talkers + 1, sizeof *talking);
    for (long each = 0; each < everyone; each++)
        people[each].room = rooms ? (each < members ? each : each - members) % rooms : 0;
    epoll = epoll_create1(0);
}

static void find(char *list) {
    for (char *word = strtok(list, ","); word && ports < PORTS; word = strtok(NULL, ",")) {
        addresses[ports].sin_family = AF_INET;
        addresses[ports].sin_port = htons(atoi(word));
        addresses[ports++].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
}

int main(int count, char **words) {
    if (count < 4)
        fault("usage: load PROTOCOL PORT[,PORT ...] SCENE [NAME=NUMBER ...]");
    for (size_t each = 0; each < COUNT(protocols); each++)
        if (!strcmp(words[1], protocols[each].name))
            protocol = &protocols[each];
    if (!protocol)
        fault("no such protocol: %s", words[1]);
    find(words[2]);
    if (!ports)
        fault("no port");
    for (int each = 4; each < count; each++)
        set(words[each]);
    gather();
    alarm(limit);
    for (size_t each = 0; each < COUNT(scenes); each++)
        if (!strcmp(words[3], scenes[each].name)) {
            scenes[each].play();
            return 0;
        }
    fault("no such scene: %s", words[3]);
}
