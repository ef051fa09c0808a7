package dev.countersign.identity;

import java.math.BigInteger;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.*;

/** A key set of the gateway: the entries that a verifier may use (R5-13 and R14-1), by their kid. */
final class KeySet {
    static final String AGREED_ALG = "countersign-agreed-v1";
    private static final int MAX_ENTRIES = 100;
    private static final List<String> PRIVATE = List.of("d", "p", "q", "dp", "dq", "qi", "oth", "k");
    private static final Set<BigInteger> SMALL_ORDER = integers("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o", "7P_______________________________________38");
    private static final Set<BigInteger> LOW_ORDER = integers("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "7P_______________________________________38",
        "4Ot6fDtBuK4WVuP68Z_EatoJjeucMrH9hmIFFl9JuAA", "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc");

    /** {@code x} of the keys for {@code ed25519}, never empty. */
    final Map<String, byte[]> signing = new LinkedHashMap<>();
    /** {@code x} of the keys for agreement, in the order of the set. */
    final Map<String, byte[]> agreement = new LinkedHashMap<>();
    /** The derived secrets by agreed keyid; at most as many as pairs of keys. */
    final Map<String, byte[]> secrets = new ConcurrentHashMap<>();
    private final List<Object> kids = new ArrayList<>();

    /** Reads a document. @throws IllegalArgumentException if it is malformed or has no usable key */
    static KeySet parse(byte[] document, boolean allowsPublished) {
        KeySet set = new KeySet();
        List<Map<?, ?>> entries = entries(object(document)).stream().filter(Map.class::isInstance)
            .<Map<?, ?>>map(entry -> (Map<?, ?>) entry).toList();
        for (Map<?, ?> entry : entries) set.kids.add(entry.get("kid"));
        for (Map<?, ?> entry : entries) {
            if (!(entry.get("kid") instanceof String kid) || Collections.frequency(set.kids, kid) > 1) continue;
            if (!allowsPublished && Published.has(kid, entry.get("x"))) continue;
            if (isForSigning(entry)) set.signing.put(kid, decode(entry.get("x")));
            if (isForAgreement(entry)) set.agreement.put(kid, decode(entry.get("x")));
        }
        if (set.signing.isEmpty()) throw new IllegalArgumentException("the key set has no usable key");
        return set;
    }

    static Map<String, Object> object(byte[] document) {
        if (!(Json.parse(document) instanceof Map<?, ?> map)) throw new IllegalArgumentException("not an object");
        Map<String, Object> copy = new LinkedHashMap<>();
        map.forEach((name, member) -> copy.put((String) name, member));
        return copy;
    }

    /** The entries of a JWK set, usable or not. @throws IllegalArgumentException if it is malformed */
    static List<?> entries(Map<String, Object> set) {
        if (set.get("keys") instanceof List<?> keys && keys.size() <= MAX_ENTRIES) return keys;
        throw new IllegalArgumentException("not a JWK set of at most 100 entries");
    }

    /** Whether an object of the set has this kid, usable or not. */
    boolean names(String kid) { return kids.contains(kid); }
    static byte[] decode(Object base64url) { return Base64.getUrlDecoder().decode((String) base64url); }

    /** RFC 7638, for X25519. */
    static String thumbprint(Object x) {
        String jwk = "{\"crv\":\"X25519\",\"kty\":\"OKP\",\"x\":\"" + x + "\"}";
        return Crypto.base64url(Crypto.sha256(Crypto.octets(jwk)));
    }

    private static boolean isForSigning(Map<?, ?> entry) {
        return "OKP".equals(entry.get("kty")) && "Ed25519".equals(entry.get("crv"))
            && !Grammar.AGREED_KEYID.test((String) entry.get("kid"))
            && (!entry.containsKey("alg") || "EdDSA".equals(entry.get("alg")) || "Ed25519".equals(entry.get("alg")))
            && (!entry.containsKey("use") || "sig".equals(entry.get("use")))
            && (!entry.containsKey("key_ops") || entry.get("key_ops") instanceof List<?> ops && ops.contains("verify"))
            && PRIVATE.stream().noneMatch(entry::containsKey)
            && entry.get("x") instanceof String x && Grammar.BASE64URL_OF_32.test(x)
            && Crypto.littleEndian(decode(x)).compareTo(Crypto.PRIME) < 0
            && !SMALL_ORDER.contains(Crypto.littleEndian(decode(x)));
    }

    /** R14-1, without the conditions on other entries of the set. */
    static boolean isForAgreement(Map<?, ?> entry) {
        return "OKP".equals(entry.get("kty")) && "X25519".equals(entry.get("crv")) && "enc".equals(entry.get("use"))
            && AGREED_ALG.equals(entry.get("alg")) && !entry.containsKey("d")
            && entry.get("x") instanceof String x && Grammar.BASE64URL_OF_32.test(x) && decode(x)[31] >= 0
            && Crypto.littleEndian(decode(x)).compareTo(Crypto.PRIME) < 0
            && !LOW_ORDER.contains(Crypto.littleEndian(decode(x))) && thumbprint(x).equals(entry.get("kid"));
    }

    private static Set<BigInteger> integers(String... values) {
        return Stream.of(values).map(value -> Crypto.littleEndian(decode(value))).collect(Collectors.toSet());
    }
}
