package identity

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// keyServer is a gateway's key set endpoint that a test changes.
type keyServer struct {
	*httptest.Server
	mu      sync.Mutex
	answer  http.HandlerFunc
	fetches int
}

func newKeyServer(t *testing.T, kids ...string) *keyServer {
	s := &keyServer{}
	s.publish(kids...)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.fetches++
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *keyServer) answerWith(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *keyServer) publish(kids ...string) {
	document := keySetDocument(kids...)
	s.answerWith(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
}

func (s *keyServer) fail() {
	s.answerWith(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
}

func (s *keyServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

func keySetDocument(kids ...string) []byte {
	var keys []map[string]string
	for _, kid := range kids {
		public, _, _ := ed25519.GenerateKey(nil)
		keys = append(keys, map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode([32]byte(public))})
	}
	document, _ := json.Marshal(map[string]any{"keys": keys})
	return document
}

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

func newRemoteKeys(t *testing.T, url string) (*RemoteKeys, *clock, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	keys, err := NewRemoteKeys(RemoteConfig{URL: url, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{now: time.Unix(1_800_000_000, 0)}
	keys.now = c.Now
	return keys, c, &log
}

// look returns whether a kid is known, unknown, or cannot be looked up.
func look(keys *RemoteKeys, kid string) string {
	set, err := keys.KeySet(context.Background(), kid)
	switch {
	case set != nil && set.has(kid):
		return "known"
	case errors.Is(err, ErrKeysUnavailable):
		return "unavailable"
	case err == nil:
		return "unknown"
	}
	return err.Error()
}

func expect(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, expected %v", what, got, want)
	}
}

func TestFirstLookupFetches(t *testing.T) {
	server := newKeyServer(t, "a")
	keys, _, _ := newRemoteKeys(t, server.URL)
	expect(t, "ready", keys.Ready(), false)
	expect(t, "a", look(keys, "a"), "known")
	expect(t, "ready", keys.Ready(), true)
	expect(t, "fetches", server.count(), 1)
}

func TestConcurrentLookupsShareAFetch(t *testing.T) {
	server := newKeyServer(t, "a")
	keys, _, _ := newRemoteKeys(t, server.URL)
	var group sync.WaitGroup
	for range 100 {
		group.Add(1)
		go func() {
			defer group.Done()
			expect(t, "a", look(keys, "a"), "known")
		}()
	}
	group.Wait()
	expect(t, "fetches", server.count(), 1)
}

func TestUnknownKidFetchesOnceInACooldown(t *testing.T) {
	server := newKeyServer(t, "a")
	keys, clock, _ := newRemoteKeys(t, server.URL)
	look(keys, "a")
	for i := range 50 {
		expect(t, "made up", look(keys, fmt.Sprint("made-up-", i)), "unknown")
		expect(t, "a", look(keys, "a"), "known")
	}
	expect(t, "fetches", server.count(), 2)
	clock.advance(cooldown)
	look(keys, "made-up")
	expect(t, "fetches", server.count(), 3)
}

func TestNewKeyIsFoundAtOnceAndSoIsTheNext(t *testing.T) {
	server := newKeyServer(t, "a")
	keys, _, _ := newRemoteKeys(t, server.URL)
	look(keys, "a")
	for _, kid := range []string{"b", "c", "d"} {
		server.publish("a", kid)
		expect(t, kid, look(keys, kid), "known")
	}
	expect(t, "fetches", server.count(), 4)
}

func TestRetiredKeyIsForgotten(t *testing.T) {
	server := newKeyServer(t, "a")
	keys, _, _ := newRemoteKeys(t, server.URL)
	look(keys, "a")
	server.publish("b")
	expect(t, "b", look(keys, "b"), "known")
	expect(t, "a", look(keys, "a"), "unknown")
}

func TestOutage(t *testing.T) {
	server := newKeyServer(t, "a")
	server.fail()
	keys, clock, log := newRemoteKeys(t, server.URL)
	for range 10 {
		expect(t, "at start", look(keys, "a"), "unavailable")
	}
	expect(t, "fetches", server.count(), 1)
	expect(t, "warnings", strings.Count(log.String(), "level=WARN"), 1)
	server.publish("a")
	clock.advance(250 * time.Millisecond)
	expect(t, "a", look(keys, "a"), "known")
	expect(t, "notices", strings.Count(log.String(), "available again"), 1)

	server.fail()
	expect(t, "unknown while it fails", look(keys, "b"), "unavailable")
	expect(t, "known while it fails", look(keys, "a"), "known")
	set, err := keys.KeySet(context.Background(), "b")
	expect(t, "set with the error", set != nil && errors.Is(err, ErrKeysUnavailable), true)
	expect(t, "fetches", server.count(), 3)
	clock.advance(time.Hour)
	expect(t, "after an hour", look(keys, "a"), "known")
	clock.advance(time.Second)
	expect(t, "after more", look(keys, "a"), "unavailable")
	expect(t, "ready", keys.Ready(), false)
	server.publish("a")
	clock.advance(time.Minute)
	expect(t, "again", look(keys, "a"), "known")
}

func TestUnknownKidIsLookedUpAgainAsSoonAsFetchesWork(t *testing.T) {
	server := newKeyServer(t, "a")
	keys, _, _ := newRemoteKeys(t, server.URL)
	look(keys, "a")
	server.fail()
	expect(t, "b while it fails", look(keys, "b"), "unavailable")
	server.publish("a")
	keys.mu.Lock()
	refreshed := keys.fetch()
	keys.mu.Unlock()
	<-refreshed
	server.publish("a", "b")
	expect(t, "b within the cool-down", look(keys, "b"), "known")
}

func TestBadAnswerNeverReplacesAGoodSet(t *testing.T) {
	large := append(keySetDocument("b"), bytes.Repeat([]byte(" "), maxDocument)...)
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprint("b", i)
	}
	text := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	elsewhere := newKeyServer(t, "b")
	for name, answer := range map[string]http.HandlerFunc{
		"404":               http.NotFound,
		"a redirect":        func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"not JSON":          text("<html>"),
		"not UTF-8":         text(`{"keys":[],"a":"` + "\xff" + `"}`),
		"a list":            text("[]"),
		"null":              text("null"),
		"keys is an object": text(`{"keys":{}}`),
		"KEYS":              text(`{"KEYS":[]}`),
		"no key":            text(`{"keys":[]}`),
		"no usable key":     text(strings.ReplaceAll(string(keySetDocument("b")), "Ed25519", "Ed448")),
		"too many keys":     text(string(keySetDocument(many...))),
		"too large":         text(string(large)),
		"a gzip bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			compressed := gzip.NewWriter(w)
			_, _ = compressed.Write(large)
			_ = compressed.Close()
		},
		"a broken answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write(keySetDocument("b"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newKeyServer(t, "a")
			keys, _, _ := newRemoteKeys(t, server.URL)
			look(keys, "a")
			server.answerWith(answer)
			expect(t, "b", look(keys, "b"), "unavailable")
			expect(t, "a", look(keys, "a"), "known")
			if server.count() < 2 {
				t.Error("nothing was fetched")
			}
		})
	}
}

