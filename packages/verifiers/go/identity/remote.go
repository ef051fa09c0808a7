package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// RemoteConfig configures [RemoteKeys]. Only URL is required.
type RemoteConfig struct {
	// URL is the gateway's key set: /.well-known/jwks.json on its internal or admin listener. Every key there is trusted.
	URL string
	// Tokens is for /.well-known/identity-token-jwks.json: only keys for ES256 are used.
	Tokens bool
	// InsecureTransport allows plain http to another machine. An attacker on the network could replace the keys and forge
	// any identity.
	InsecureTransport bool
	// MaxStale is how long keys stay usable after the last successful fetch, by default an hour.
	MaxStale time.Duration
	// Transport makes the requests. Default: http.DefaultTransport.
	Transport http.RoundTripper
	// Logger gets the beginning and the end of an outage. Default: slog.Default().
	Logger *slog.Logger
}

const (
	fetchInterval = 10 * time.Minute
	cooldown      = 30 * time.Second // Unknown kids cause at most one fetch in this time.
	maxDocument   = 256 << 10        // Bytes, after decompression.
)

// RemoteKeys is a [KeySource] that fetches the gateway's key set and stays usable while the gateway does not answer. It
// makes one request at a time, and backs off after failures.
type RemoteKeys struct {
	config  RemoteConfig
	client  *http.Client
	now     func() time.Time
	fetched chan struct{} // Signalled after each fetch.

	mu           sync.Mutex
	held         *KeySet
	heldAt, next time.Time     // When the set was fetched, and when the next fetch is due.
	failure      error         // Of the last fetch. Nil if it worked.
	failures     int           // In a row.
	cooledFrom   time.Time     // When an unknown kid last caused a fetch.
	pending      chan struct{} // Closed when the running fetch is over. Nil if none runs.
	isReported   bool          // Whether the log says that the keys are unavailable.
}

// NewRemoteKeys checks the configuration. Call [RemoteKeys.Run] to fetch the keys and to keep them fresh.
func NewRemoteKeys(config RemoteConfig) (*RemoteKeys, error) {
	target, err := url.Parse(config.URL)
	switch {
	case err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" || target.User != nil:
		// Without the URL or the parser's error: both could have a password.
		return nil, errors.New("identity: RemoteConfig.URL must be an http or https URL without credentials")
	case target.Scheme == "http" && !isLocal(target.Hostname()) && !config.InsecureTransport:
		return nil, errors.New("identity: anyone on the network could replace keys that come by plain http from another " +
			"machine: use https, or set RemoteConfig.InsecureTransport")
	}
	config.MaxStale = cmp.Or(config.MaxStale, time.Hour)
	config.Logger = cmp.Or(config.Logger, slog.Default())
	refuseRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client := &http.Client{Transport: config.Transport, Timeout: 5 * time.Second, CheckRedirect: refuseRedirect}
	return &RemoteKeys{config: config, client: client, now: time.Now, fetched: make(chan struct{}, 1)}, nil
}

func isLocal(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(host).IsLoopback()
}

// Run fetches the keys now, and again whenever it is due, until ctx is done.
func (k *RemoteKeys) Run(ctx context.Context) {
	for {
		var due <-chan time.Time // Blocks while a fetch runs.
		k.mu.Lock()
		if wait := k.next.Sub(k.now()); wait > 0 {
			due = time.After(wait)
		} else {
			k.fetch()
		}
		k.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-due:
		case <-k.fetched:
		}
	}
}

// Ready reports whether usable keys are held. Include it in the readiness of the service.
func (k *RemoteKeys) Ready() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.isReady()
}

func (k *RemoteKeys) isReady() bool {
	return k.held != nil && k.now().Sub(k.heldAt) <= k.config.MaxStale
}

func (k *RemoteKeys) knows(kid string) bool { return k.isReady() && k.held.has(kid) }

