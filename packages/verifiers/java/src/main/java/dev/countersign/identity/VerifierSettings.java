package dev.countersign.identity;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * The settings of a {@link Verifier}. Each {@code with} method returns a copy.
 *
 * @param audience        the name of this service in gateway.yaml
 * @param keySetUrl       the URL of the gateway's key set, or null with secrets alone
 * @param allowsPlainHttp whether plain http to another host than loopback is allowed (R13-3)
 * @param secrets         secrets that the gateway shares with this service, at least 32 bytes each
 * @param agreement       the service's keys for agreement, or null
 * @param nonceMemory     a memory that all instances share, or null for one in this process
 * @param maxNonces       the size of the memory in this process
 * @param maxBodyBytes    how much of a body is buffered; more is answered 413
 * @param streams         whether the handler reads the bodies of a path as a stream
 * @param toleranceSec    how far clocks may differ, 0 to 60
 * @param maxLifetimeSec  the longest lifetime, 1 to 300
 * @param clock           the clock
 */
public record VerifierSettings(String audience, URI keySetUrl, boolean allowsPlainHttp, List<byte[]> secrets,
                               AgreedKeys agreement, NonceMemory nonceMemory, int maxNonces, int maxBodyBytes,
                               Predicate<String> streams, int toleranceSec, int maxLifetimeSec, Clock clock) {
    /** Checks the bounds. @throws IllegalArgumentException for a value outside of them */
    public VerifierSettings {
        if (!Grammar.ID.test(audience)) throw new IllegalArgumentException("audience: not a name of a service");
        boolean bounded = toleranceSec >= 0 && toleranceSec <= 60 && maxLifetimeSec >= 1 && maxLifetimeSec <= 300
            && maxNonces > 0 && maxBodyBytes >= 0 && maxBodyBytes < Integer.MAX_VALUE;
        if (!bounded) throw new IllegalArgumentException("a limit is out of its bounds");
        if (keySetUrl != null && !allowsPlainHttp && !isSafe(keySetUrl)) {
            throw new IllegalArgumentException("keySetUrl: plain http to another host needs allowsPlainHttp");
        }
        secrets = List.copyOf(secrets);
    }

    /** {@return settings with a key set, 1,000,000 nonces, bodies up to 1 MiB, 5 s tolerance and 60 s lifetime} */
    public static VerifierSettings of(String audience, String keySetUrl) {
        URI url = keySetUrl == null ? null : URI.create(keySetUrl);
        return new VerifierSettings(audience, url, false, List.of(), null, null, 1_000_000, 1 << 20, path -> false, 5,
            60, Clock.systemUTC());
    }

    /** {@return a copy with secrets: their UTF-8 bytes are the keys (R5-7)} */
    public VerifierSettings withSecrets(String... texts) {
        List<byte[]> added = Stream.of(texts).map(text -> text.getBytes(StandardCharsets.UTF_8)).toList();
        return new VerifierSettings(audience, keySetUrl, allowsPlainHttp, added, agreement, nonceMemory, maxNonces,
            maxBodyBytes, streams, toleranceSec, maxLifetimeSec, clock);
    }

    /** {@return a copy with keys for agreement (Section 14)} */
    public VerifierSettings withAgreement(AgreedKeys keys) {
        return new VerifierSettings(audience, keySetUrl, allowsPlainHttp, secrets, keys, nonceMemory, maxNonces,
            maxBodyBytes, streams, toleranceSec, maxLifetimeSec, clock);
    }

    /** {@return a copy with paths whose bodies the handler reads as a stream (R8-3)} */
    public VerifierSettings withStreams(Predicate<String> paths) {
        return new VerifierSettings(audience, keySetUrl, allowsPlainHttp, secrets, agreement, nonceMemory, maxNonces,
            maxBodyBytes, paths, toleranceSec, maxLifetimeSec, clock);
    }

    private static boolean isSafe(URI url) {
        String host = url.getHost();
        if ("https".equalsIgnoreCase(url.getScheme())) return true;
        return host != null && (host.equalsIgnoreCase("localhost") || host.toLowerCase().endsWith(".localhost")
            || host.matches("127(\\.[0-9]{1,3}){3}") || host.equals("[::1]"));
    }
}
