package dev.countersign.identity;

import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.*;
import java.security.spec.*;
import java.util.*;
import java.util.concurrent.Callable;
import javax.crypto.*;
import javax.crypto.spec.SecretKeySpec;

/** The algorithms of Sections 5.5 and 14.2, with the providers of the JDK. */
final class Crypto {
    static <T> T run(Callable<T> operation) {
        try {
            return operation.call();
        } catch (Exception invalid) {
            throw new IllegalArgumentException("a key or a value that the JDK refuses", invalid);
        }
    }

    static byte[] hmac(byte[] secret, byte[] octets) {
        return run(() -> {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(secret, "HmacSHA256"));
            return mac.doFinal(octets);
        });
    }

    static byte[] sha256(byte[] octets) { return run(() -> MessageDigest.getInstance("SHA-256").digest(octets)); }
    static String base64url(byte[] octets) { return Base64.getUrlEncoder().withoutPadding().encodeToString(octets); }
    static byte[] octets(String text) { return text.getBytes(StandardCharsets.ISO_8859_1); }

    static byte[] join(byte[]... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (byte[] part : parts) out.writeBytes(part);
        return out.toByteArray();
    }

    /** An integer from 32 octets, the least significant first, without the highest bit. */
    static BigInteger littleEndian(byte[] octets) {
        byte[] reversed = new byte[32];
        for (int i = 0; i < 32; i++) reversed[i] = octets[31 - i];
        return new BigInteger(1, reversed).clearBit(255);
    }

    /** Whether the signature verifies (R5-6). The JDK throws for a large S, and for a key without a point. */
    static boolean verifyEd25519(byte[] x, byte[] base, byte[] signature) {
        try {
            KeySpec key = new EdECPublicKeySpec(NamedParameterSpec.ED25519, new EdECPoint(x[31] < 0, littleEndian(x)));
            Signature verifier = Signature.getInstance("Ed25519");
            verifier.initVerify(KeyFactory.getInstance("Ed25519").generatePublic(key));
            verifier.update(base);
            return signature.length == 64 && verifier.verify(signature);
        } catch (GeneralSecurityException invalid) {
            return false;
        }
    }

    /** X25519 of RFC 7748 Section 6.1. @throws IllegalArgumentException if the result would be zero */
    static byte[] x25519(byte[] scalar, byte[] u) {
        return run(() -> {
            KeyFactory keys = KeyFactory.getInstance("X25519");
            KeyAgreement agreement = KeyAgreement.getInstance("X25519");
            agreement.init(keys.generatePrivate(new XECPrivateKeySpec(NamedParameterSpec.X25519, scalar)));
            KeySpec other = new XECPublicKeySpec(NamedParameterSpec.X25519, littleEndian(u));
            agreement.doPhase(keys.generatePublic(other), true);
            return agreement.generateSecret();
        });
    }
}
