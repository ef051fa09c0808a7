package dev.countersign.identity;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.*;
import java.util.function.*;

/** The settings of a {@link Verifier}. Each method throws {@code IllegalArgumentException} for a value out of bounds. */
public final class VerifierSettings {
    final String audience;
    URI keySetUrl;
    final List<byte[]> secrets = new ArrayList<>();
    AgreedKeys agreement;
    NonceMemory nonces;
    int maxNonces = 1_000_000;
    int maxBodyBytes = 1 << 20;
    int toleranceSec = 5;
    int maxLifetimeSec = 60;
    Predicate<String> streams = path -> false;
    Consumer<Refused> onRefused = refused -> {};
    Clock clock = Clock.systemUTC();

    /** Settings for a service that has this name in gateway.yaml. */
    public VerifierSettings(String audience) {
        require(Grammar.ID.test(audience), "audience");
        this.audience = audience;
    }

    /** Sets the URL of the gateway's key set: https, or http on loopback (R13-3). */
    public VerifierSettings keySetUrl(String url) {
        String host = String.valueOf(URI.create(url).getHost()).toLowerCase(Locale.ROOT);
        require(url.startsWith("https:") || host.matches("(.*\\.)?localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\]"), "keySetUrl");
        return privateKeySetUrl(url);
    }

    /** Sets a URL that may have plain http. An attacker on the way can be any caller, so use a private network. */
    public VerifierSettings privateKeySetUrl(String url) {
        keySetUrl = URI.create(url);
        return this;
    }

    /** Adds a secret that the gateway shares with this service, at least 32 bytes in UTF-8 (R5-7). */
    public VerifierSettings secret(String text) {
        secrets.add(text.getBytes(StandardCharsets.UTF_8));
        return this;
    }

    /** Sets the service's keys for agreement (Section 14). */
    public VerifierSettings agreement(AgreedKeys keys) {
        agreement = keys;
        return this;
    }

    /** Sets a memory that all instances share, in place of one for 1,000,000 nonces in this process. */
    public VerifierSettings nonces(NonceMemory memory) {
        nonces = memory;
        return this;
    }

    /** Sets how many bytes of a body are buffered, by default 1 MiB; more is answered 413. */
    public VerifierSettings maxBodyBytes(int bytes) {
        require(bytes >= 0 && bytes < Integer.MAX_VALUE, "maxBodyBytes");
        maxBodyBytes = bytes;
        return this;
    }

    /** Sets how far clocks may differ, 0 to 60 s, and the longest lifetime, 1 to 300 s (R9-13). */
    public VerifierSettings times(int tolerance, int maxLifetime) {
        require(tolerance >= 0 && tolerance <= 60 && maxLifetime >= 1 && maxLifetime <= 300, "times");
        toleranceSec = tolerance;
        maxLifetimeSec = maxLifetime;
        return this;
    }

    /** Sets the paths, without the query, whose bodies the handler reads as a stream (R8-3). */
    public VerifierSettings streams(Predicate<String> paths) {
        streams = paths;
        return this;
    }

    /** Sets what is called for each refusal, to count {@link Refused#reason()}. */
    public VerifierSettings onRefused(Consumer<Refused> listener) {
        onRefused = listener;
        return this;
    }

    private static void require(boolean condition, String name) {
        if (!condition) throw new IllegalArgumentException(name + " is out of its bounds");
    }
}