// KeySet implements [KeySource]. Unknown kids cause one fetch in 30 s, whether it works or not.
func (k *RemoteKeys) KeySet(ctx context.Context, kid string) (*KeySet, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	// The answer to a fetch that already ran may be older than the key. So this waits for one more.
	for isShared := true; isShared && !k.knows(kid) && ctx.Err() == nil; {
		isShared = k.pending != nil
		// After a failure, the running fetch may fail as well, so requests do not wait for it.
		if isShared && k.failure != nil || !isShared && !k.mayFetch() {
			break
		}
		k.await(ctx, k.fetch())
		if k.knows(kid) {
			k.cooledFrom = time.Time{} // The next new key does not have to wait.
		}
	}
	var err error
	if k.failure != nil && !k.knows(kid) {
		err = fmt.Errorf("%w: %w", ErrKeysUnavailable, k.failure)
	}
	if !k.isReady() {
		k.report()
		return nil, cmp.Or(err, error(ErrKeysUnavailable))
	}
	return k.held, err
}

// mayFetch reports whether a request may cause a fetch. The cool-down starts before it, also if it fails.
func (k *RemoteKeys) mayFetch() bool {
	now := k.now()
	if !k.isReady() {
		return k.failure == nil || !now.Before(k.next)
	}
	if now.Sub(k.cooledFrom) < cooldown {
		return false
	}
	k.cooledFrom = now
	return true
}

// await waits without the lock.
func (k *RemoteKeys) await(ctx context.Context, over <-chan struct{}) {
	k.mu.Unlock()
	defer k.mu.Lock()
	select {
	case <-ctx.Done():
	case <-over:
	}
}

// fetch starts a fetch unless one runs, and returns a channel that is closed when it is over. The fetch does not end
// with the request that caused it, because others wait for it.
func (k *RemoteKeys) fetch() <-chan struct{} {
	if k.pending == nil {
		k.pending = make(chan struct{})
		go func() {
			set, err := k.download()
			k.mu.Lock()
			defer k.mu.Unlock()
			k.finish(set, err)
			close(k.pending)
			k.pending = nil
			select {
			case k.fetched <- struct{}{}:
			default:
			}
		}()
	}
	return k.pending
}

func (k *RemoteKeys) finish(set *KeySet, err error) {
	now := k.now()
	if k.failure != nil && err == nil {
		k.cooledFrom = time.Time{} // A fetch that failed did not show that a kid is unknown.
	}
	k.failure = err
	if err != nil {
		k.failures++
		k.next = now.Add(retryDelay(k.isReady(), k.failures, rand.Float64()))
		k.report()
		return
	}
	k.held, k.heldAt, k.failures = set, now, 0
	// 7.5 to 9 minutes: instances of a service fetch at different times.
	k.next = now.Add(time.Duration(float64(fetchInterval) * (0.75 + 0.15*rand.Float64())))
	if k.isReported {
		k.isReported = false
		k.config.Logger.Info("identity: the gateway's keys are available again", "url", k.config.URL)
	}
}

// report logs the beginning of an outage.
func (k *RemoteKeys) report() {
	if !k.isReported && !k.isReady() && k.failure != nil {
		k.isReported = true
		k.config.Logger.Warn("identity: requests are answered 503, because the gateway's keys cannot be fetched",
			"url", k.config.URL, "error", k.failure)
	}
}

// retryDelay returns the time before the next attempt. Without keys no request can be verified, so it is shorter.
func retryDelay(isReady bool, failures int, jitter float64) time.Duration {
	first, longest := 250*time.Millisecond, 5*time.Second
	if isReady {
		first, longest = time.Second, time.Minute
	}
	full := min(longest, first<<min(failures-1, 16))
	return max(250*time.Millisecond, time.Duration(float64(full)*(0.5+jitter/2)))
}

func (k *RemoteKeys) download() (*KeySet, error) {
	request, err := http.NewRequest(http.MethodGet, k.config.URL, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("Cache-Control", "no-cache") // A cache may hold a set without the key that is looked up.
	response, err := k.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	document, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("identity: the key set is answered %s", response.Status)
	case len(document) > maxDocument:
		return nil, fmt.Errorf("identity: the key set is larger than %d bytes", maxDocument)
	}
	if k.config.Tokens {
		return ParseTokenKeySet(document)
	}
	return ParseKeySet(document)
}
