package dev.countersign.identity;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The service's X25519 keys, from which each side derives a secret (Section 14 of the draft). */
public final class AgreedKeys {
    private static final byte[] LABEL = Crypto.ascii("countersign-v1 agreed\0");
    private static final byte[] BASE_POINT = {9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0};
    private static final int MAX_PUBLISHED = 4;

    /** A private key; {@code aud} is null if the key has none. */
    private record Key(byte[] x, byte[] d, Object aud) {}

    private final Map<String, Key> accepted = new LinkedHashMap<>();
    private final List<Map<String, Object>> published = new ArrayList<>();
    private final boolean inProcess;
    private String audience;

    private AgreedKeys(boolean inProcess) {
        this.inProcess = inProcess;
    }

    /**
     * Reads private JWKs with {@code kty}, {@code crv}, {@code x}, {@code d}, {@code kid}, {@code use}, {@code alg}
     * and, best, {@code aud}. All instances of the service share them.
     *
     * @param publish at most four keys for the service's key set, the preferred one first
     * @param accept  keys that are accepted and not published: the next one, and old ones
     * @throws IllegalArgumentException for another key
     */
    public static AgreedKeys of(List<String> publish, List<String> accept) {
        if (publish.size() > MAX_PUBLISHED) throw new IllegalArgumentException("more than four keys to publish");
        AgreedKeys keys = new AgreedKeys(false);
        publish.forEach(jwk -> keys.published.add(keys.add(jwk)));
        accept.forEach(keys::add);
        return keys;
    }

    /** {@return one new key in the memory of this process, for a service with one process (R14-7)} */
    public static AgreedKeys inProcess() {
        byte[] d = new byte[32];
        new SecureRandom().nextBytes(d);
        String x = Crypto.base64url(publicHalf(d));
        Map<String, Object> jwk = new LinkedHashMap<>(Map.of("kty", "OKP", "crv", "X25519", "use", "enc",
            "alg", KeySet.AGREED_ALG, "kid", KeySet.thumbprint(x), "x", x, "d", Crypto.base64url(d)));
        AgreedKeys keys = new AgreedKeys(true);
        keys.published.add(keys.add(Json.write(jwk)));
        return keys;
    }

    private Map<String, Object> add(String text) {
        Map<String, Object> jwk = new LinkedHashMap<>();
        if (Json.parse(text.getBytes(StandardCharsets.UTF_8)) instanceof Map<?, ?> members) {
            members.forEach((name, member) -> jwk.put((String) name, member));
        }
        boolean hasD = jwk.remove("d") instanceof String d && Grammar.BASE64URL_OF_32.test(d) && isPair(jwk, d);
        if (!hasD) throw new IllegalArgumentException("not a private key for agreement");
        return jwk;
    }

    private boolean isPair(Map<String, Object> jwk, String d) {
        if (!KeySet.isForAgreement(jwk)) return false;
        Key key = new Key(KeySet.decode(jwk.get("x")), KeySet.decode(d), jwk.get("aud"));
        accepted.put((String) jwk.get("kid"), key);
        return MessageDigest.isEqual(publicHalf(key.d), key.x);
    }

    private static byte[] publicHalf(byte[] d) {
        try {
            return Crypto.x25519(d, BASE_POINT);
        } catch (GeneralSecurityException invalid) {
            throw new IllegalArgumentException("not a private key for agreement", invalid);
        }
    }

    /** Binds the keys to the verifier's audience. @throws IllegalArgumentException for keys that it must not use */
    void check(String verifierAudience, boolean memoryInProcess, boolean allowsPublished) {
        if (inProcess && !memoryInProcess) throw new IllegalArgumentException("a shared memory needs shared keys");
        audience = verifierAudience;
        for (Key key : accepted.values()) {
            boolean isPublished = !allowsPublished && Published.isX(Crypto.base64url(key.x));
            if (isPublished || key.aud != null && !key.aud.equals(audience)) {
                throw new IllegalArgumentException("a key for agreement is published or of another audience");
            }
        }
        for (Map<String, Object> jwk : published) jwk.put("aud", audience);
    }

    boolean accepts(String kid) {
        return accepted.containsKey(kid);
    }

    /** The secret under an agreed keyid, or null if the set does not have the gateway's key (R14-3 to R14-5). */
    byte[] secret(KeySet set, String keyid) {
        byte[] gateway = set.agreement.get(keyid.substring(0, 43));
        return gateway == null ? null
            : set.secrets.computeIfAbsent(keyid, id -> derive(gateway, accepted.get(id.substring(44))));
    }

    private byte[] derive(byte[] gateway, Key own) {
        try {
            return Crypto.hkdf(Crypto.x25519(own.d, gateway), new byte[0], info(gateway, own.x), 32);
        } catch (GeneralSecurityException zero) {
            return null;
        }
    }

    byte[] info(byte[] gateway, byte[] own) {
        return Crypto.join(LABEL, gateway, own, Crypto.ascii(audience));
    }

    /**
     * The body of {@code GET /.well-known/jwks.json} with the published keys (R14-8).
     *
     * @param status the status of the service's own response
     * @param body   the body of the service's own response
     * @return a JWK set for status 200, or null if the own response must be left as it is
     */
    public byte[] keySet(int status, byte[] body) {
        Map<String, Object> set = new LinkedHashMap<>();
        List<Object> keys = new ArrayList<>();
        if (status == 200) {
            try {
                keys.addAll(KeySet.entries(body));
                ((Map<?, ?>) Json.parse(body)).forEach((name, member) -> set.put((String) name, member));
            } catch (IllegalArgumentException notAKeySet) {
                return null;
            }
        } else if (status != 404) {
            return null;
        }
        Set<Object> own = Set.copyOf(published);
        keys.removeIf(own::contains);
        keys.addAll(published);
        set.put("keys", keys);
        return Json.write(set).getBytes(StandardCharsets.UTF_8);
    }
}
