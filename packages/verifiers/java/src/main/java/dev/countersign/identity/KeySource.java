package dev.countersign.identity;

import java.util.function.Function;

/** Where a verifier has the gateway's key set from. */
interface KeySource extends AutoCloseable {
    /** The set that is held, after the fetch at start. @throws Refused {@code keys_unavailable} without one */
    KeySet held();

    /**
     * What {@code lookup} finds, after a fetch if it finds nothing and a fetch is allowed.
     *
     * @return null if it is unknown
     * @throws Refused {@code keys_unavailable} without a set
     */
    <T> Found<T> find(Function<KeySet, T> lookup);

    /** Whether a set is held. */
    boolean isReady();

    @Override
    void close();

    /**
     * The result of a lookup.
     *
     * @param value      null if unknown
     * @param lastFailed whether the last fetch failed, so that an unknown keyid may be one of a newer set
     */
    record Found<T>(T value, boolean lastFailed) {}

    /** A set that never changes, for tests. */
    static KeySource fixed(KeySet set) {
        return new KeySource() {
            @Override
            public KeySet held() {
                return set;
            }

            @Override
            public <T> Found<T> find(Function<KeySet, T> lookup) {
                return new Found<>(lookup.apply(set), false);
            }

            @Override
            public boolean isReady() {
                return true;
            }

            @Override
            public void close() {}
        };
    }
}
