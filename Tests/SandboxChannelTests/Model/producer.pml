// A producer with one thread: SlotCache.swift and PacketSlab.swift of a channel whose `several` is 0.
//
// `allocated` and `tail` are read by a successor only, and so is what is written in a slot until it is sent: such a store
// is one step with the load before it. A death between the two leaves what a death before both leaves.

// Without races to be looked for in what nobody sends, fewer states are to be explored.
#ifdef WEAK
#define GIVES_BACK false
#else
#define GIVES_BACK true
#endif

inline die() {
  up = false;
  resting = 0;
  forget(ofProducer);
  ofProducer = 0
}

// SlotCache.followPeer, where the keeper has told of a new consumer and ChannelProducer.attach was called, or not yet.
inline follow() {
  if
  :: cachePeer[0] != announcedConsumer ->
    d_step {
      cachePeer[0] = announcedConsumer;
      producerPeer = announcedConsumer;
      sweep()
    };
    load(OUR_PEER, HEAD, head, HEAD_LOAD)
  :: true
  fi
}

// SlotCache.allocate(into:) of one word: PacketSlab.free and PacketSlab.take. Slots are taken from the lowest on;
// which of them matters to nobody, so any are.
inline allocate() {
  follow();
  load(OUR_PEER, OFFERS + word, other, FREED_LOAD);
  bits = ~(OURS.now[ALLOCATED + word] ^ other) & ~held & MASK(word);
  other = 0;
  if
  :: bits == 3 -> bits = 1
  :: bits == 3 -> bits = 2
  :: true
  fi;
  d_step {
    assert(!(bits & (ofProducer | inRing | ofConsumer)));
    ofProducer = ofProducer | bits;
    held = held ^ bits;
    own(OURS, ALLOCATED + word, OURS.now[ALLOCATED + word] ^ bits);
    bits = 0; word = 0
  }
}

// SlotCache.giveBack: PacketSlab.giveBack.
inline give_back() {
  d_step {
    own(OURS, ALLOCATED + word, OURS.now[ALLOCATED + word] ^ bits);
    held = held & ~bits;
    ofProducer = ofProducer & ~bits;
    forget(bits);
    bits = 0; word = 0
  }
}

// The bytes of a slot that is held, which the consumer must not be reading.
inline fill(slot) {
  assert(!(ofConsumer & BIT(slot)));
#ifdef WEAK
  no_race(OUR_PEER, READ + slot, producerMine);
  no_race(consumers[announcedConsumer], READ + slot, producerMine);
#endif
  write_bytes(OURS, BYTES + slot, CONTENT((next[0] + i) % NUMBERS, 0))
}

// SlotCache.reserve for `count` entries. `position` is the first one's. Not WEAK, the head is as good as never out of
// date: an older one only makes this load it anew.
inline reserve() {
#ifndef WEAK
  head = OUR_PEER.now[HEAD];
#endif
  position = OURS.now[TAIL];
  if
  :: LESS(position + count, head) > ENTRIES ->
    follow();
    load(OUR_PEER, HEAD, head, HEAD_LOAD)
  :: else
  fi;
  d_step {
    if
    :: LESS(position + count, head) > ENTRIES -> count = 0; batch[0] = 0; batch[1] = 0
    :: else ->
#ifndef ENTRY_BEFORE_BYTES
      for (i : 0 .. count - 1) { fill(batch[i]) }
#endif
      i = 0;
      own(OURS, TAIL, (position + count) % MODULUS);
      for (i : 0 .. count - 1) { held = held & ~BIT(batch[i]) } // PacketSlab.letGo
      i = 0;
      resting = 0
    fi
  }
}

// One descriptor of SlotCache.publish: `ring.release`.
inline publish(index) {
  store(OURS, RING + position % ENTRIES, batch[index] | LAP(position), RING_STORE);
  d_step {
    position = (position + 1) % MODULUS;
    assert(ofProducer & BIT(batch[index]));
    ofProducer = ofProducer & ~BIT(batch[index]);
    inRing = inRing | BIT(batch[index]);
    sentNumber[batch[index]] = next[0];
    next[0] = (next[0] + 1) % NUMBERS
  }
}

inline end_send() {
  d_step {
    position = 0; count = 0; batch[0] = 0; batch[1] = 0;
#ifndef WEAK
    head = 0;
#endif
    resting = 1
  }
}

active proctype Producer() {
  byte head, position, other, taken, bits, word, count, i;
  byte batch[2];

  resting = 1;

work:
  do
  :: atomic {
      if
      :: word = 0
      :: WORDS == 2 -> word = 1
      fi;
      allocate()
    }
  :: atomic {
      held != 0 && GIVES_BACK ->
      if
      :: held & 1 -> bits = 1
      :: held & 2 -> bits = 2; word = WORD_OF(1)
      fi;
      give_back()
    }
  // SlotCache.send, of one packet or of two in one word in either order.
  :: atomic {
      held != 0 && MAY_SEND ->
      if
      :: held & 1 -> count = 1
      :: held & 2 -> count = 1; batch[0] = 1
      :: SLOTS_PER_WORD == 2 && held == 3 -> count = 2; batch[1] = 1
      :: SLOTS_PER_WORD == 2 && held == 3 -> count = 2; batch[0] = 1
      fi;
      reserve();
      if
      :: count == 0 -> position = 0; goto work
      :: else -> SENT
      fi
    };
#ifdef ENTRY_BEFORE_BYTES
    STEP(publish(0));
    STEP(write_bytes(OURS, BYTES + batch[0], CONTENT(sentNumber[batch[0]], 0)); count == 1; end_send())
#else
    if
    :: atomic { count == 1; publish(0); end_send() }
    :: atomic { count == 2; publish(0) };
      STEP(publish(1); end_send())
    :: atomic { MAY_DIE -> DEATH; die(); goto dead }
    fi
#endif
  :: atomic { MAY_DIE -> DEATH; die(); goto dead }
  od;

dead:
  atomic {
    position = 0; other = 0; taken = 0; bits = 0; word = 0; count = 0; i = 0; batch[0] = 0; batch[1] = 0;
    inherit()
  };
  recover();
  atomic {
#ifndef WEAK
    head = 0;
#endif
    goto work
  }
}
