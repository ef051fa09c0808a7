package dev.countersign.identity;

import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/** The gateway's key set behind its URL: Section 13 of the draft. Times are nanoseconds of a monotonic clock. */
final class RemoteKeySet implements KeySource {
    private static final int MAX_BYTES = 256 * 1024;
    private static final long TIMEOUT = TimeUnit.SECONDS.toNanos(5);
    private static final long INTERVAL = TimeUnit.MINUTES.toNanos(10) - 2 * TIMEOUT;
    private static final long MAX_AGE = TimeUnit.HOURS.toNanos(1);
    private static final long COOL_DOWN = TimeUnit.SECONDS.toNanos(30);

    private final VerifierSettings settings;
    private final HttpClient client = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NEVER)
        .version(HttpClient.Version.HTTP_1_1).proxy(HttpClient.Builder.NO_PROXY).build();
    private final Thread schedule = new Thread(this::runSchedule, "countersign-keys");

    private KeySet set;
    private long fetchedAt;
    private long nextAttemptAt = System.nanoTime();
    private long coolUntil = System.nanoTime();
    private int failures;
    private long started;
    private long ended;
    private boolean closed;

    RemoteKeySet(VerifierSettings settings) {
        this.settings = settings;
        schedule.setDaemon(true);
        schedule.start();
    }

    @Override
    public synchronized KeySet held() {
        while (current() == null && failures == 0 && !closed) pause(TIMEOUT);
        if (current() == null) throw Refused.unavailable("keys_unavailable");
        return current();
    }

    @Override
    public <T> Found<T> find(Function<KeySet, T> lookup) {
        synchronized (this) {
            long before = started;
            while (true) {
                T value = lookup.apply(held());
                boolean isFinal = ended > before || failures > 0 && isRunning();
                if (value != null || isFinal) return new Found<>(value, failures > 0);
                if (isRunning()) {
                    pause(TIMEOUT);
                } else if (System.nanoTime() - coolUntil < 0) {
                    return new Found<>(null, failures > 0);
                } else {
                    break;
                }
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

    @Override
    public synchronized boolean isReady() {
        return current() != null;
    }

    @Override
    public synchronized void close() {
        closed = true;
        schedule.interrupt();
        notifyAll();
    }

    private KeySet current() {
        return set != null && System.nanoTime() - fetchedAt < MAX_AGE ? set : null;
    }

    private boolean isRunning() {
        return started > ended;
    }

    private void pause(long nanos) {
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
                while (!closed && (isRunning() || System.nanoTime() - nextAttemptAt < 0)) {
                    try {
                        TimeUnit.NANOSECONDS.timedWait(this, Math.max(nextAttemptAt - System.nanoTime(), 1_000_000));
                    } catch (InterruptedException interrupted) {
                        break;
                    }
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
        } catch (IOException | IllegalArgumentException failed) {
            System.getLogger(RemoteKeySet.class.getName()).log(System.Logger.Level.WARNING, "key set: {0}", failed);
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
            set = fetched;
            fetchedAt = now;
            nextAttemptAt = now + INTERVAL;
            if (failures > 0) coolUntil = now;
            failures = 0;
        }
        notifyAll();
    }

    private byte[] download() throws IOException {
        long deadline = System.nanoTime() + TIMEOUT;
        HttpRequest request = HttpRequest.newBuilder(settings.keySetUrl()).timeout(Duration.ofNanos(TIMEOUT))
            .header("accept", "application/jwk-set+json, application/json").header("cache-control", "no-cache").build();
        CompletableFuture<HttpResponse<InputStream>> response =
            client.sendAsync(request, HttpResponse.BodyHandlers.ofInputStream());
        try (InputStream body = response.get(TIMEOUT, TimeUnit.NANOSECONDS).body()) {
            long left = Math.max(deadline - System.nanoTime(), 0);
            CompletableFuture.delayedExecutor(left, TimeUnit.NANOSECONDS).execute(() -> closeQuietly(body));
            HttpResponse<InputStream> head = response.join();
            boolean plain = head.statusCode() == 200 && head.headers().firstValue("content-encoding").isEmpty();
            if (!plain) throw new IOException("status " + head.statusCode() + ", or a content coding");
            byte[] document = body.readNBytes(MAX_BYTES + 1);
            if (document.length > MAX_BYTES) throw new IOException("more than 256 KiB");
            return document;
        } catch (ExecutionException | TimeoutException | InterruptedException failed) {
            response.cancel(true);
            throw new IOException(failed);
        }
    }

    private static void closeQuietly(InputStream body) {
        try {
            body.close();
        } catch (IOException closed) {
            System.getLogger(RemoteKeySet.class.getName()).log(System.Logger.Level.DEBUG, closed);
        }
    }
}
