// The consumer: ChannelConsumer.swift, and ConsumerRecovery of Recovery.swift.

#define IT consumers[consumerMine]
#define ITS_PEER producers[consumerPeer]

// One step of the consumer, or its death instead of it.
#define DOES(step) \
  if \
  :: atomic { step } \
  :: atomic { MAY_DIE -> DEATH; goto dead } \
  fi

// Bits of a word are marked as taken: `half.taken.setRelaxed`.
inline mark_taken() {
  store(IT, TAKEN + word, IT.now[TAKEN + word] ^ bits, RELAXED);
  bits = 0; word = 0
}

// `half.head.release`. From here on the packets are the consumer's, and what it was to receive next is what comes next.
inline publish_head() {
  store(IT, HEAD, position, HEAD_STORE);
  d_step {
    for (i : 0 .. count - 1) {
      assert(inRing & BIT(batch[i])); // received twice, or never sent
      assert(sentNumber[batch[i]] == expected[SENDER(batch[i])]); // out of order, or one is lost
      expected[SENDER(batch[i])] = (expected[SENDER(batch[i])] + 1) % NUMBERS;
      inRing = inRing & ~BIT(batch[i]);
      ofConsumer = ofConsumer | BIT(batch[i])
    }
#ifndef WEAK
    // What stands in entries that everybody has passed is of no account, but for the lap.
    if
    :: up && !dying && producerPeer == announcedConsumer ->
      for (i : 0 .. ENTRIES - 1) {
        if
        :: i < LESS(position, head) ->
          k = RING + (head + i) % ENTRIES;
          producers[announcedProducer].now[k] = producers[announcedProducer].now[k] & LAP_BIT;
          producers[consumerPeer].now[k] = producers[consumerPeer].now[k] & LAP_BIT
        :: else
        fi
      }
      k = 0
    :: else
    fi;
#endif
    i = 0
  }
}

inline end_receive() {
  d_step {
    head = position;
    count = 0; ended = false; batch[0] = 0; batch[1] = 0;
    consumerRests = true
  }
}

// One entry that ChannelConsumer.receive(into:) finds. `ended` if there is none.
inline take_entry() {
  load(ITS_PEER, RING + position % ENTRIES, entry, RING_LOAD);
  d_step {
    if
    :: (entry & LAP_BIT) != LAP(position) -> ended = true
    :: else ->
      position = (position + 1) % MODULUS;
      slot = entry & NO_SLOT;
      if
      :: slot == NO_SLOT -> slot = 0 // a hole
      :: else ->
        // None of an honest producer's packets is counted as invalid.
        assert(!(((IT.now[TAKEN + WORD_OF(slot)] ^ IT.now[FREED + WORD_OF(slot)]) | bits) & BIT(slot)));
        batch[count] = slot;
        count++
      fi
    fi;
    entry = 0
  }
}

// ChannelConsumer.receive(into:), once the first entry was read: for one packet or two.
inline receive() {
  do
  :: ended || count == 2 || LESS(position, head) >= ENTRIES -> break
  :: count == 1 -> break
  :: !ended && count < 2 && LESS(position, head) < ENTRIES -> DOES(take_entry())
  od;
#ifdef HEAD_BEFORE_TAKEN
  DOES(publish_head());
#endif
  // Runs of packets in one word are marked by one store.
  if
  :: WORDS == 2 && count == 2 && WORD_OF(batch[0]) != WORD_OF(batch[1]) ->
    DOES(word = WORD_OF(batch[0]); bits = BIT(batch[0]); mark_taken());
    DOES(word = WORD_OF(batch[1]); bits = BIT(batch[1]); mark_taken())
  :: count == 2 && WORD_OF(batch[0]) == WORD_OF(batch[1]) ->
    DOES(word = WORD_OF(batch[0]); bits = BIT(batch[0]) | BIT(batch[1]); mark_taken())
  :: count == 1 -> DOES(word = WORD_OF(batch[0]); bits = BIT(batch[0]); mark_taken())
  :: count == 0
  fi;
#ifdef FREE_BEFORE_HEAD
  // As if packets were released before the head is published.
  if
  :: count > 0 ->
    DOES(word = WORD_OF(batch[0]);
      bits = BIT(batch[0]);
      store(IT, FREED + word, IT.now[FREED + word] ^ bits, FREED_STORE);
      bits = 0; word = 0)
  :: else
  fi;
#endif
#ifdef HEAD_BEFORE_TAKEN
  end_receive()
#else
  DOES(publish_head(); end_receive())
#endif
}

