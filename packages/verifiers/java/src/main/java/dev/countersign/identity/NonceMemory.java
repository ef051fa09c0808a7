package dev.countersign.identity;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.ArrayList;
import java.util.Set;
import java.util.TreeMap;

/** The memory of nonces, Section 9.4 of the draft. Instances that accept one audience should share one (R9-21). */
public interface NonceMemory {
    /** What the memory decided about a nonce. */
    enum Claim {
        /** The nonce is new, and is remembered now. */
        NEW,
        /** The nonce was accepted before. */
        REPLAYED,
        /** The request is from before the memory began, or its nonce may be forgotten. */
        BEFORE_START
    }

    /**
     * Looks up and stores a nonce in one step, for any number of threads and instances.
     *
     * @param nonce      16 to 64 characters
     * @param createdSec when the request was signed, Unix seconds
     * @param keepSec    the last Unix second in which the nonce must be remembered
     * @param nowSec     Unix seconds on the clock of the verifier
     * @throws IOException if the memory is full or cannot be reached: the verifier answers 503
     */
    Claim claim(String nonce, long createdSec, long keepSec, long nowSec) throws IOException;

    /**
     * A memory in this process, for services with one process.
     *
     * @param beganSec   the Unix second in which it begins: the next whole second (R9-18)
     * @param maxNonces  how many nonces it remembers, about 200 bytes each
     */
    static NonceMemory inProcess(long beganSec, int maxNonces) {
        return new InProcess(beganSec, maxNonces);
    }

    /** A memory that forgets a nonce after its last second. */
    final class InProcess implements NonceMemory {
        private final long beganSec;
        private final int maxNonces;
        private final Set<String> nonces = new HashSet<>();
        private final TreeMap<Long, List<String>> byLastSecond = new TreeMap<>();
        private long latestSec = Long.MIN_VALUE;

        private InProcess(long beganSec, int maxNonces) {
            this.beganSec = beganSec;
            this.maxNonces = maxNonces;
        }

        @Override
        public synchronized Claim claim(String nonce, long createdSec, long keepSec, long nowSec) throws IOException {
            latestSec = Math.max(latestSec, nowSec);
            while (!byLastSecond.isEmpty() && byLastSecond.firstKey() < latestSec) {
                nonces.removeAll(Set.copyOf(byLastSecond.pollFirstEntry().getValue()));
            }
            if (createdSec < beganSec || keepSec < latestSec) return Claim.BEFORE_START;
            if (nonces.contains(nonce)) return Claim.REPLAYED;
            if (nonces.size() >= maxNonces) throw new IOException("the memory of nonces is full");
            nonces.add(nonce);
            byLastSecond.computeIfAbsent(keepSec, second -> new ArrayList<>()).add(nonce);
            return Claim.NEW;
        }
    }
}
