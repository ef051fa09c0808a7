package dev.countersign.identity;

import java.io.*;
import java.net.URI;
import java.net.http.*;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** The gateway's key set behind its URL: Section 13. Times are milliseconds of a monotonic clock. */
final class RemoteKeySet implements AutoCloseable {
    private static final int MAX_BYTES = 256 * 1024;
    private static final long TIMEOUT_MS = 5_000;
    private static final long INTERVAL_MS = 590_000;
    private static final long MAX_AGE_MS = 3_600_000;
    private static final long COOL_DOWN_MS = 30_000;
    private final URI url;
    private KeySet set;
    private long fetchedAtMs = nowMs();
    private long nextAttemptAtMs = nowMs();
    private long coolUntilMs = nowMs();
    private int failures;
    /** How many fetches were due, and how many ended; one is due or runs while the numbers differ. */
    private long due;
    private long ended;
    private boolean closed;

    /** Starts the fetches, unless a set is given, for tests. */
    RemoteKeySet(String url, KeySet forTests) {
        this.url = url == null ? null : URI.create(url);
        set = forTests;
        closed = forTests != null;
        Thread schedule = new Thread(this::runSchedule, "countersign-keys");
        schedule.setDaemon(true);
        schedule.start();
    }

    private static long nowMs() { return System.nanoTime() / 1_000_000; }
    private KeySet current() { return set != null && nowMs() - fetchedAtMs < MAX_AGE_MS ? set : null; }
    synchronized boolean isReady() { return current() != null; }

    /** The set that is held, after the fetch at start. @throws Refused {@code keys_unavailable} without one */
    synchronized KeySet held() {
        while (current() == null && failures == 0 && !closed) pause(TIMEOUT_MS);
        if (current() == null) throw Refused.unavailable("keys_unavailable");
        return current();
    }

    /** What {@code lookup} finds under the keyid, after a fetch if it finds nothing and a fetch is allowed. */
    synchronized byte[] find(String keyid, Function<KeySet, byte[]> lookup) {
        long before = due;
        boolean isOwn = false;
        while (true) {
            byte[] found = lookup.apply(held());
            boolean isDue = due > ended;
            if (found != null) {
                if (isOwn) coolUntilMs = nowMs();
                return found;
            }
            if (closed || ended > before || (isDue ? failures > 0 && !isOwn : nowMs() < coolUntilMs)) {
                boolean isUnknown = failures == 0 || KeySet.AGREED_KEYID.test(keyid);
                throw isUnknown ? Refused.reason("key_unknown") : Refused.unavailable("keys_unavailable");
            }
            if (!isDue) {
                isOwn = true;
                due++;
                coolUntilMs = nowMs() + COOL_DOWN_MS;
                notifyAll();
            }
            pause(TIMEOUT_MS);
        }
    }

    @Override public synchronized void close() {
        closed = true;
        notifyAll();
    }

    private synchronized void pause(long ms) {
        try {
            wait(Math.max(ms, 1));
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw Refused.unavailable("unavailable");
        }
    }

    private void runSchedule() {
        while (awaitNext()) {
            KeySet fetched = null;
            try {
                fetched = fetch();
            } catch (Exception | Error failed) {
                System.getLogger("dev.countersign.identity").log(System.Logger.Level.WARNING, "no key set: " + failed);
            }
            end(fetched);
        }
    }

    private synchronized boolean awaitNext() {
        while (!closed && due == ended && nowMs() < nextAttemptAtMs) pause(nextAttemptAtMs - nowMs());
        if (due == ended) due++;
        return !closed;
    }

    private synchronized void end(KeySet fetched) {
        ended++;
        if (fetched == null) {
            boolean without = current() == null;
            long delayMs = (without ? 250L : 1_000L) << Math.min(failures++, 10);
            nextAttemptAtMs = nowMs() + Math.min(delayMs, without ? 5_000 : 60_000);
        } else {
            if (failures > 0) coolUntilMs = nowMs();
            set = fetched;
            fetchedAtMs = nowMs();
            nextAttemptAtMs = nowMs() + INTERVAL_MS;
            failures = 0;
        }
        notifyAll();
    }

    private KeySet fetch() throws Exception {
        HttpClient client = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER)
            .version(HttpClient.Version.HTTP_1_1).proxy(HttpClient.Builder.NO_PROXY).build();
        HttpRequest request = HttpRequest.newBuilder(url).header("cache-control", "no-cache").build();
        ByteArrayOutputStream document = new ByteArrayOutputStream();
        var exchange = client.sendAsync(request, HttpResponse.BodyHandlers.ofByteArrayConsumer(part -> {
            document.writeBytes(part.orElseGet(() -> new byte[0]));
            if (document.size() > MAX_BYTES) throw new IllegalArgumentException("more than 256 KiB");
        }));
        try {
            HttpResponse<Void> response = exchange.get(TIMEOUT_MS, TimeUnit.MILLISECONDS);
            boolean isPlain = response.headers().firstValue("content-encoding").isEmpty();
            if (response.statusCode() != 200 || !isPlain) throw new IOException("status " + response.statusCode());
            return KeySet.parse(document.toByteArray(), false);
        } finally {
            exchange.cancel(true);
        }
    }
}
