package dev.countersign.identity;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Compares with vectors.json and agreed-vectors.json: {@code Vectors DIRECTORY}, or with one file of requests. */
public final class Vectors {
    private int right;
    private int wrong;

    private Vectors() {}

    public static void main(String[] args) throws Exception {
        Vectors run = new Vectors();
        if (args.length == 2) {
            run.requests(read(args[0], args[1]));
            run.end();
        }
        Map<?, ?> contract = read(args[0], "vectors.json");
        run.requests(contract);
        run.keySets(contract);
        run.answers(contract);
        Map<?, ?> agreed = read(args[0], "agreed-vectors.json");
        run.agreement(agreed);
        run.requests(agreed);
        run.end();
    }

    private void end() {
        System.out.println(right + " right, " + wrong + " wrong");
        System.exit(wrong == 0 && right > 0 ? 0 : 1);
    }

    private static Map<?, ?> read(String directory, String name) throws IOException {
        return Json.parse(Files.readAllBytes(Path.of(directory, name)));
    }

    private void compare(String name, Object expected, Object actual) {
        if (Objects.equals(expected, actual)) {
            right++;
            return;
        }
        wrong++;
        System.out.println("wrong: " + name + "\n  expected " + expected + "\n  actual   " + actual);
    }

    private void requests(Map<?, ?> file) throws IOException {
        for (Map<?, ?> vector : maps(file.get("vectors"))) {
            compare((String) vector.get("name"), expected(vector), deliverAll(file, vector));
        }
    }

    private static Object expected(Map<?, ?> vector) {
        if (vector.get("refused") != null) return vector.get("refused");
        if (vector.get("exempt") != null) return vector.get("headers_left");
        return Json.write(sorted(vector.get("identity"))) + vector.get("signature_base");
    }

    private static Object deliverAll(Map<?, ?> file, Map<?, ?> vector) throws IOException {
        Map<?, ?> keys = (Map<?, ?>) file.get("keys");
        Map<?, ?> config = (Map<?, ?>) file.get("verifier");
        long now = number(vector.get("now"));
        AgreedKeys agreement = null;
        if (keys.get("agreement") != null) {
            agreement = new AgreedKeys(List.of(), maps(keys.get("agreement")).stream().map(Json::write).toList());
        }
        List<String> secrets = new ArrayList<>();
        for (Map<?, ?> entry : maps(keys.get("secrets"))) {
            byte[] secret = Base64.getDecoder().decode((String) entry.get("secret_base64"));
            if (!Verifier.secretKeyid(secret).equals(entry.get("keyid"))) throw new IllegalStateException("keyid");
            secrets.add(new String(secret, StandardCharsets.UTF_8));
        }
        boolean stream = Boolean.TRUE.equals(vector.get("stream"));
        VerifierSettings settings = new VerifierSettings();
        settings.audience = (String) config.get("audience");
        settings.secrets = secrets;
        settings.agreement = agreement;
        settings.nonces = NonceMemory.inProcess(number(vector.get("memory_began")), 1000);
        settings.streams = path -> stream;
        settings.toleranceSec = (int) number(config.get("tolerance_sec"));
        settings.maxLifetimeSec = (int) number(config.get("max_lifetime_sec"));
        settings.clock = Clock.fixed(Instant.ofEpochSecond(now), ZoneOffset.UTC);
        KeySet set = KeySet.parse(bytes(keys.get("jwks")), true);
        try (Verifier verifier = new Verifier(settings, set)) {
            if (vector.get("requests_before") instanceof List<?> before) {
                for (Map<?, ?> request : maps(before)) deliver(verifier, request, false);
            }
            long delivered = vector.get("delivered_before") == null ? 0 : number(vector.get("delivered_before"));
            for (int i = 0; i < delivered; i++) deliver(verifier, (Map<?, ?>) vector.get("request"), false);
            boolean hasBase = vector.get("signature_base") != null;
            return deliver(verifier, (Map<?, ?>) vector.get("request"), hasBase);
        }
    }

    private static Object deliver(Verifier verifier, Map<?, ?> request, boolean hasBase) throws IOException {
        Request head = request(request);
        if (head.isExempt()) return head.withoutIdentity().lines().stream().map(Request.Line::name).toList();
        byte[] body = Base64.getDecoder().decode((String) request.get("body_base64"));
        try {
            Verifier.Verified verified = verifier.verify(head, new ByteArrayInputStream(body));
            return Json.write(sorted(Echo.members(verified.identity()))) + (hasBase ? verified.base() : null);
        } catch (Refused refused) {
            return refused.reason();
        }
    }

