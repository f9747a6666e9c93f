// A model of the queue of events of one priority: ChannelProducer.post, ChannelConsumer.takeEvent and their successors.
// Priorities share nothing but `posted`. Like channel.pml; check.sh runs it. With SEVERAL two threads post; they die
// together. Posting is bounded by POSTS.
//
// Properties: each thread's events are taken once, all, in the order of posting, with their own payload; a post is
// refused only where the queue is full; at rest no event waits that takeEvent would not look for.

#define ROOM 2
#define MODULUS 8
#define LESS(a, b) (((a) - (b)) & (MODULUS - 1))
#define LAP_BIT 128
#define HOLE 64
#define LAP(position) ((((position) / ROOM) & 1) -> 0 : LAP_BIT)
#ifdef SEVERAL
#define THREADS 2
#else
#define THREADS 1
#endif

#define TAIL 0
#define POSTED 1
#define PAYLOAD 2
#define CODE (PAYLOAD + ROOM)
#define FIELDS (CODE + ROOM)
#define HEAD 0
#define READ 1 // of a payload, so that a store that may overtake it is found

#include "memory.pml"

#define OURS producers[announcedProducer]
#define OUR_PEER consumers[producerPeer]
#define IT consumers[announcedConsumer]
#define ITS_PEER producers[consumerPeer]

// A successor's half is announced as soon as it is made: what precedes is its own, but for the load of the head.
byte announcedProducer, announcedConsumer, producerPeer, consumerPeer;
byte posts, deaths, running;
bool consumerRests = true, knows; // `knows`: postedSeen is not nil
byte postedSeen;
byte next[THREADS], expected[THREADS];

#define STEP(step) \
  if \
  :: atomic { !dying; step } \
  :: atomic { !dying && deaths < DEATHS -> deaths++; dying = true; goto dead } \
  :: atomic { dying -> goto dead } \
  fi
bool dying;

#ifdef POST_AS_COMMITTED
#define REREAD false
#else
#define REREAD true
#endif

inline note_event() {
  next[self]++
}

active [THREADS] proctype Producer() {
  byte self, position, head, thread, i;
  self = _pid;

work:
  do
  :: atomic { !dying && posts < POSTS -> posts++; running++ };
    // `eventTails.relaxed`
    STEP(position = OURS.now[TAIL]);
again:
    STEP(load(OUR_PEER, HEAD, head, EVENT_HEAD_LOAD));
    if
    :: LESS(position, head) < ROOM
    :: LESS(position, head) >= ROOM ->
      // Refused, and counted: only where the queue is full, as far as this thread can know.
      STEP(
        if
        :: REREAD && position != OURS.now[TAIL] -> position = OURS.now[TAIL]; goto again
        :: else
        fi;
        assert(LESS(position, head) == ROOM);
        position = 0; head = 0;
        running--);
      goto work
    fi;
    STEP(
      if
      :: OURS.now[TAIL] == position -> own(OURS, TAIL, (position + 1) % MODULUS)
      :: else -> position = OURS.now[TAIL]; goto again
      fi);
#ifdef CODE_BEFORE_PAYLOAD
    STEP(store(OURS, CODE + position % ROOM, LAP(position) | self, EVENT_STORE); note_event());
    STEP(store(OURS, PAYLOAD + position % ROOM, next[self], RELAXED));
#else
    STEP(
#ifdef WEAK
      d_step { no_race(OUR_PEER, READ + position % ROOM, announcedProducer) };
#endif
      store(OURS, PAYLOAD + position % ROOM, next[self] + 1, RELAXED));
#ifdef POSTED_BEFORE_EVENT
    STEP(store(OURS, POSTED, (OURS.now[POSTED] + 1) % 16, POSTED_STORE));
#endif
    STEP(store(OURS, CODE + position % ROOM, LAP(position) | self, EVENT_STORE); note_event());
#endif
#ifndef POSTED_BEFORE_EVENT
    STEP(store(OURS, POSTED, (OURS.now[POSTED] + 1) % 16, POSTED_STORE));
#endif
    atomic { position = 0; head = 0; running-- }
  // ChannelProducer.attach(consumer:)
  :: d_step { self == 0 && !dying && producerPeer != announcedConsumer -> producerPeer = announcedConsumer }
  :: atomic { dying -> goto dead }
  :: atomic { !dying && deaths < DEATHS -> deaths++; dying = true; goto dead }
  od;

dead:
  atomic {
    position = 0; head = 0;
    thread++
  };
  if
  :: atomic { self != 0 -> running = running | 64; !dying; thread = 0 };
    goto work
  :: atomic { self == 0 && (THREADS == 1 || (running & 64)) -> producerPeer = announcedConsumer }
  fi;
  // ProducerRecovery.run: the events' part.
  atomic { load(OUR_PEER, HEAD, head, EVENT_HEAD_LOAD) };
  atomic {
    i = (announcedProducer + 1) % 3;
    if
    :: i == consumerPeer -> i = (i + 1) % 3
    :: else
    fi;
    clear(producers[i]);
    copy(OURS, producers[i]);
    position = head;
    do
    :: LESS(position, head) >= ROOM -> break
    :: LESS(position, head) < ROOM && (producers[i].now[CODE + position % ROOM] & LAP_BIT) == LAP(position) ->
      position = (position + 1) % MODULUS
    :: LESS(position, head) < ROOM && (producers[i].now[CODE + position % ROOM] & LAP_BIT) != LAP(position) ->
      if
#ifndef NO_HOLES
      :: LESS(producers[i].now[TAIL], position) <= ROOM && producers[i].now[TAIL] != position ->
        producers[i].now[CODE + position % ROOM] = HOLE | LAP(position);
        position = (position + 1) % MODULUS
#endif
      :: else -> break
      fi
    od;
#ifndef NO_HOLES
    producers[i].now[TAIL] = position;
#endif
    producers[i].now[POSTED] = (producers[i].now[POSTED] + 1) % 16;
    announce(producers[i]);
    announcedProducer = i;
    i = 0; position = 0; head = 0; thread = 0;
    running = 0;
    dying = false;
    goto work
  }
}

