package dev.countersign.identity;

import java.io.*;
import java.net.URI;
import java.net.http.*;
import java.util.concurrent.*;
import java.util.function.Function;

/** The gateway's key set behind its URL: Section 13. Times are nanoseconds of a monotonic clock. */
final class RemoteKeySet implements AutoCloseable {
    private static final int MAX_BYTES = 256 * 1024;
    private static final long TIMEOUT = TimeUnit.SECONDS.toNanos(5);
    private static final long INTERVAL = TimeUnit.MINUTES.toNanos(10) - 2 * TIMEOUT;
    private static final long MAX_AGE = TimeUnit.HOURS.toNanos(1);
    private static final long COOL_DOWN = TimeUnit.SECONDS.toNanos(30);
    private static final System.Logger LOG = System.getLogger("dev.countersign.identity");

    private final URI url;
    private KeySet set;
    private long fetchedAt = System.nanoTime();
    private long nextAttemptAt = System.nanoTime();
    private long coolUntil = System.nanoTime();
    private int failures;
    private long started;
    private long ended;
    private boolean closed;

    /** What a lookup found, or null; and whether the last fetch failed, so that a newer set may have it. */
    record Found<T>(T value, boolean lastFailed) {}

    RemoteKeySet(String url) {
        this.url = URI.create(url);
        Thread schedule = new Thread(this::runSchedule, "countersign-keys");
        schedule.setDaemon(true);
        schedule.start();
    }

    /** A set that is not fetched, for tests. */
    RemoteKeySet(KeySet set) {
        this.url = null;
        this.set = set;
        coolUntil += MAX_AGE;
    }

    /** The set that is held, after the fetch at start. @throws Refused {@code keys_unavailable} without one */
    synchronized KeySet held() {
        while (current() == null && failures == 0 && !closed) pause(TIMEOUT);
        if (current() == null) throw Refused.unavailable("keys_unavailable");
        return current();
    }

    /** What {@code lookup} finds, after a fetch if it finds nothing and a fetch is allowed. @throws Refused as above */
    <T> Found<T> find(Function<KeySet, T> lookup) {
        synchronized (this) {
            long before = started;
            while (true) {
                T value = lookup.apply(held());
                boolean isFinal = ended > before || failures > 0 && started > ended;
                if (value != null || isFinal) return new Found<>(value, failures > 0);
                if (started == ended && System.nanoTime() - coolUntil >= 0) break;
                if (started == ended) return new Found<>(null, failures > 0);
                pause(TIMEOUT);
            }
            started++;
            coolUntil = System.nanoTime() + COOL_DOWN;
        }
        fetch();
        synchronized (this) {
            T value = lookup.apply(held());
            if (value != null) coolUntil = System.nanoTime();
            return new Found<>(value, failures > 0);
        }
    }

    synchronized boolean isReady() { return current() != null; }

    @Override public synchronized void close() {
        closed = true;
        notifyAll();
    }

    private KeySet current() { return set != null && System.nanoTime() - fetchedAt < MAX_AGE ? set : null; }

    private synchronized void pause(long nanos) {
        try {
            TimeUnit.NANOSECONDS.timedWait(this, Math.max(nanos, 1_000_000));
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw Refused.unavailable("unavailable");
        }
    }

    private void runSchedule() {
        while (true) {
            synchronized (this) {
                while (!closed && (started > ended || System.nanoTime() - nextAttemptAt < 0)) {
                    pause(started > ended ? TIMEOUT : nextAttemptAt - System.nanoTime());
                }
                if (closed) return;
                started++;
            }
            fetch();
        }
    }

    /** One fetch, which its caller has counted in {@code started}. */
    private void fetch() {
        KeySet fetched = null;
        try {
            fetched = KeySet.parse(download(), false);
        } catch (IOException | RuntimeException failed) {
            LOG.log(System.Logger.Level.WARNING, "the gateway's key set: " + failed);
        } finally {
            end(fetched);
        }
    }

    private synchronized void end(KeySet fetched) {
        long now = System.nanoTime();
        ended++;
        if (fetched == null) {
            boolean without = current() == null;
            long delay = TimeUnit.MILLISECONDS.toNanos(without ? 250 : 1000) << Math.min(failures, 10);
            nextAttemptAt = now + Math.min(delay, TimeUnit.SECONDS.toNanos(without ? 5 : 60));
            failures++;
        } else {
            if (failures > 0) coolUntil = now;
            set = fetched;
            fetchedAt = now;
            nextAttemptAt = now + INTERVAL;
            failures = 0;
        }
        notifyAll();
    }

    private byte[] download() throws IOException {
        HttpClient client = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER)
            .version(HttpClient.Version.HTTP_1_1).proxy(HttpClient.Builder.NO_PROXY).build();
        HttpRequest request = HttpRequest.newBuilder(url).header("cache-control", "no-cache").build();
        CompletableFuture<byte[]> document = client.sendAsync(request, HttpResponse.BodyHandlers.ofInputStream())
            .thenApplyAsync(RemoteKeySet::read);
        try {
            return document.get(TIMEOUT, TimeUnit.NANOSECONDS);
        } catch (ExecutionException | TimeoutException | InterruptedException failed) {
            document.cancel(true);
            throw new IOException(failed);
        }
    }

    private static byte[] read(HttpResponse<InputStream> response) {
        try (InputStream body = response.body()) {
            CompletableFuture.delayedExecutor(TIMEOUT, TimeUnit.NANOSECONDS).execute(() -> close(body));
            if (response.statusCode() != 200 || response.headers().firstValue("content-encoding").isPresent()) {
                throw new IOException("status " + response.statusCode() + ", or a content coding");
            }
            byte[] document = body.readNBytes(MAX_BYTES + 1);
            if (document.length > MAX_BYTES) throw new IOException("more than 256 KiB");
            return document;
        } catch (IOException failed) {
            throw new UncheckedIOException(failed);
        }
    }

    private static void close(InputStream body) {
        try {
            body.close();
        } catch (IOException failed) {
            LOG.log(System.Logger.Level.DEBUG, "the gateway's key set: " + failed);
        }
    }
}
