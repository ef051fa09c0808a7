package dev.countersign.identity;

import java.math.BigInteger;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.*;

/** A key set of the gateway: the entries that a verifier may use (R5-13 and R14-1), by their kid. */
final class KeySet {
    static final String AGREED_ALG = "countersign-agreed-v1";
    private static final int MAX_ENTRIES = 100;
    private static final Set<String> PRIVATE = Set.of("d", "p", "q", "dp", "dq", "qi", "oth", "k");
    /** Points of small order on either curve, without the highest bit: no key has one of these values. */
    private static final Set<BigInteger> BOTH_CURVES = integers("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "7P_______________________________________38");
    private static final Set<BigInteger> EDWARDS = integers("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o");
    private static final Set<BigInteger> MONTGOMERY = integers("4Ot6fDtBuK4WVuP68Z_EatoJjeucMrH9hmIFFl9JuAA",
        "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc");

    /** {@code x} of the keys for {@code ed25519}, never empty; of the keys for agreement; and derived secrets. */
    final Map<String, byte[]> signing = new LinkedHashMap<>();
    final Map<String, byte[]> agreement = new LinkedHashMap<>();
    final Map<String, byte[]> secrets = new ConcurrentHashMap<>();
    private final List<Object> kids = new ArrayList<>();

    /** Reads a document. @throws IllegalArgumentException if it is malformed or has no usable key */
    static KeySet parse(byte[] document, boolean allowsPublished) {
        KeySet set = new KeySet();
        List<?> entries = entries(object(document));
        for (Object entry : entries) if (entry instanceof Map<?, ?> jwk) set.kids.add(jwk.get("kid"));
        for (Object entry : entries) {
            if (!(entry instanceof Map<?, ?> jwk) || !(jwk.get("kid") instanceof String kid)) continue;
            boolean isPublished = !allowsPublished && Published.has(kid, jwk.get("x"));
            if (isPublished || Collections.frequency(set.kids, kid) > 1 || !Grammar.KID.test(kid)) continue;
            if (isForSigning(jwk)) set.signing.put(kid, decode(jwk.get("x")));
            if (isForAgreement(jwk)) set.agreement.put(kid, decode(jwk.get("x")));
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

    private static boolean isForSigning(Map<?, ?> jwk) {
        return isPoint(jwk, "Ed25519", EDWARDS) && !Grammar.AGREED_KEYID.test((String) jwk.get("kid"))
            && (!jwk.containsKey("alg") || List.of("EdDSA", "Ed25519").contains("" + jwk.get("alg")))
            && (!jwk.containsKey("use") || "sig".equals(jwk.get("use")))
            && (!jwk.containsKey("key_ops") || jwk.get("key_ops") instanceof List<?> ops && ops.contains("verify"))
            && PRIVATE.stream().noneMatch(jwk::containsKey);
    }

    /** R14-1, without the conditions on other entries of the set. */
    static boolean isForAgreement(Map<?, ?> jwk) {
        return isPoint(jwk, "X25519", MONTGOMERY) && decode(jwk.get("x"))[31] >= 0 && "enc".equals(jwk.get("use"))
            && AGREED_ALG.equals(jwk.get("alg")) && !jwk.containsKey("d")
            && thumbprint(jwk.get("x")).equals(jwk.get("kid"));
    }

    private static boolean isPoint(Map<?, ?> jwk, String curve, Set<BigInteger> weak) {
        if (!"OKP".equals(jwk.get("kty")) || !curve.equals(jwk.get("crv"))) return false;
        if (!(jwk.get("x") instanceof String x) || !Grammar.BASE64URL_OF_32.test(x)) return false;
        BigInteger value = Crypto.littleEndian(decode(x));
        return value.compareTo(Crypto.PRIME) < 0 && !BOTH_CURVES.contains(value) && !weak.contains(value);
    }

    private static Set<BigInteger> integers(String... values) {
        return Stream.of(values).map(value -> Crypto.littleEndian(decode(value))).collect(Collectors.toSet());
    }
}
