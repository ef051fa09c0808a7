package dev.countersign.identity;

import java.time.Clock;
import java.util.List;
import java.util.function.*;

/** The settings of a {@link Verifier}, which checks them. */
public final class VerifierSettings {
    /** The name of this service in gateway.yaml. */
    public String audience;
    /** The URL of the gateway's key set, https or on loopback; null with secrets alone (R13-3). */
    public String keySetUrl;
    /** Whether plain http may leave loopback: an attacker on the way could be any caller. */
    public boolean allowsPlainHttp;
    /** Secrets that the gateway shares with this service, each at least 32 bytes in UTF-8 (R5-7). */
    public List<String> secrets = List.of();
    /** The service's keys for agreement (Section 14), or null. */
    public AgreedKeys agreement;
    /** A memory that all instances share; null is one in this process. */
    public NonceMemory nonces;
    /** How many nonces the memory in this process holds; a request that does not fit is answered 503. */
    public int maxNonces = 1_000_000;
    /** How many bytes of a body are buffered; more is answered 413. */
    public int maxBodyBytes = 1 << 20;
    /** How far clocks may differ, 0 to 60 s. */
    public int toleranceSec = 5;
    /** The longest lifetime of a signature, 1 to 300 s. */
    public int maxLifetimeSec = 60;
    /** Whether the handler reads the bodies of a path, without its query, as a stream (R8-3). */
    public Predicate<String> streams = path -> false;
    /** Called for each refusal, to count {@link Refused#reason()}. */
    public Consumer<Refused> onRefused = refused -> {};
    Clock clock = Clock.systemUTC();
}
