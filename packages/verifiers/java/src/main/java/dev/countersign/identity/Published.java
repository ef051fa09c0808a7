package dev.countersign.identity;

import java.util.Set;

/** The keys of Appendix C, whose private halves are published: a verifier uses none of them (R5-11). */
final class Published {
    private static final Set<String> KIDS = Set.of(
        "ed-1", "ed-twice", "only-required-members", "alg-of-rfc-9864", "key-ops-verify", "key-ops-sign-and-verify",
        "other-members",
        "k".repeat(128),
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:@|-", "vectors-complaint-1",
        "vectors-users-1", "test-key-rsa", "test-key-rsa-pss", "test-key-ecc-p256", "test-key-ed25519",
        "test-shared-secret", "vectors-token-1", "vectors-token-2");
    static final Set<String> SECRET_KEYIDS = Set.of(
        "gApfGpn1ROtQ5gov1mSutM", "_m6PbcqDvc2TLRHfP_UnuT", "lA0knehIId096pQAspBmpX", "u8eLw9SOHenbE9hjq4FTBY",
        "3PPNkOWE4K6DRrrWwZkMsI", "ddZH86t36liT6mwRuiFs2m");
    private static final Set<String> X = Set.of(
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw",
        "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs", "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo",
        "U9bVwaoNbrLMB2bPbpf6JVom4BMWhOBFYPyEUEHNKRI", "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08",
        "xE4XCiQL0mEBg93-U9M0c9DxpZunBQtdwZMBkIO3B1s", "-Rb4tPQ9C4JnWDHqY-yZg9vIKLdeEzNpKkSmaYJxGy4",
        "gTxSeAERRhcJhyVUsIwkMPR6Fp0vQseLBM7sgeETPSw", "YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y",
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUZo",
        "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zow", "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0Ts");

    private Published() {}

    static boolean has(String kid, Object x) { return KIDS.contains(kid) || SECRET_KEYIDS.contains(kid) || isX(x); }

    static boolean isX(Object x) { return x instanceof String && X.contains(x); }
}