active proctype Consumer() {
  byte posted, code, payload, head, i;

work:
  do
  // ChannelConsumer.takeEvent
  :: atomic { consumerRests = false; load(ITS_PEER, POSTED, posted, POSTED_LOAD) };
    if
    :: knows && posted == postedSeen
    :: else ->
      do
      :: atomic {
          if
          :: deaths < DEATHS -> deaths++; goto dead
          :: true
          fi;
          load(ITS_PEER, CODE + head % ROOM, code, EVENT_LOAD)
        };
        if
        :: (code & LAP_BIT) != LAP(head) ->
          atomic { postedSeen = posted; knows = true };
          break
        :: else
        fi;
#ifndef HEAD_BEFORE_PAYLOAD
        atomic {
          if
          :: code & HOLE
          :: else ->
            load(ITS_PEER, PAYLOAD + head % ROOM, payload, RELAXED);
#ifdef WEAK
            d_step { log(IT, READ + head % ROOM, consumerPeer, RELAXED) }
#endif
          fi
        };
#endif
        atomic {
          if
          :: deaths < DEATHS -> deaths++; goto dead
          :: true
          fi;
#ifdef HEAD_BEFORE_PAYLOAD
          store(IT, HEAD, (head + 1) % MODULUS, EVENT_HEAD_STORE)
        };
        atomic {
          load(ITS_PEER, PAYLOAD + head % ROOM, payload, RELAXED);
#else
          store(IT, HEAD, (head + 1) % MODULUS, EVENT_HEAD_STORE);
#endif
          head = (head + 1) % MODULUS;
          if
          :: code & HOLE
          :: else ->
            expected[code & 1]++;
            assert(payload == expected[code & 1]);
            break
          fi
        }
      od
    fi;
    atomic { posted = 0; code = 0; payload = 0; consumerRests = true }
  // ChannelConsumer.attach(producer:)
  :: d_step {
      consumerPeer != announcedProducer ->
      consumerPeer = announcedProducer;
#ifndef KEEPS_SEEN
      knows = false;
      postedSeen = 0
#endif
    }
  :: atomic { deaths < DEATHS -> deaths++; goto dead }
  od;

dead:
  // ChannelConsumer.init(succeeding:producer:): a copy.
  atomic {
    i = (announcedConsumer + 1) % HALVES;
    if
    :: i == producerPeer -> i = (i + 1) % HALVES
    :: else
    fi;
    clear(consumers[i]);
    copy(IT, consumers[i]);
    announce(consumers[i]);
    announcedConsumer = i;
    consumerPeer = announcedProducer;
    knows = false; postedSeen = 0;
    head = IT.now[HEAD];
    posted = 0; code = 0; payload = 0; i = 0;
    consumerRests = true;
    goto work
  }
}

active proctype Rest() {
end:
  d_step {
    running == 0 && !dying && consumerRests && producerPeer == announcedConsumer &&
      consumerPeer == announcedProducer && OURS.now[TAIL] != IT.now[HEAD] &&
      ((OURS.now[CODE + IT.now[HEAD] % ROOM] & LAP_BIT) != LAP(IT.now[HEAD]) ||
        (knows && postedSeen == OURS.now[POSTED])) ->
    assert(false)
  }
}
