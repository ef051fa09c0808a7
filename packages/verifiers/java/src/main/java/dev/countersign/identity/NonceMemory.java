package dev.countersign.identity;

import java.io.IOException;
import java.util.*;

/** The memory of nonces, Section 9.4. Instances that accept one audience should share one (R9-21). */
public interface NonceMemory {
    /** A nonce is new and remembered now, or was accepted before, or may have been accepted and forgotten. */
    enum Claim { NEW, REPLAYED, BEFORE_START }

    /** Looks up and stores a nonce in one step, through {@code keepSec}. @throws IOException if it cannot (503) */
    Claim claim(String nonce, long createdSec, long keepSec, long nowSec) throws IOException;

    /** {@return a memory in this process, which begins at the next second and has at most {@code maxNonces}} */
    static NonceMemory inProcess(long beganSec, int maxNonces) {
        Set<String> nonces = new HashSet<>();
        TreeMap<Long, List<String>> byLastSec = new TreeMap<>();
        long[] latestSec = {Long.MIN_VALUE};
        return (nonce, createdSec, keepSec, nowSec) -> {
            synchronized (nonces) {
                latestSec[0] = Math.max(latestSec[0], nowSec);
                while (!byLastSec.isEmpty() && byLastSec.firstKey() < latestSec[0]) {
                    byLastSec.pollFirstEntry().getValue().forEach(nonces::remove);
                }
                if (createdSec < beganSec || keepSec < latestSec[0]) return Claim.BEFORE_START;
                if (nonces.contains(nonce)) return Claim.REPLAYED;
                if (nonces.size() >= maxNonces) throw new IOException("the memory of nonces is full");
                nonces.add(nonce);
                byLastSec.computeIfAbsent(keepSec, second -> new ArrayList<>()).add(nonce);
                return Claim.NEW;
            }
        };
    }
}