    private static Request request(Map<?, ?> request) {
        List<Request.Line> lines = new ArrayList<>();
        for (Object pair : (List<?>) request.get("headers")) {
            lines.add(new Request.Line((String) ((List<?>) pair).get(0), (String) ((List<?>) pair).get(1)));
        }
        String method = request.get("method") instanceof String text ? text : "POST";
        return new Request(method, (String) request.get("target"), lines);
    }

    private void keySets(Map<?, ?> file) {
        for (Map<?, ?> vector : maps(file.get("key_sets"))) {
            List<String> usable = List.of();
            try {
                usable = List.copyOf(KeySet.parse(bytes(vector.get("jwks")), true).signing.keySet());
            } catch (IllegalArgumentException refused) {
                // The set as a whole: its usable keys are none.
            }
            compare("key set: " + vector.get("name"), vector.get("usable"), usable);
        }
    }

    private void answers(Map<?, ?> file) {
        for (Map<?, ?> vector : maps(file.get("answers"))) {
            Map<?, ?> cause = (Map<?, ?>) vector.get("cause");
            Refused refused = cause.get("refused") != null ? Refused.reason((String) cause.get("refused"))
                : cause.get("unavailable") != null ? Refused.unavailable((String) cause.get("unavailable"))
                : Refused.of(413, "payload_too_large", "connection", "close");
            Refused.Response response = refused.response(request((Map<?, ?>) vector.get("request")));
            Map<String, Object> body = Json.parse(response.body());
            Map<String, Object> headers = new LinkedHashMap<>(response.headers());
            Map<?, ?> answer = (Map<?, ?>) vector.get("answer");
            body.remove("title");
            if (((Map<?, ?>) answer.get("body")).get("request_id") == null) {
                boolean one = Fields.UUID_V7.test((String) body.get("request_id"));
                if (one && body.get("request_id").equals(headers.remove("x-request-id"))) body.remove("request_id");
            }
            Map<String, Object> actual = Map.of("status", new Json.Num("" + response.status()), "headers", headers,
                "body", body);
            compare("answer: " + vector.get("name"), sorted(answer), sorted(actual));
        }
    }

    private void agreement(Map<?, ?> file) throws Exception {
        HexFormat hex = HexFormat.of();
        for (Map<?, ?> vector : maps(file.get("rfc7748"))) {
            byte[] u = hex.parseHex((String) vector.get("u"));
            byte[] result = Crypto.x25519(hex.parseHex((String) vector.get("scalar")), u);
            compare("rfc7748", vector.get("result"), hex.formatHex(result));
        }
        Map<?, ?> keys = (Map<?, ?>) file.get("keys");
        KeySet set = KeySet.parse(bytes(keys.get("jwks")), true);
        compare("usable", file.get("usable"), List.copyOf(set.agreement.keySet()));
        for (Map<?, ?> vector : maps(file.get("unusable"))) {
            compare("unusable: " + vector.get("name"), false, KeySet.isForAgreement((Map<?, ?>) vector.get("jwk")));
        }
        for (Map<?, ?> vector : maps(file.get("derivations"))) {
            Map<?, ?> gateway = maps(keys.get("gateway")).stream()
                .filter(jwk -> jwk.get("kid").equals(vector.get("gateway"))).findAny().orElseThrow();
            Map<String, Object> entry = new LinkedHashMap<>();
            gateway.forEach((name, member) -> entry.put((String) name, member));
            entry.remove("d");
            Map<?, ?> signing = maps(((Map<?, ?>) keys.get("jwks")).get("keys")).get(0);
            KeySet one = KeySet.parse(bytes(Map.of("keys", List.of(signing, entry))), true);
            AgreedKeys own = new AgreedKeys(List.of(), maps(keys.get("agreement")).stream().map(Json::write).toList());
            own.bind((String) vector.get("audience"), true);
            byte[] secret = own.secret(one, (String) vector.get("keyid"));
            compare("derivation", vector.get("secret_base64"), Base64.getEncoder().encodeToString(secret));
        }
    }

    private static List<Map<?, ?>> maps(Object list) {
        return ((List<?>) list).stream().<Map<?, ?>>map(item -> (Map<?, ?>) item).toList();
    }

    private static byte[] bytes(Object json) {
        return Json.write(json).getBytes(StandardCharsets.UTF_8);
    }

    private static long number(Object value) {
        return Long.parseLong(((Json.Num) value).text());
    }

    private static Object sorted(Object value) {
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> copy = new java.util.TreeMap<>();
            map.forEach((name, member) -> copy.put((String) name, sorted(member)));
            return copy;
        }
        return value;
    }
}
