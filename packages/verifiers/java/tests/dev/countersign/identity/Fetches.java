package dev.countersign.identity;

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.KeyPairGenerator;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/** Section 13 against a real server, and the key set that a service publishes. Prints one line for each promise. */
public final class Fetches {
    private static int wrong;
    private static volatile String answer;
    private static volatile int status;

    private Fetches() {}

    public static void main(String[] args) throws Exception {
        AtomicInteger fetches = new AtomicInteger();
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> {
            fetches.incrementAndGet();
            byte[] body = answer.getBytes(StandardCharsets.UTF_8);
            if (status == 302) exchange.getResponseHeaders().set("location", "/elsewhere");
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        String url = "http://127.0.0.1:" + server.getAddress().getPort() + "/keys";
        answer = set("one");
        status = 302;
        try (RemoteKeySet keys = new RemoteKeySet(url, null)) {
            check("a redirect is not followed, and the first request gets 503", unavailable(keys));
            status = 200;
            while (!keys.isReady()) Thread.onSpinWait();
            check("a set comes after the failure, by schedule", keys.held().signing.containsKey("one"));
            int before = fetches.get();
            answer = set("two");
            List<CompletableFuture<Boolean>> lookups = new ArrayList<>();
            for (int i = 0; i < 20; i++) lookups.add(CompletableFuture.supplyAsync(() -> finds(keys, "two")));
            check("all of 20 requests find the new key", lookups.stream().allMatch(CompletableFuture::join));
            check("they cause one fetch", fetches.get() == before + 1);
            answer = "{\"keys\":[]}" + " ".repeat(256 * 1024);
            check("an unknown keyid is unknown after another fetch",
                !finds(keys, "three") && fetches.get() == before + 2);
            check("a response that is oversized or empty does not replace the set", finds(keys, "two"));
            check("the next one causes no fetch within 30 s", !finds(keys, "four") && fetches.get() == before + 2);
        }
        server.stop(0);
        serviceKeySet();
        System.exit(wrong);
    }

    private static void serviceKeySet() {
        byte[] d = Crypto.sha256(new byte[] {1});
        String x = Crypto.base64url(Crypto.x25519(d, Arrays.copyOf(new byte[] {9}, 32)));
        String kid = KeySet.thumbprint(x);
        AgreedKeys keys = new AgreedKeys(List.of(Json.write(Map.of("kty", "OKP", "crv", "X25519", "use", "enc", "alg",
            "countersign-agreed-v1", "kid", kid, "x", x, "d", Crypto.base64url(d)))), List.of());
        keys.bind("orders", false);
        byte[] alone = keys.keySet(404, new byte[0]);
        String text = new String(alone, StandardCharsets.UTF_8);
        check("publishes the key with its audience, without d",
            text.contains(kid) && text.contains("\"aud\":\"orders\"") && !text.contains("\"d\""));
        check("appends the key once", Arrays.equals(alone, keys.keySet(200, alone)));
        check("keeps the service's own keys", KeySet.entries(Json.parse(
            keys.keySet(200, Crypto.octets("{\"keys\":[{\"kid\":\"own\"}]}")))).size() == 2);
        check("leaves other responses",
            keys.keySet(200, Crypto.octets("{}")) == null && keys.keySet(500, alone) == null);
    }

    private static String set(String kid) throws Exception {
        byte[] encoded = KeyPairGenerator.getInstance("Ed25519").generateKeyPair().getPublic().getEncoded();
        String x = Crypto.base64url(Arrays.copyOfRange(encoded, encoded.length - 32, encoded.length));
        return Json.write(Map.of("keys", List.of(Map.of("kty", "OKP", "crv", "Ed25519", "kid", kid, "x", x))));
    }

    private static boolean finds(RemoteKeySet keys, String kid) {
        try {
            return keys.find(kid, set -> set.signing.get(kid)) != null;
        } catch (Refused refused) {
            return false;
        }
    }

    private static boolean unavailable(RemoteKeySet keys) {
        try {
            return keys.held() == null;
        } catch (Refused refused) {
            return refused.status() == 503 && refused.reason().equals("keys_unavailable");
        }
    }

    private static void check(String promise, boolean holds) {
        System.out.println((holds ? "right: " : "wrong: ") + promise);
        if (!holds) wrong = 1;
    }
}
