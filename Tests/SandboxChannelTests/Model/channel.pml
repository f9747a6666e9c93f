// A model of SandboxChannel for spin: packets from a producer to a consumer, either of which dies at any step, again and
// again, and is succeeded while the other goes on. check.sh says which variants there are and runs them all.
//
// What a step is: one load or store of a word that another thread or side may touch; between two of them the others may
// do anything, and the process may die. What only the process itself sees is part of the step that it comes with. Names
// in comments are those of the Swift functions that a step stands for.
//
// The model has no end: positions of the ring and numbers of packets are counted modulo 8, which is four laps of the
// ring. Every comparison in the code is of a difference of at most two laps, or of a lap's parity, so nothing is lost
// by that. Slots are 2 in one word, or in two words of 1, instead of at least 64 in words of 64.
//
// Properties, as assertions where the step is made that would break them, and in `Rest` for the states in which both
// sides rest:
//   - no slot is owned twice: what is allocated is not held, not in the ring, not the consumer's (allocate)
//   - packets are received once, all of them, in the order in which each thread sent them (receive)
//   - a packet's bytes are what was sent for as long as the consumer holds it (readBytes), and without WEAK's data race
//   - no slot is lost: at rest `allocated`, `taken` and `freed` say of each slot whose it really is (Rest)
//   - nothing is stuck: at rest the consumer's next entry is there if any is reserved (Rest)
// That recovery can be cut off and begun anew follows: a successor dies at any step too, also one that was announced
// and that no peer has attached to.

#ifndef SLOTS_PER_WORD
#define SLOTS_PER_WORD 2
#endif
#define SLOTS 2
#define WORDS (SLOTS / SLOTS_PER_WORD)
#define ENTRIES 2 // as many as slots: ChannelGeometry.ringEntries
#ifndef MODULUS
#define MODULUS 8
#endif
// At most two packets are in the ring, so three numbers tell them from those before.
#define NUMBERS 3
#define LESS(a, b) (((a) - (b)) & (MODULUS - 1))
#define BIT(slot) (1 << (slot))
#define WORD_OF(slot) ((slot) / SLOTS_PER_WORD)
// The bits of a word of slots, where they stand among all slots'.
#define MASK(word) (((1 << SLOTS_PER_WORD) - 1) << ((word) * SLOTS_PER_WORD))

// An entry of the ring: Descriptor.word. Memory begins as zeros.
#define LAP_BIT 128
#define NO_SLOT 127
#ifdef NO_LAPS
#define LAP(position) LAP_BIT
#else
#define LAP(position) ((((position) / ENTRIES) & 1) -> 0 : LAP_BIT)
#endif

#ifdef SEVERAL
#define THREADS 2
#else
#define THREADS 1
#endif

// Fields of a producer's half, and of a consumer's. `READ` stands for reads of a slot's bytes, so that races are found.
#define TAIL 0
#define ALLOCATED 1
#define RING (ALLOCATED + WORDS)
#define BYTES (RING + ENTRIES)
#define FIELDS (BYTES + SLOTS)
#define HEAD 0
#define TAKEN 1
#define FREED (TAKEN + WORDS)
#define READ (FREED + WORDS)

#include "memory.pml"

// Halves by their number: what the keeper was told of, what each side writes or makes, and what it reads of its peer.
byte announcedProducer, announcedConsumer;
byte producerMine, consumerMine;
byte producerPeer, consumerPeer;
byte cachePeer[THREADS]; // SlotCache.peer
bool dying; // the producer was killed, and not all of its threads have met their end yet
bool up = true; // a producer is announced and works
byte dead_threads; // threads of a producer that dies which have met their end
byte resting; // threads of the producer that are between two calls
bool consumerRests = true;

// Whose each slot really is, for the properties.
byte ofProducer, inRing, ofConsumer;
// What was sent last in a slot (number, thread), what each thread sends next and what is to be received of it next.
byte sentNumber[SLOTS];
byte next[THREADS], expected[THREADS];
#ifdef SEVERAL
byte sentBy[SLOTS];
#define SENDER(slot) sentBy[slot]
#else
#define SENDER(slot) 0
#endif
#define CONTENT(number, thread) ((number) + 1 + NUMBERS * (thread))

