package dev.countersign.identity;

import java.io.IOException;
import java.security.MessageDigest;
import java.util.*;
import java.util.regex.Matcher;

/**
 * Verifies the requests that a Countersign gateway signs: Section 9 of {@code draft-countersign-identity}. It is safe
 * for any number of threads. {@link #close()} stops the fetches of the key set.
 */
public final class Verifier implements AutoCloseable {
    private final VerifierSettings settings;
    private final Map<String, byte[]> secrets = new LinkedHashMap<>();
    private final RemoteKeySet keys;
    private final AgreedKeys agreed;
    private final NonceMemory nonces;
    private final long beganSec;

    /** Reads a body. */
    @FunctionalInterface
    public interface Body {
        /** Reads at most {@code maxBytes}, fewer only at the end of the body. @throws IOException if it breaks off */
        byte[] read(int maxBytes) throws IOException;
    }

    /**
     * A request that the handler may see.
     *
     * @param identity the caller
     * @param body     the octets of the body, or null if the handler reads it as a stream
     * @param base     the signature base, for tests
     */
    public record Verified(Identity identity, byte[] body, String base) {}

    /** Starts the fetches of the key set. @throws IllegalArgumentException if a setting must not be used */
    public Verifier(VerifierSettings settings) {
        this(settings, null);
    }

    /** With a key set for tests, published keys are allowed. */
    Verifier(VerifierSettings settings, KeySet forTests) {
        this.settings = settings;
        beganSec = nowSec() + 1;
        for (byte[] secret : settings.secrets) {
            if (secret.length < 32 || forTests == null && Published.SECRET_KEYIDS.contains(secretKeyid(secret))) {
                throw new IllegalArgumentException("a secret is published or has fewer than 32 bytes");
            }
            secrets.put(secretKeyid(secret), secret);
        }
        nonces = settings.nonces == null ? NonceMemory.inProcess(beganSec, settings.maxNonces) : settings.nonces;
        agreed = settings.agreement;
        if (agreed != null) agreed.check(settings.audience, settings.nonces == null, forTests != null);
        boolean hasKeySet = forTests != null || settings.keySetUrl != null;
        if (!hasKeySet && (secrets.isEmpty() || agreed != null)) {
            throw new IllegalArgumentException("keySetUrl or a secret is required; agreed keys require keySetUrl");
        }
        keys = forTests != null ? new RemoteKeySet(forTests) : hasKeySet ? new RemoteKeySet(settings.keySetUrl) : null;
    }

    static String secretKeyid(byte[] secret) {
        byte[] name = Crypto.octets("countersign hmac keyid\0");
        return Crypto.base64url(Crypto.sha256(Crypto.join(name, secret))).substring(0, 22);
    }

    /** {@return whether requests can be accepted: a key set is held, and the memory of nonces began} */
    public boolean isReady() {
        return (settings.nonces != null || nowSec() >= beganSec) && (keys == null || keys.isReady());
    }

    /** {@return the service's keys for agreement, or null} */
    public AgreedKeys agreement() { return agreed; }

    /** {@return the response to a refused request; tells the listener of the settings} */
    public Refused.Response answer(Request request, Refused refused) {
        settings.onRefused.accept(refused);
        return refused.response(request);
    }

    /**
     * Executes the algorithm of Section 9, without the exempt paths ({@link Request#isExempt()}).
     *
     * @throws Refused     with the response
     * @throws IOException if the body breaks off
     */
    public Verified verify(Request request, Body body) throws IOException {
        Refused.unless("target_malformed", Grammar.isTarget(request));
        Map<String, String> headers = Fields.read(request.lines());
        Matcher input = signatureInput(headers);
        Map<String, Object> context = Fields.check(headers, request.method());
        Refused.unless("coverage_insufficient", input.group(2).equals(list(headers)));
        Refused.unless("audience_mismatch", headers.get("x-identity-audience").equals(settings.audience));
        long created = Long.parseLong(input.group(3));
        long expires = Long.parseLong(input.group(4));
        int tolerance = settings.toleranceSec;
        Refused.unless("lifetime_invalid", expires > created && expires - created <= settings.maxLifetimeSec);
        Refused.unless("created_in_future", created <= nowSec() + tolerance);
        Refused.unless("expired", nowSec() <= expires + tolerance);
        boolean isStream = settings.streams.test(request.path());
        cover(request.method(), headers, hasBody(headers), isStream);
        String base = base(request, headers, input.group(1));
        checkSignature(headers.get("signature"), input.group(6), input.group(7), Crypto.octets(base));
        byte[] octets = null;
        if (!isStream || headers.containsKey("content-digest")) {
            octets = body.read(settings.maxBodyBytes + 1);
            if (octets.length > settings.maxBodyBytes) throw Refused.tooLarge();
            if (octets.length > 0) cover(request.method(), headers, true, isStream);
            String digest = "sha-256=:" + Base64.getEncoder().encodeToString(Crypto.sha256(octets)) + ":";
            Refused.unless("content_digest_mismatch", headers.getOrDefault("content-digest", digest).equals(digest));
        }
        Refused.unless("expired", nowSec() <= expires + tolerance);
        claim(input.group(5), created, expires + 3L * tolerance);
        return new Verified(new Identity(headers.get("x-identity"), headers.get("x-request-id"), context,
            headers.get("x-service-id"), headers.get("x-client-id"), headers.get("x-user-id"), headers.get("x-user-role"),
            headers.get("x-tenant-id"), headers.get("txn-token")), octets, base);
    }

