// The successor of a producer: ChannelProducer.init(succeeding:consumer:) with ProducerRecovery of Recovery.swift.
//
// Its half is its own until it is announced; what it does to it comes with the load before. A successor that dies is
// succeeded by one that begins with the same half as it did.

// `Ring.settle` of the ring. `bits` are the slots in it.
inline settle_ring() {
  position = head;
  do
  :: LESS(position, head) >= ENTRIES -> break
  :: LESS(position, head) < ENTRIES && (OURS.now[RING + position % ENTRIES] & LAP_BIT) == LAP(position) ->
    if
    :: (OURS.now[RING + position % ENTRIES] & NO_SLOT) < SLOTS ->
      bits = bits | BIT(OURS.now[RING + position % ENTRIES] & NO_SLOT)
    :: else
    fi;
    position = (position + 1) % MODULUS
  :: LESS(position, head) < ENTRIES && (OURS.now[RING + position % ENTRIES] & LAP_BIT) != LAP(position) ->
    if
    :: LESS(OURS.now[TAIL], position) <= ENTRIES && OURS.now[TAIL] != position ->
#ifdef NO_HOLES
      break
#else
      own(OURS, RING + position % ENTRIES, NO_SLOT | LAP(position));
      position = (position + 1) % MODULUS
#endif
    :: else -> break
    fi
  od;
#ifndef NO_HOLES
  own(OURS, TAIL, position);
#endif
  position = 0
}

// First the head, then the bits.
inline settle() {
  STEP(load(OUR_PEER, HEAD, head, RECOVERY_HEAD_LOAD); d_step { settle_ring() })
}

inline reclaim_word() {
  d_step {
#ifdef NO_IN_RING
    bits = 0;
#endif
#ifndef NO_RECLAIM
    own(OURS, ALLOCATED + word, OURS.now[ALLOCATED + word] ^
      ((OURS.now[ALLOCATED + word] ^ other) & ~(taken ^ other) & ~bits & MASK(word)));
#endif
    taken = 0; other = 0;
    word++
  }
}

inline reclaim() {
  do
  :: word == WORDS -> break
  :: word < WORDS ->
#ifdef FREED_BEFORE_TAKEN
    STEP(load(OUR_PEER, FREED + word, other, RECOVERY_FREED_LOAD));
    STEP(load(OUR_PEER, TAKEN + word, taken, RECOVERY_TAKEN_LOAD); reclaim_word())
#else
    STEP(load(OUR_PEER, TAKEN + word, taken, RECOVERY_TAKEN_LOAD));
    STEP(load(OUR_PEER, FREED + word, other, RECOVERY_FREED_LOAD); reclaim_word())
#endif
  od;
  word = 0
}

// Up to the copy. A half that was never announced is lost with its maker.
inline inherit() {
  d_step {
    dying = false;
    resting = 0;
    held = 0;
    producerMine = announcedProducer;
    producerPeer = announcedConsumer;
    cachePeer[0] = announcedConsumer;
    cachePeer[THREADS - 1] = announcedConsumer;
    sweep();
    do
    :: producerMine == announcedProducer || producerMine == consumerPeer -> producerMine = (producerMine + 1) % 3
    :: else -> break
    od;
    copy(producers[announcedProducer], OURS);
#ifdef NO_BYTES
    for (i : 0 .. SLOTS - 1) { OURS.now[BYTES + i] = 0 }
    i = 0;
#endif
    head = 0
  }
}

inline recover() {
#ifdef BITS_BEFORE_HEAD
  STEP(load(OUR_PEER, TAKEN, taken, RECOVERY_TAKEN_LOAD));
  STEP(load(OUR_PEER, FREED, other, RECOVERY_FREED_LOAD));
  settle();
  reclaim_word();
  word = 0;
#else
  settle();
  reclaim();
#endif
  // The keeper is told.
  STEP(
    d_step {
      bits = 0;
      announce(OURS);
      announcedProducer = producerMine;
      sweep();
      resting = THREADS;
      up = true
    })
}