// Bytes of a packet that is held: ChannelConsumer.withBytes.
inline read_bytes() {
  d_step {
    no_race(ITS_PEER, BYTES + slot, NONE);
    assert(ITS_PEER.now[BYTES + slot] == CONTENT(sentNumber[slot], SENDER(slot)));
#ifdef WEAK
    // One read of a packet is noted at a time; that any may be the last one, other runs say.
    do
    :: k == IT.logged -> break
    :: k < IT.logged && FIELD(IT.what[k]) == READ + slot -> break
    :: k < IT.logged && FIELD(IT.what[k]) != READ + slot -> k++
    od;
    if
    :: k == IT.logged -> k = 0; log(IT, READ + slot, consumerPeer, RELAXED)
    :: else -> k = 0
    fi
#endif
  }
}

// ChannelConsumer.release of packets in one word: `half.freed.flip`.
inline release_bits() {
  d_step {
    ofConsumer = ofConsumer & ~bits;
    forget(bits)
  };
  store(IT, FREED + word, IT.now[FREED + word] ^ bits, FREED_STORE)
}

// ConsumerRecovery.run, without the copy: packets in the ring, though marked as taken, are to be received.
inline undo_entry() {
  load(ITS_PEER, RING + position % ENTRIES, entry, RECOVERY_RING_LOAD);
  d_step {
    if
    :: (entry & LAP_BIT) != LAP(position) -> ended = true
    :: else ->
      slot = entry & NO_SLOT;
      if
      :: slot < SLOTS ->
        IT.now[TAKEN + WORD_OF(slot)] = (IT.now[TAKEN + WORD_OF(slot)] & ~BIT(slot)) |
          (IT.now[FREED + WORD_OF(slot)] & BIT(slot))
      :: else
      fi;
      position = (position + 1) % MODULUS;
      slot = 0
    fi;
    entry = 0
  }
}

inline undo_taken() {
  do
  :: ended || LESS(position, head) >= ENTRIES -> break
  :: !ended && LESS(position, head) < ENTRIES -> DOES(undo_entry())
  od
}

// What the dead consumer held is free again. Nobody reads the new half yet.
inline abandon() {
  for (i : 0 .. WORDS - 1) { IT.now[FREED + i] = IT.now[TAKEN + i] }
  i = 0
}
#ifdef NO_ABANDON
#define ABANDON
#else
#define ABANDON abandon();
#endif

active proctype Consumer() {
  byte head, position, entry, slot, word, bits, count, i;
  byte batch[2];
  bool ended;

work:
  do
  // A call of receive that finds something.
  :: atomic {
      take_entry();
      if
      :: ended -> ended = false; goto work
      :: else -> consumerRests = false
      fi
    };
    receive()
  // Reads a packet that it holds, and may hold it further.
  :: atomic {
      ofConsumer != 0 ->
      if
      :: ofConsumer & 1 -> slot = 0
      :: ofConsumer & 2 -> slot = 1
      fi;
      read_bytes();
      slot = 0
    }
  // Releases one, or all of a word.
  :: atomic {
      ofConsumer != 0 ->
      if
      :: ofConsumer & 1 -> bits = 1
      :: ofConsumer & 2 -> bits = 2; word = WORD_OF(1)
      :: SLOTS_PER_WORD == 2 && ofConsumer == 3 -> bits = 3
      fi;
      release_bits();
      bits = 0; word = 0
    }
  :: atomic { MAY_DIE -> DEATH; goto dead }
  // ChannelConsumer.attach(producer:), some time after the keeper was told of the new producer.
  :: d_step {
      consumerPeer != announcedProducer ->
      consumerPeer = announcedProducer;
      sweep()
    }
  od;

dead:
  // ChannelConsumer.init(succeeding:producer:), up to the copy. A half that was never announced is lost with its maker.
  atomic {
    consumerRests = false;
    head = 0; position = 0; entry = 0; slot = 0; word = 0; bits = 0; count = 0; ended = false; i = 0;
    batch[0] = 0; batch[1] = 0;
    consumerMine = announcedConsumer;
    consumerPeer = announcedProducer;
    sweep();
    do
    :: consumerMine == announcedConsumer || READ_BY_PRODUCER(consumerMine) ->
      consumerMine = (consumerMine + 1) % HALVES
    :: else -> break
    od;
    copy(consumers[announcedConsumer], IT);
    head = IT.now[HEAD];
    position = head
  }
#ifdef ABANDON_FIRST
  atomic { abandon() };
#endif
#ifndef NO_UNDO
  undo_taken();
#endif
  // The keeper is told.
  DOES(
    d_step {
      ABANDON
      announce(IT);
      announcedConsumer = consumerMine;
      sweep();
      forget(ofConsumer);
      ofConsumer = 0;
      forget(0);
      position = head; ended = false;
      consumerRests = true
    });
  goto work
}
