package dev.countersign.identity;

import java.io.*;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.*;
import java.util.function.Predicate;
import java.util.regex.*;

/** Verifies the requests that a Countersign gateway signs, Section 9 of the draft, for any number of threads. */
public final class Verifier implements AutoCloseable {
    private static final Predicate<String> SIGNATURE =
        Fields.whole("countersign=:(?:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/]{85}[AQgw]==):", 102);
    private static final String NAME = "\"[a-z0-9@-]{1,64}\"";
    private static final String TIME = "(0|[1-9][0-9]{0,11})";
    private static final Pattern SIGNATURE_INPUT = Pattern.compile("countersign=((\\((?:" + NAME + "(?: " + NAME
        + ")*+)?\\));created=" + TIME + ";expires=" + TIME + ";nonce=\"([A-Za-z0-9_-]{16,64})\";keyid=\"("
        + Fields.ID_TEXT + ")\";alg=\"([a-z0-9-]{1,32})\";tag=\"([a-z0-9-]{1,64})\")");
    final VerifierSettings settings;
    private final Map<String, byte[]> secrets = new HashMap<>();
    private final RemoteKeySet keys;
    private final NonceMemory nonces;
    private final long beganSec;

    /** A request for the handler; its body is null if the handler reads it as a stream. {@code base} is for tests. */
    public record Verified(Identity identity, byte[] body, String base) {}

    /** Starts the fetches of the key set. @throws IllegalArgumentException if a setting must not be used */
    public Verifier(VerifierSettings settings) { this(settings, null); }

    /** With a key set for tests, published keys are allowed. */
    Verifier(VerifierSettings settings, KeySet forTests) {
        this.settings = settings;
        beganSec = nowSec() + 1;
        boolean isTest = forTests != null;
        boolean hasKeySet = isTest || settings.keySetUrl != null;
        require("audience", settings.audience != null && Fields.ID.test(settings.audience));
        require("toleranceSec", settings.toleranceSec >= 0 && settings.toleranceSec <= 60);
        require("maxLifetimeSec", settings.maxLifetimeSec >= 1 && settings.maxLifetimeSec <= 300);
        require("maxBodyBytes", settings.maxBodyBytes >= 0 && settings.maxBodyBytes < Integer.MAX_VALUE);
        for (String text : settings.secrets) {
            byte[] secret = text.getBytes(StandardCharsets.UTF_8);
            String keyid = secretKeyid(secret);
            require("secrets", secret.length >= 32 && (isTest || !KeySet.PUBLISHED_NAMES.contains(keyid)));
            secrets.put(keyid, secret);
        }
        require("agreement", settings.agreement == null || hasKeySet);
        require("keySetUrl", hasKeySet ? isTest || isSafe(URI.create(settings.keySetUrl)) : !secrets.isEmpty());
        if (settings.agreement != null) settings.agreement.bind(settings.audience, isTest);
        nonces = settings.nonces == null ? NonceMemory.inProcess(beganSec, settings.maxNonces) : settings.nonces;
        keys = hasKeySet ? new RemoteKeySet(settings.keySetUrl, forTests) : null;
    }

    private static void require(String setting, boolean condition) {
        if (!condition) throw new IllegalArgumentException("the setting " + setting + " must not have this value");
    }

    private boolean isSafe(URI url) {
        String host = String.valueOf(url.getHost()).toLowerCase(Locale.ROOT);
        boolean isLoopback = host.matches("(.*\\.)?localhost|127(\\.[0-9]{1,3}){3}|\\[::1]");
        return "https".equals(url.getScheme())
            || "http".equals(url.getScheme()) && (isLoopback || settings.allowsPlainHttp);
    }

    static String secretKeyid(byte[] secret) {
        byte[] named = Crypto.join(Crypto.octets("countersign hmac keyid\0"), secret);
        return Crypto.base64url(Crypto.sha256(named)).substring(0, 22);
    }

    /** {@return whether requests can be accepted: a key set is held, and the memory of nonces began} */
    public boolean isReady() {
        return (settings.nonces != null || nowSec() >= beganSec) && (keys == null || keys.isReady());
    }

    /** {@return the response to a refused request; tells the listener of the settings} */
    public Refused.Response answer(Request request, Refused refused) {
        settings.onRefused.accept(refused);
        return refused.response(request);
    }

    @Override public void close() { if (keys != null) keys.close(); }
    private long nowSec() { return settings.clock.instant().getEpochSecond(); }

