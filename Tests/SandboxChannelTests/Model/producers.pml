// A producer with two threads: SlotCache.swift and PacketSlab.swift of a channel whose `several` is 1.
//
// Each thread has a cache. Descriptors that are held go from one to the other freely: `pool` are those that no call is
// busy with. Each thread sends one packet at a time.

byte pool;
byte claims[WORDS];

#ifdef NO_CLAIMS
#define MISSED holdsWord = true
#else
#define MISSED skip
#endif

inline die() {
  dying = true;
  up = false;
  forget(ofProducer);
  ofProducer = 0
}

// SlotCache.followPeer. `producerPeer` is PacketSlab.peer, `cachePeer` what this cache has of it.
inline follow() {
  if
  :: cachePeer[self] != producerPeer ->
    d_step {
      cachePeer[self] = producerPeer;
      sweep();
      head = OUR_PEER.now[HEAD]
    }
  :: else
  fi
}

// SlotCache.allocate(into:) for one slot, one word after the other. A word stays claimed while it has free slots.
inline allocate() {
  do
  :: made || searched == WORDS -> break
  :: !made && searched < WORDS ->
#ifdef FOLLOW_BEFORE_CLAIM
    STEP(follow());
#endif
    // PacketSlab.claim
    if
    :: !holdsWord ->
      STEP(if
        :: claims[word] == 0 -> claims[word] = 1; holdsWord = true
        :: else -> MISSED
        fi)
    :: else
    fi;
    if
    :: holdsWord ->
#ifndef FOLLOW_BEFORE_CLAIM
      STEP(follow());
#endif
      // PacketSlab.free, its three loads.
      STEP(bits = OURS.now[ALLOCATED + word]);
      STEP(load(OUR_PEER, OFFERS + word, other, FREED_LOAD));
      STEP(bits = ~(bits ^ other) & ~held & MASK(word); other = 0;
        if
        :: bits == 3 -> bits = 1
        :: else
        fi);
      if
      :: bits != 0 ->
        // PacketSlab.take, its two exchanges.
        STEP(d_step {
            assert(!(bits & (ofProducer | inRing | ofConsumer)));
            ofProducer = ofProducer | bits;
            held = held ^ bits
          });
        STEP(own(OURS, ALLOCATED + word, OURS.now[ALLOCATED + word] ^ bits); pool = pool | bits; bits = 0);
        made = true
      :: else -> STEP(claims[word] = 0; holdsWord = false)
      fi
    :: else
    fi;
    if
    :: !made -> searched++; word = (word + 1) % WORDS
    :: else
    fi
  od;
  atomic { made = false; searched = 0; resting++ }
}

// SlotCache.giveBack: PacketSlab.giveBack, its two exchanges.
inline give_back() {
  STEP(own(OURS, ALLOCATED + WORD_OF(slot), OURS.now[ALLOCATED + WORD_OF(slot)] ^ BIT(slot)));
  STEP(d_step {
      held = held & ~BIT(slot);
      ofProducer = ofProducer & ~BIT(slot);
      forget(BIT(slot));
      slot = 0;
      resting++
    })
}

// SlotCache.reserve for one entry.
inline reserve() {
  STEP(position = OURS.now[TAIL]);
again:
  if
  :: LESS(position + 1, head) > ENTRIES ->
    STEP(follow());
    STEP(head = OUR_PEER.now[HEAD]);
    STEP(position = OURS.now[TAIL]);
    if
    :: LESS(position + 1, head) > ENTRIES -> atomic { pool = pool | BIT(slot); slot = 0; position = 0; resting++; goto work }
    :: else
    fi
  :: else
  fi;
#ifdef NO_EXCHANGE
  STEP(own(OURS, TAIL, (position + 1) % MODULUS))
#else
  STEP(if
    :: OURS.now[TAIL] == position -> own(OURS, TAIL, (position + 1) % MODULUS)
    :: else -> position = OURS.now[TAIL]; goto again
    fi)
#endif
}

// SlotCache.publish: `ring.release`.
inline publish() {
  d_step {
    OURS.now[RING + position % ENTRIES] = slot | LAP(position);
    assert(ofProducer & BIT(slot));
    ofProducer = ofProducer & ~BIT(slot);
    inRing = inRing | BIT(slot);
    sentNumber[slot] = next[self];
    sentBy[slot] = self;
    next[self] = (next[self] + 1) % NUMBERS;
    position = 0; slot = 0;
    resting++
  }
}

active [THREADS] proctype Producer() {
  byte self, head, position, other, taken, bits, word, slot, searched, i;
  bool made, holdsWord;

  atomic { self = _pid; resting++ };

work:
  do
  :: atomic { !dying -> resting-- };
    allocate()
  :: atomic { !dying && pool != 0 && MAY_SEND ->
      if
      :: pool & 1
      :: pool & 2 -> slot = 1
      fi;
      pool = pool & ~BIT(slot);
      resting--;
      SENT;
      d_step {
        assert(!(ofConsumer & BIT(slot)));
        write_bytes(OURS, BYTES + slot, CONTENT(next[self], self))
      }
    };
    reserve();
    // PacketSlab.letGo
    STEP(held = held & ~BIT(slot));
    STEP(publish())
  :: atomic { !dying && pool != 0 ->
      if
      :: pool & 1
      :: pool & 2 -> slot = 1
      fi;
      pool = pool & ~BIT(slot);
      resting--
    };
    give_back()
  :: atomic { !dying && MAY_DIE -> DEATH; die(); goto dead }
  :: atomic { dying -> goto dead }
  od;

dead:
  atomic {
    dead_threads++;
    head = 0; position = 0; other = 0; taken = 0; bits = 0; word = 0; slot = 0; searched = 0; i = 0;
    made = false; holdsWord = false
  };
  if
  :: atomic { self != 0 -> up; head = OUR_PEER.now[HEAD] };
    goto work
  :: atomic {
      self == 0 && dead_threads == THREADS ->
      dead_threads = 0;
      pool = 0;
      for (i : 0 .. WORDS - 1) { claims[i] = 0 }
      i = 0;
      inherit()
    }
  fi;
  recover();
  head = OUR_PEER.now[HEAD];
  goto work
}

// ChannelProducer.attach(consumer:), which is called at any time.
active proctype Attach() {
end:
  do
  :: d_step { up && !dying && producerPeer != announcedConsumer -> producerPeer = announcedConsumer }
  od
}