    @Override
    public void close() {
        if (keys != null) keys.close();
    }

    private long nowSec() { return settings.clock.instant().getEpochSecond(); }

    private static Matcher signatureInput(Map<String, String> headers) {
        String input = headers.get("signature-input");
        String signature = headers.get("signature");
        Refused.unless("signature_missing", input != null && signature != null);
        Matcher parts = Grammar.SIGNATURE_INPUT.matcher(input);
        Refused.unless("signature_malformed", input.length() <= 1024 && parts.matches()
            && Grammar.SIGNATURE.matcher(signature).matches());
        Refused.unless("tag_mismatch", parts.group(8).equals("countersign-v1"));
        return parts;
    }

    private static String list(Map<String, String> headers) {
        StringBuilder list = new StringBuilder("(\"@method\" \"@path\" \"@query\"");
        for (String name : Fields.covered(headers)) list.append(" \"").append(name).append('"');
        return list.append(')').toString();
    }

    private static String base(Request request, Map<String, String> headers, String parameters) {
        StringBuilder base = new StringBuilder("\"@method\": ").append(request.method())
            .append("\n\"@path\": ").append(request.path()).append("\n\"@query\": ").append(request.query());
        for (String name : Fields.covered(headers)) {
            base.append("\n\"").append(name).append("\": ").append(headers.get(name));
        }
        return base.append("\n\"@signature-params\": ").append(parameters).toString();
    }

    private static boolean hasBody(Map<String, String> headers) {
        String length = headers.get("content-length");
        return headers.containsKey("transfer-encoding") || length != null && !length.equals("0");
    }

    private static void cover(String method, Map<String, String> headers, boolean hasBody, boolean isStream) {
        if (headers.containsKey("content-digest")) {
            String coding = headers.getOrDefault("content-encoding", "identity");
            Refused.unless("header_malformed", !hasBody || coding.equalsIgnoreCase("identity"));
        } else if (!isStream) {
            Refused.unless("content_digest_missing", !hasBody && (method.equals("GET") || method.equals("HEAD")));
        }
    }

    /** Row 9. */
    private void checkSignature(String field, String keyid, String alg, byte[] base) {
        byte[] secret = secret(keyid);
        byte[] x = secret == null ? publicKey(keyid) : null;
        Refused.unless("key_unknown", secret != null || x != null);
        Refused.unless("algorithm_mismatch", alg.equals(secret == null ? "ed25519" : "hmac-sha256"));
        byte[] signature = Base64.getDecoder().decode(field.substring("countersign=:".length(), field.length() - 1));
        Refused.unless("signature_invalid", secret == null
            ? signature.length == 64 && Crypto.verifyEd25519(x, base, signature)
            : MessageDigest.isEqual(signature, Crypto.hmac(secret, base)));
    }

    private byte[] secret(String keyid) {
        byte[] secret = secrets.get(keyid);
        if (Grammar.AGREED_KEYID.test(keyid)) {
            Refused.unless("key_unknown", agreed != null && agreed.accepts(keyid.substring(44)));
            secret = keys.find(set -> agreed.secret(set, keyid)).value();
            Refused.unless("key_unknown", secret != null);
        } else if (secret != null && keys != null) {
            Refused.unless("key_unknown", !keys.held().names(keyid));
        }
        return secret;
    }

    private byte[] publicKey(String keyid) {
        if (keys == null) return null;
        RemoteKeySet.Found<byte[]> found = keys.find(set -> set.signing.get(keyid));
        if (found.value() == null && found.lastFailed()) throw Refused.unavailable("keys_unavailable");
        return found.value();
    }

    /** Row 12. */
    private void claim(String nonce, long createdSec, long keepSec) {
        try {
            NonceMemory.Claim claim = nonces.claim(nonce, createdSec, keepSec, nowSec());
            Refused.unless("created_before_start", claim != NonceMemory.Claim.BEFORE_START);
            Refused.unless("replayed", claim != NonceMemory.Claim.REPLAYED);
        } catch (IOException unreachable) {
            throw Refused.unavailable("replay_unavailable");
        }
    }
}