func TestLookupEndsWithItsRequest(t *testing.T) {
	server := newKeyServer(t, "a")
	release := make(chan struct{})
	server.answerWith(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write(keySetDocument("a"))
	})
	keys, _, _ := newRemoteKeys(t, server.URL)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := keys.KeySet(ctx, "a"); !errors.Is(err, ErrKeysUnavailable) {
		t.Errorf("got %v", err)
	}
	close(release)
	expect(t, "a", look(keys, "a"), "known")
}

// lines sends each line of a log.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

func TestRunRetriesUntilTheKeysAreThereAndEnds(t *testing.T) {
	server := newKeyServer(t, "a")
	server.fail()
	log := make(lines)
	keys, err := NewRemoteKeys(RemoteConfig{URL: server.URL, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		keys.Run(ctx)
		close(ended)
	}()
	<-log // No request caused the fetch that failed.
	server.publish("a")
	if line := <-log; !strings.Contains(line, "available again") {
		t.Error(line)
	}
	expect(t, "ready", keys.Ready(), true)
	cancel()
	<-ended
}

func TestRetryDelay(t *testing.T) {
	for _, test := range []struct {
		isReady  bool
		failures int
		jitter   float64
		want     time.Duration
	}{
		{false, 1, 0, 250 * time.Millisecond},
		{false, 1, 1, 250 * time.Millisecond},
		{false, 3, 1, time.Second},
		{false, 3, 0, 500 * time.Millisecond},
		{false, 100, 1, 5 * time.Second},
		{true, 1, 1, time.Second},
		{true, 4, 1, 8 * time.Second},
		{true, 100, 1, time.Minute},
		{true, 100, 0, 30 * time.Second},
	} {
		if got := retryDelay(test.isReady, test.failures, test.jitter); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

func TestKeySetURLIsChecked(t *testing.T) {
	for _, url := range []string{
		"", "gateway", "ftp://gateway/keys", "http:///keys", "https://user:secret@gateway/keys", "http://gateway/keys",
		"http://127.0.0.1.example/keys", "http://localhost.example/keys", "http://gateway\x00:secret@/",
	} {
		_, err := NewRemoteKeys(RemoteConfig{URL: url})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v", url, err)
		}
	}
	for _, url := range []string{
		"https://gateway/keys", "http://localhost/keys", "http://127.0.0.1:8090/keys", "http://127.9.9.9/", "http://[::1]/keys",
		"http://a.localhost/keys",
	} {
		if _, err := NewRemoteKeys(RemoteConfig{URL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := NewRemoteKeys(RemoteConfig{URL: "http://gateway/keys", InsecureTransport: true}); err != nil {
		t.Error(err)
	}
}

func TestStaleSetIsFetchedAtOnce(t *testing.T) {
	server := newKeyServer(t, "a")
	keys, clock, _ := newRemoteKeys(t, server.URL)
	keys.config.MaxStale = time.Minute // Regular fetches come later.
	look(keys, "a")
	clock.advance(2 * time.Minute)
	expect(t, "a", look(keys, "a"), "known")
	expect(t, "fetches", server.count(), 2)
}
