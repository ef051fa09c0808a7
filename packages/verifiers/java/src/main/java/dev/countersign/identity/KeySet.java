package dev.countersign.identity;

import java.math.BigInteger;
import java.util.*;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;

/** A key set of the gateway: the entries that a verifier may use (R5-13 and R14-1), by their kid. */
final class KeySet {
    static final Predicate<String> AGREED_KEYID = Fields.whole("[A-Za-z0-9_-]{43}\\.[A-Za-z0-9_-]{43}", 87);
    static final Predicate<String> BASE64URL_OF_32 = Fields.whole("[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]", 43);
    private static final Set<String> PRIVATE = Set.of("d", "p", "q", "dp", "dq", "qi", "oth", "k");
    /** The keys of Appendix C, whose private halves are published: a verifier uses none of them (R5-11). */
    static final Set<String> PUBLISHED_NAMES = Set.of("ed-1", "ed-twice", "only-required-members", "alg-of-rfc-9864",
        "key-ops-verify", "key-ops-sign-and-verify", "other-members", "k".repeat(128),
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@|-", "vectors-complaint-1",
        "vectors-users-1", "test-key-rsa", "test-key-rsa-pss", "test-key-ecc-p256", "test-key-ed25519",
        "test-shared-secret", "vectors-token-1", "vectors-token-2", "gApfGpn1ROtQ5gov1mSutM", "_m6PbcqDvc2TLRHfP_UnuT",
        "lA0knehIId096pQAspBmpX", "u8eLw9SOHenbE9hjq4FTBY", "3PPNkOWE4K6DRrrWwZkMsI", "ddZH86t36liT6mwRuiFs2m");
    private static final Set<String> PUBLISHED_X = Set.of(
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
        "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs", "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",
        "U9bVwaoNbrLMB2bPbpf6JVom4BMWhOBFYPyEUEHNKRI", "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08",
        "xE4XCiQL0mEBg93-U9M0c9DxpZunBQtdwZMBkIO3B1s", "-Rb4tPQ9C4JnWDHqY-yZg9vIKLdeEzNpKkSmaYJxGy4",
        "gTxSeAERRhcJhyVUsIwkMPR6Fp0vQseLBM7sgeETPSw", "YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y",
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUZo",
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zow", "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0Ts");
    private static final BigInteger LARGEST = BigInteger.TWO.pow(255).subtract(BigInteger.valueOf(21));
    /** The points of small order besides 0, 1 and -1: no key has one of these values. */
    private static final Map<String, Set<BigInteger>> SMALL_ORDER = Map.of(
        "Ed25519", Set.of(value("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU"),
            value("xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o")),
        "X25519", Set.of(value("4Ot6fDtBuK4WVuP68Z_EatoJjeucMrH9hmIFFl9JuAA"),
            value("X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc")));
    /** {@code x} of the keys for {@code ed25519}, never empty; of the keys for agreement; and derived secrets. */
    final Map<String, byte[]> signing = new LinkedHashMap<>();
    final Map<String, byte[]> agreement = new LinkedHashMap<>();
    final Map<String, byte[]> secrets = new ConcurrentHashMap<>();
    /** {@code kid} of every object of the set, usable or not. */
    final List<Object> kids = new ArrayList<>();

    /** Reads a document. @throws IllegalArgumentException if it is malformed or has no usable key */
    static KeySet parse(byte[] document, boolean allowsPublished) {
        KeySet set = new KeySet();
        List<?> entries = entries(Json.parse(document));
        for (Object entry : entries) if (entry instanceof Map<?, ?> jwk) set.kids.add(jwk.get("kid"));
        for (Object entry : entries) {
            if (!(entry instanceof Map<?, ?> jwk) || !(jwk.get("kid") instanceof String kid)) continue;
            boolean isPublished = !allowsPublished && isPublished(kid, jwk.get("x"));
            if (isPublished || Collections.frequency(set.kids, kid) > 1 || !kid.matches("[!-~]{1,256}")) continue;
            if (isForSigning(jwk)) set.signing.put(kid, decode(jwk.get("x")));
            if (isForAgreement(jwk)) set.agreement.put(kid, decode(jwk.get("x")));
        }
        if (set.signing.isEmpty()) throw new IllegalArgumentException("the key set has no usable key");
        return set;
    }

    /** The entries of a JWK set, usable or not. @throws IllegalArgumentException if it is malformed */
    static List<?> entries(Map<String, Object> set) {
        if (set.get("keys") instanceof List<?> keys && keys.size() <= 100) return keys;
        throw new IllegalArgumentException("not a JWK set of at most 100 entries");
    }

    static boolean isPublished(Object kid, Object x) {
        return PUBLISHED_NAMES.contains(kid) || x instanceof String && PUBLISHED_X.contains(x);
    }

    private static BigInteger value(String x) { return Crypto.littleEndian(decode(x)); }
    static byte[] decode(Object base64url) { return Base64.getUrlDecoder().decode((String) base64url); }

    /** RFC 7638, for X25519. */
    static String thumbprint(Object x) {
        String jwk = "{\"crv\":\"X25519\",\"kty\":\"OKP\",\"x\":\"" + x + "\"}";
        return Crypto.base64url(Crypto.sha256(Crypto.octets(jwk)));
    }

    private static boolean isForSigning(Map<?, ?> jwk) {
        return isPoint(jwk, "Ed25519") && !AGREED_KEYID.test((String) jwk.get("kid"))
            && (!jwk.containsKey("alg") || List.of("EdDSA", "Ed25519").contains("" + jwk.get("alg")))
            && (!jwk.containsKey("use") || "sig".equals(jwk.get("use")))
            && (!jwk.containsKey("key_ops") || jwk.get("key_ops") instanceof List<?> ops && ops.contains("verify"))
            && PRIVATE.stream().noneMatch(jwk::containsKey);
    }

    /** R14-1, without the conditions on other entries of the set. */
    static boolean isForAgreement(Map<?, ?> jwk) {
        return isPoint(jwk, "X25519") && decode(jwk.get("x"))[31] >= 0 && "enc".equals(jwk.get("use"))
            && "countersign-agreed-v1".equals(jwk.get("alg")) && !jwk.containsKey("d")
            && thumbprint(jwk.get("x")).equals(jwk.get("kid"));
    }

    private static boolean isPoint(Map<?, ?> jwk, String curve) {
        if (!"OKP".equals(jwk.get("kty")) || !curve.equals(jwk.get("crv"))) return false;
        if (!(jwk.get("x") instanceof String x) || !BASE64URL_OF_32.test(x)) return false;
        BigInteger value = value(x);
        boolean isInRange = value.compareTo(BigInteger.ONE) > 0 && value.compareTo(LARGEST) <= 0;
        return isInRange && !SMALL_ORDER.get(curve).contains(value);
    }
}