    /** Executes the algorithm of Section 9, without the exempt paths ({@link Request#isExempt()}). @throws Refused */
    public Verified verify(Request request, InputStream body) throws IOException {
        Refused.unless("target_malformed", request.isInGrammar());
        Map<String, String> headers = Fields.read(request.lines());
        String signature = headers.get("signature");
        Refused.unless("signature_missing", signature != null && headers.containsKey("signature-input"));
        Matcher input = SIGNATURE_INPUT.matcher(headers.get("signature-input"));
        boolean isShort = headers.get("signature-input").length() <= 1024;
        Refused.unless("signature_malformed", isShort && input.matches() && SIGNATURE.test(signature));
        Refused.unless("tag_mismatch", input.group(8).equals("countersign-v1"));
        Map<String, Object> context = Fields.check(headers, request.method());
        List<String> covered = Fields.covered(headers);
        String list = "(\"@method\" \"@path\" \"@query\" \"" + String.join("\" \"", covered) + "\")";
        Refused.unless("coverage_insufficient", input.group(2).equals(list));
        Refused.unless("audience_mismatch", headers.get("x-identity-audience").equals(settings.audience));
        long created = Long.parseLong(input.group(3));
        long expires = Long.parseLong(input.group(4));
        Refused.unless("lifetime_invalid", expires > created && expires - created <= settings.maxLifetimeSec);
        Refused.unless("created_in_future", created <= nowSec() + settings.toleranceSec);
        Refused.unless("expired", nowSec() <= expires + settings.toleranceSec);
        boolean isStream = settings.streams.test(request.path());
        boolean hasLength = !headers.getOrDefault("content-length", "0").equals("0");
        cover(request, headers, hasLength || headers.containsKey("transfer-encoding"), isStream);
        StringBuilder base = new StringBuilder("\"@method\": ").append(request.method())
            .append("\n\"@path\": ").append(request.path()).append("\n\"@query\": ").append(request.query());
        for (String name : covered) base.append("\n\"").append(name).append("\": ").append(headers.get(name));
        base.append("\n\"@signature-params\": ").append(input.group(1));
        checkSignature(signature, input.group(6), input.group(7), Crypto.octets(base.toString()));
        byte[] octets = null;
        if (!isStream || headers.containsKey("content-digest")) {
            octets = body.readNBytes(settings.maxBodyBytes + 1);
            boolean isTooLarge = octets.length > settings.maxBodyBytes;
            if (isTooLarge) throw Refused.of(413, "payload_too_large", "connection", "close");
            if (octets.length > 0) cover(request, headers, true, isStream);
            String digest = "sha-256=:" + Base64.getEncoder().encodeToString(Crypto.sha256(octets)) + ":";
            Refused.unless("content_digest_mismatch", headers.getOrDefault("content-digest", digest).equals(digest));
        }
        Refused.unless("expired", nowSec() <= expires + settings.toleranceSec);
        claim(input.group(5), created, expires + 3L * settings.toleranceSec);
        return new Verified(Identity.of(headers, context), octets, base.toString());
    }

    private static void cover(Request request, Map<String, String> headers, boolean hasBody, boolean isStream) {
        boolean hasDigest = headers.containsKey("content-digest");
        String coding = headers.getOrDefault("content-encoding", "identity");
        Refused.unless("header_malformed", !hasDigest || !hasBody || coding.equalsIgnoreCase("identity"));
        boolean needsNone = isStream || !hasBody && request.method().matches("GET|HEAD");
        Refused.unless("content_digest_missing", hasDigest || needsNone);
    }

    /** Row 9. */
    private void checkSignature(String field, String keyid, String alg, byte[] base) {
        byte[] secret = secret(keyid);
        Refused.unless("key_unknown", secret != null || keys != null);
        byte[] x = secret == null ? keys.find(keyid, set -> set.signing.get(keyid)) : null;
        Refused.unless("algorithm_mismatch", alg.equals(secret == null ? "ed25519" : "hmac-sha256"));
        byte[] signature = Base64.getDecoder().decode(field.substring("countersign=:".length(), field.length() - 1));
        Refused.unless("signature_invalid", secret == null ? Crypto.verifyEd25519(x, base, signature)
            : MessageDigest.isEqual(signature, Crypto.hmac(secret, base)));
    }

    /** The secret under an agreed keyid or that of a secret, or null. */
    private byte[] secret(String keyid) {
        AgreedKeys agreed = settings.agreement;
        if (KeySet.AGREED_KEYID.test(keyid)) {
            Refused.unless("key_unknown", agreed != null && agreed.accepted.containsKey(keyid.substring(44)));
            return keys.find(keyid, set -> agreed.secret(set, keyid));
        }
        byte[] secret = secrets.get(keyid);
        Refused.unless("key_unknown", secret == null || keys == null || !keys.held().kids.contains(keyid));
        return secret;
    }

    /** Row 12. */
    private void claim(String nonce, long createdSec, long keepSec) {
        try {
            NonceMemory.Claim claim = nonces.claim(nonce, createdSec, keepSec, nowSec());
            Refused.unless("replayed", claim != NonceMemory.Claim.REPLAYED);
            Refused.unless("created_before_start", claim == NonceMemory.Claim.NEW);
        } catch (IOException unreachable) {
            throw Refused.unavailable("replay_unavailable");
        }
    }
}
