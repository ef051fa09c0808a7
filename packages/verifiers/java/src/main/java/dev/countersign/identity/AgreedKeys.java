package dev.countersign.identity;

import java.nio.charset.StandardCharsets;
import java.util.*;

/** The service's X25519 keys, from which each side derives a secret (Section 14). One verifier uses an object. */
public final class AgreedKeys {
    private static final byte[] BASE_POINT = Arrays.copyOf(new byte[] {9}, 32);

    private record Key(byte[] x, byte[] d, Object aud) {}
    final Map<String, Key> accepted = new HashMap<>();
    private final List<Map<String, Object>> published = new ArrayList<>();
    private String audience;

    /** Reads private JWKs: at most four to publish, the preferred one first, and others that are only accepted. */
    public AgreedKeys(List<String> publish, List<String> accept) {
        if (publish.size() > 4) throw new IllegalArgumentException("more than four keys to publish");
        publish.forEach(jwk -> published.add(add(jwk)));
        accept.forEach(this::add);
    }

    private Map<String, Object> add(String text) {
        Map<String, Object> jwk = Json.parse(text.getBytes(StandardCharsets.UTF_8));
        if (!(jwk.remove("d") instanceof String d) || !KeySet.BASE64URL_OF_32.test(d) || !KeySet.isForAgreement(jwk)
            || !Arrays.equals(Crypto.x25519(KeySet.decode(d), BASE_POINT), KeySet.decode(jwk.get("x")))) {
            throw new IllegalArgumentException("not a private key for agreement");
        }
        accepted.put((String) jwk.get("kid"), new Key(KeySet.decode(jwk.get("x")), KeySet.decode(d), jwk.get("aud")));
        return jwk;
    }

    /** Binds the keys to the verifier's audience. @throws IllegalArgumentException for keys that it must not use */
    void bind(String name, boolean allowsPublished) {
        audience = name;
        accepted.forEach((kid, key) -> {
            boolean isPublished = !allowsPublished && KeySet.isPublished(kid, Crypto.base64url(key.x));
            if (isPublished || key.aud != null && !key.aud.equals(name)) {
                throw new IllegalArgumentException("a key for agreement is published, or of another audience");
            }
        });
        published.forEach(jwk -> jwk.put("aud", name));
    }

    /** The secret under an agreed keyid, or null if the set does not have the gateway's key (R14-3 to R14-5). */
    byte[] secret(KeySet set, String keyid) {
        byte[] gateway = set.agreement.get(keyid.substring(0, 43));
        return gateway == null ? null : set.secrets.computeIfAbsent(keyid, id -> {
            Key own = accepted.get(id.substring(44));
            byte[] label = Crypto.octets("countersign-v1 agreed\0");
            // HKDF with an empty salt: 32 octets are its first block.
            byte[] key = Crypto.hmac(new byte[32], Crypto.x25519(own.d, gateway));
            return Crypto.hmac(key, Crypto.join(label, gateway, own.x, Crypto.octets(audience), new byte[] {1}));
        });
    }

    /** The service's own key set with the published keys (R14-8), or null if its own response must stay as it is. */
    public byte[] keySet(int status, byte[] body) {
        if (status != 200 && status != 404) return null;
        try {
            Map<String, Object> set = status == 404 ? new LinkedHashMap<>() : Json.parse(body);
            List<Object> keys = new ArrayList<>(status == 404 ? List.of() : KeySet.entries(set));
            keys.removeIf(published::contains);
            keys.addAll(published);
            set.put("keys", keys);
            return Json.write(set).getBytes(StandardCharsets.UTF_8);
        } catch (IllegalArgumentException notAKeySet) {
            return null;
        }
    }
}