// How often sides die, where the variant has a bound.
#ifdef DEATHS
byte deaths;
#define MAY_DIE (deaths < DEATHS)
#define DEATH deaths++
#else
#define MAY_DIE true
#define DEATH skip
#endif

#define READ_BY_PRODUCER(half) (half == producerPeer || half == cachePeer[0] || half == cachePeer[THREADS - 1])

// Clears halves that nobody will read again, so that states do not differ by them.
inline sweep() {
  for (sweeping : 0 .. HALVES - 1) {
    if
    :: sweeping == announcedConsumer || sweeping == consumerMine || READ_BY_PRODUCER(sweeping)
    :: else -> clear(consumers[sweeping])
    fi
  }
  for (sweeping : 0 .. 2) {
    if
    :: sweeping == announcedProducer || sweeping == producerMine || sweeping == consumerPeer
    :: else -> clear(producers[sweeping])
    fi
  }
  sweeping = 0
}
byte sweeping;

// How many packets are sent, where the variant has a bound.
#ifdef SENDS
byte sends;
#define MAY_SEND (sends < SENDS)
#define SENT sends++
#else
#define MAY_SEND true
#define SENT skip
#endif

// Bytes and number of slots that nobody holds are of no account, so that states do not differ by them.
inline forget(slots) {
  for (sweeping : 0 .. SLOTS - 1) {
    if
    :: (slots) & BIT(sweeping) ->
      sentNumber[sweeping] = 0;
      producers[0].now[BYTES + sweeping] = 0;
      producers[1].now[BYTES + sweeping] = 0;
      producers[2].now[BYTES + sweeping] = 0
    :: else
    fi
  }
  sweeping = 0
}

#ifdef FREE_IF_TAKEN
#define OFFERS TAKEN
#else
#define OFFERS FREED
#endif

byte held; // PacketSlab.held
#define OURS producers[producerMine]
#define OUR_PEER consumers[cachePeer[self]]
#ifndef SEVERAL
#define self 0
#endif

// One step of a thread of the producer, or the death of all of them instead of it.
#ifdef SEVERAL
#define STEP(step) \
  if \
  :: atomic { !dying; step } \
  :: atomic { !dying && MAY_DIE -> DEATH; die(); goto dead } \
  :: atomic { dying -> goto dead } \
  fi
#else
#define STEP(step) \
  if \
  :: atomic { step } \
  :: atomic { MAY_DIE -> DEATH; die(); goto dead } \
  fi
#endif

#include "succession.pml"
#ifdef SEVERAL
#include "producers.pml"
#else
#include "producer.pml"
#endif
#include "consumer.pml"

#define WORD_AT(half, field, slot) (half.now[(field) + WORD_OF(slot)] & BIT(slot))
#define SAYS(slot) \
  (!WORD_AT(producers[announcedProducer], ALLOCATED, slot) == !WORD_AT(consumers[announcedConsumer], FREED, slot) \
    -> (!WORD_AT(consumers[announcedConsumer], TAKEN, slot) == !WORD_AT(consumers[announcedConsumer], FREED, slot) \
      -> 0 : 9) \
    : (!WORD_AT(consumers[announcedConsumer], TAKEN, slot) == !WORD_AT(consumers[announcedConsumer], FREED, slot) \
      -> 1 : 2))
#define IS(slot) \
  ((ofConsumer & BIT(slot)) -> 2 : (((ofProducer | inRing) & BIT(slot)) -> 1 : 0))
#define NEXT producers[announcedProducer].now[RING + consumers[announcedConsumer].now[HEAD] % ENTRIES]

// The states in which both sides rest, alive and attached to each other's last half.
active proctype Rest() {
end:
  d_step {
    up && !dying && resting == THREADS && consumerRests && producerPeer == announcedConsumer &&
      consumerPeer == announcedProducer &&
      (SAYS(0) != IS(0) || SAYS(1) != IS(1) ||
        (producers[announcedProducer].now[TAIL] != consumers[announcedConsumer].now[HEAD] &&
          (NEXT & LAP_BIT) != LAP(consumers[announcedConsumer].now[HEAD]))) ->
    assert(false)
  }
}
