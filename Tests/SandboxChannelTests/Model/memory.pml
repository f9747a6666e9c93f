// The halves of a channel, and what one side sees of what the other one stored.
//
// Without WEAK a store is seen at once (all interleavings, sequentially consistent). With WEAK the peer may see stores late and
// out of order: those of one field in their order, and, once it has read a release store by an acquire load, all
// that were made before it. This is C11's release and acquire between two threads, without loads that see stores which
// depend on them; where a load must be over before a later store (bytes read, then freed), a race is looked for instead.

#define RELAXED 0
#define RELEASE 1
#define ACQUIRE 1

// What sr_channel.h and the Swift functions say, each of which a control weakens by -D.
#ifndef RING_STORE
#define RING_STORE RELEASE
#endif
#ifndef RING_LOAD
#define RING_LOAD ACQUIRE
#endif
#ifndef HEAD_STORE
#define HEAD_STORE RELEASE
#endif
#ifndef HEAD_LOAD
#define HEAD_LOAD ACQUIRE
#endif
#ifndef FREED_STORE
#define FREED_STORE RELEASE
#endif
#ifndef FREED_LOAD
#define FREED_LOAD ACQUIRE
#endif
#ifndef RECOVERY_HEAD_LOAD
#define RECOVERY_HEAD_LOAD ACQUIRE
#endif
#ifndef RECOVERY_TAKEN_LOAD
#define RECOVERY_TAKEN_LOAD ACQUIRE
#endif
#ifndef RECOVERY_FREED_LOAD
#define RECOVERY_FREED_LOAD ACQUIRE
#endif
#ifndef RECOVERY_RING_LOAD
#define RECOVERY_RING_LOAD ACQUIRE
#endif
#ifndef EVENT_STORE
#define EVENT_STORE RELEASE
#endif
#ifndef EVENT_LOAD
#define EVENT_LOAD ACQUIRE
#endif
#ifndef EVENT_HEAD_STORE
#define EVENT_HEAD_STORE RELEASE
#endif
#ifndef EVENT_HEAD_LOAD
#define EVENT_HEAD_LOAD ACQUIRE
#endif
#ifndef POSTED_STORE
#define POSTED_STORE RELEASE
#endif
#ifndef POSTED_LOAD
#define POSTED_LOAD ACQUIRE
#endif

// Marks in a log: a release store, and one that a relaxed load has read, than which none older may be read.
#define IS_RELEASE 64
#define WAS_READ 128
#define FIELD(what) ((what) & 63)
#define LOG 12

typedef Half {
  // What the side that made the half stored last, by field.
  byte now[FIELDS];
#ifdef WEAK
  // What the peer surely sees, and the stores after that, which it may see or not.
  byte seen[FIELDS];
  byte what[LOG];
  byte value[LOG];
  byte logged;
#endif
}

// Enough of a side are the last that was announced, those that the peer's threads still read, and one in the making.
#define HALVES (2 + THREADS)
#define NONE 9
Half producers[3];
Half consumers[HALVES];

byte k, kept_, got, rest_; // scratch, zero between steps

#ifdef WEAK

// Lets the peer see the oldest store of a half's log.
inline reveal_oldest(half) {
  half.seen[FIELD(half.what[0])] = half.value[0];
  for (k : 1 .. half.logged - 1) {
    half.what[k - 1] = half.what[k];
    half.value[k - 1] = half.value[k]
  }
  half.logged--;
  half.what[half.logged] = 0;
  half.value[half.logged] = 0;
  k = 0
}

inline log(half, field, stored, order) {
  // The log's bound. A store that is older than twelve others is seen.
  if
  :: half.logged == LOG -> reveal_oldest(half)
  :: else
  fi;
  half.what[half.logged] = (field) | (order -> IS_RELEASE : 0);
  half.value[half.logged] = stored;
  half.logged++
}

// A store that the peer reads.
inline store(half, field, stored, order) {
  d_step {
    log(half, field, stored, order);
    half.now[field] = stored
  }
}

// A load of what the peer stores: chooses among all stores that may be read. Those before the chosen one are no longer
// to be read: of the same field always, of all fields if it is a release store and this is an acquire load.
inline load(half, field, variable, order) {
  do
  :: k == half.logged -> break
  :: k < half.logged && FIELD(half.what[k]) != (field) -> k++
  :: k < half.logged && FIELD(half.what[k]) == (field) -> k++; got = k
  :: k < half.logged && FIELD(half.what[k]) == (field) && !(half.what[k] & WAS_READ) -> break
  od;
  true; // spin jumps to no d_step
  d_step {
    k = 0;
    if
    :: got == 0 -> variable = half.seen[field]
    :: else ->
      variable = half.value[got - 1];
      rest_ = half.logged;
      do
      :: k == rest_ -> break
      :: else ->
        if
        :: k + 1 == got && !(order) && (half.what[k] & IS_RELEASE) && kept_ > 0 ->
          half.what[kept_] = half.what[k] | WAS_READ;
          half.value[kept_] = half.value[k];
          kept_++
        :: k < got && !(k + 1 == got && !(order) && (half.what[k] & IS_RELEASE) && kept_ > 0) &&
           (FIELD(half.what[k]) == (field) || ((order) && (half.what[got - 1] & IS_RELEASE))) ->
          half.seen[FIELD(half.what[k])] = half.value[k]
        :: else ->
          half.what[kept_] = half.what[k];
          half.value[kept_] = half.value[k];
          kept_++
        fi;
        k++
      od;
      for (k : kept_ .. rest_ - 1) {
        half.what[k] = 0;
        half.value[k] = 0
      }
      half.logged = kept_
    fi;
    k = 0; kept_ = 0; got = 0; rest_ = 0
  }
}

// Everything is seen of a half when it is announced: a descriptor that is passed synchronizes.
inline announce(half) {
  for (k : 0 .. FIELDS - 1) { half.seen[k] = half.now[k] }
  k = 0
}

// Fails if the peer may be at a field that is being touched, or has not seen the last store to it: a data race.
inline no_race(half, field, from) {
  for (k : 0 .. LOG - 1) {
    assert(k >= half.logged || FIELD(half.what[k]) != (field) || (from != NONE && half.value[k] != from))
  }
  k = 0
}

// Plain bytes. A store that nobody has seen is succeeded by the next one.
inline write_bytes(half, field, stored) {
  if
  :: half.logged > 0 && half.what[half.logged - 1] == (field) -> half.value[half.logged - 1] = stored
  :: else -> log(half, field, stored, RELAXED)
  fi;
  half.now[field] = stored
}

#else

inline store(half, field, stored, order) { half.now[field] = stored }
inline load(half, field, variable, order) { variable = half.now[field] }
inline announce(half) { skip }
inline no_race(half, field, from) { skip }
inline write_bytes(half, field, stored) { half.now[field] = stored }

#endif

// A field that the peer never reads; a successor does, when all stores have long been seen.
inline own(half, field, stored) { half.now[field] = stored }

inline copy(from, to) {
  for (k : 0 .. FIELDS - 1) { to.now[k] = from.now[k] }
  k = 0
}

inline clear(half) {
  for (k : 0 .. FIELDS - 1) {
    half.now[k] = 0;
#ifdef WEAK
    half.seen[k] = 0
#endif
  }
#ifdef WEAK
  for (k : 0 .. LOG - 1) {
    half.what[k] = 0;
    half.value[k] = 0
  }
  half.logged = 0;
#endif
  k = 0
}
