package dev.countersign.identity;

import java.time.Clock;
import java.util.List;
import java.util.function.*;

/** The settings of a {@link Verifier}, which checks them. Its README has a table of what they mean. */
public final class VerifierSettings {
    public String audience;
    /** Null with secrets alone. */
    public String keySetUrl;
    /** An attacker between the service and the gateway could then be any caller. */
    public boolean allowsPlainHttp;
    public List<String> secrets = List.of();
    public AgreedKeys agreement;
    public NonceMemory nonces;
    /** A request whose nonce does not fit is answered 503. */
    public int maxNonces = 1_000_000;
    public int maxBodyBytes = 1 << 20;
    public int toleranceSec = 5;
    public int maxLifetimeSec = 60;
    /** Tests a path without its query (R8-3). */
    public Predicate<String> streams = path -> false;
    public Consumer<Refused> onRefused = refused -> {};
    Clock clock = Clock.systemUTC();
}
