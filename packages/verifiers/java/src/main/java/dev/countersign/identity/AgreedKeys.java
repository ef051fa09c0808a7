package dev.countersign.identity;

import java.nio.charset.StandardCharsets;
import java.util.*;

/** The service's X25519 keys, from which each side derives a secret (Section 14). One verifier uses an object. */
public final class AgreedKeys {
    private static final int MAX_PUBLISHED = 4;

    /** A private key, and its {@code aud} if it has one. */
    private record Key(byte[] x, byte[] d, Object aud) {}

    private final Map<String, Key> accepted = new LinkedHashMap<>();
    private final List<Map<String, Object>> published = new ArrayList<>();
    private boolean inProcess;
    private String audience;

    /**
     * Reads private JWKs with {@code kty}, {@code crv}, {@code x}, {@code d}, {@code kid}, {@code use}, {@code alg}
     * and, best, {@code aud}. All instances of the service share them.
     *
     * @param publish at most four keys for the service's key set, the preferred one first
     * @param accept  keys that are accepted and not published: the next one, and old ones
     * @throws IllegalArgumentException for another key
     */
    public AgreedKeys(List<String> publish, List<String> accept) {
        if (publish.size() > MAX_PUBLISHED) throw new IllegalArgumentException("more than four keys to publish");
        publish.forEach(jwk -> published.add(add(jwk)));
        accept.forEach(this::add);
    }

    /** {@return one new key in the memory of this process, for a service with one process (R14-7)} */
    public static AgreedKeys inProcess() {
        byte[] d = Crypto.sha256(Crypto.octets(UUID.randomUUID() + "." + UUID.randomUUID() + "." + UUID.randomUUID()));
        String x = Crypto.base64url(publicHalf(d));
        Map<String, Object> jwk = Map.of("kty", "OKP", "crv", "X25519", "use", "enc", "alg", KeySet.AGREED_ALG,
            "kid", KeySet.thumbprint(x), "x", x, "d", Crypto.base64url(d));
        AgreedKeys keys = new AgreedKeys(List.of(Json.write(jwk)), List.of());
        keys.inProcess = true;
        return keys;
    }

    private Map<String, Object> add(String text) {
        Map<String, Object> jwk = new LinkedHashMap<>();
        if (Json.parse(text.getBytes(StandardCharsets.UTF_8)) instanceof Map<?, ?> members) {
            members.forEach((name, member) -> jwk.put((String) name, member));
        }
        if (!(jwk.remove("d") instanceof String d) || !Grammar.BASE64URL_OF_32.test(d) || !KeySet.isForAgreement(jwk)
            || !Arrays.equals(publicHalf(KeySet.decode(d)), KeySet.decode(jwk.get("x")))) {
            throw new IllegalArgumentException("not a private key for agreement");
        }
        accepted.put((String) jwk.get("kid"), new Key(KeySet.decode(jwk.get("x")), KeySet.decode(d), jwk.get("aud")));
        return jwk;
    }

    private static byte[] publicHalf(byte[] d) {
        byte[] basePoint = new byte[32];
        basePoint[0] = 9;
        return Crypto.x25519(d, basePoint);
    }

    /** Binds the keys to the verifier's audience. @throws IllegalArgumentException for keys that it must not use */
    void check(String verifierAudience, boolean memoryInProcess, boolean allowsPublished) {
        if (inProcess && !memoryInProcess) throw new IllegalArgumentException("a shared memory needs shared keys");
        audience = verifierAudience;
        for (Key key : accepted.values()) {
            if (key.aud != null && !key.aud.equals(audience)
                || !allowsPublished && Published.isX(Crypto.base64url(key.x))) {
                throw new IllegalArgumentException("a key for agreement is published, or of another audience");
            }
        }
        published.forEach(jwk -> jwk.put("aud", audience));
    }

    boolean accepts(String kid) { return accepted.containsKey(kid); }

    /** The secret under an agreed keyid, or null if the set does not have the gateway's key (R14-3 to R14-5). */
    byte[] secret(KeySet set, String keyid) {
        byte[] gateway = set.agreement.get(keyid.substring(0, 43));
        Key own = accepted.get(keyid.substring(44));
        if (gateway == null) return null;
        return set.secrets.computeIfAbsent(keyid, id -> {
            byte[] info = Crypto.join(Crypto.octets("countersign-v1 agreed\0"), gateway, own.x, Crypto.octets(audience));
            return Crypto.hkdf(Crypto.x25519(own.d, gateway), new byte[0], info, 32);
        });
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
        try {
            if (status == 200) {
                keys.addAll(KeySet.entries(body));
                ((Map<?, ?>) Json.parse(body)).forEach((name, member) -> set.put((String) name, member));
            } else if (status != 404) return null;
        } catch (IllegalArgumentException notAKeySet) {
            return null;
        }
        keys.removeIf(published::contains);
        keys.addAll(published);
        set.put("keys", keys);
        return Json.write(set).getBytes(StandardCharsets.UTF_8);
    }
}
